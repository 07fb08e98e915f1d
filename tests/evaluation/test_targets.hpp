// Small targets with known answers.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tarn/core/noise.hpp"
#include "tarn/core/target.hpp"

namespace tarn::test {

/// Equal mixture of `N(m, deviation^2)` over the given means, in one dimension.
class Peaks final : public Target {
 public:
  Peaks(std::vector<double> means, double deviation) : means_(std::move(means)), deviation_(deviation) {}

  std::string name() const override { return "peaks"; }
  std::int64_t dimension() const override { return 1; }
  std::vector<double> mean() const override {
    double sum = 0.0;
    for (const double m : means_) sum += m;
    return {sum / static_cast<double>(means_.size())};
  }
  double total_variance() const override {
    double sum = 0.0;
    for (const double m : means_) sum += (m - mean()[0]) * (m - mean()[0]);
    return sum / static_cast<double>(means_.size()) + deviation_ * deviation_;
  }
  void draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const override {
    Matrix<float> normals(out.rows, 4);
    Matrix<std::uint32_t> words(out.rows, 4);
    fill_normals(seed, Stream::synthetic_data, first, 0, 1, normals.view());
    fill_words(seed, Stream::synthetic_data, first, 0, 1, words.view());
    for (std::int64_t i = 0; i < out.rows; ++i) {
      const auto k = static_cast<std::size_t>(uniform_from_word(words(i, 2)) * static_cast<double>(means_.size()));
      out(i, 0) = static_cast<float>(means_[k] + deviation_ * normals(i, 0));
    }
  }
  bool has_density(double) const override { return true; }
  double log_density(const double* x, double sigma) const override {
    double weighted = 0.0;
    return evaluate(*x, sigma, weighted);
  }
  void score(const double* x, double sigma, double* score) const override { evaluate(*x, sigma, *score); }

 private:
  double evaluate(double x, double sigma, double& score) const {
    const double v = deviation_ * deviation_ + sigma * sigma;
    double largest = -1e300, sum = 0.0, weighted = 0.0;
    for (const double m : means_) largest = std::max(largest, -(x - m) * (x - m) / (2.0 * v));
    for (const double m : means_) {
      const double w = std::exp(-(x - m) * (x - m) / (2.0 * v) - largest);
      sum += w;
      weighted += w * (m - x) / v;
    }
    score = weighted / sum;
    return largest + std::log(sum / static_cast<double>(means_.size())) - 0.5 * std::log(2.0 * M_PI * v);
  }

  std::vector<double> means_;
  double deviation_;
};

/// The published double peak, and the last noise level of its training, `50^(-9/10)`.
inline Peaks double_peak() { return Peaks({-1.0, 1.0}, 0.5); }
inline const double published_sigma = std::pow(50.0, -0.9);

inline double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace tarn::test
