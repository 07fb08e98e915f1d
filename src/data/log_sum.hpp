// Sums of exponentials that may be far out of range, with a weighted mean of vectors alongside.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

namespace tarn::data {

/// `log sum_i exp(l_i)` and `sum_i exp(l_i) v_i / sum_i exp(l_i)`. NaN in any term shows in the result.
class LogSum {
 public:
  explicit LogSum(std::size_t n = 0) : mean_(n) {}

  /// Adds a term; `v` has the size given at construction (null counts as zeros).
  void add(double log_term, const double* v = nullptr) {
    if (log_term > max_) {
      const double shrink = std::exp(max_ - log_term);
      sum_ *= shrink;
      for (auto& m : mean_) m *= shrink;
      max_ = log_term;
    }
    // Equal infinities: the first infinite term counts alone.
    if (log_term == max_ && std::isinf(max_)) {
      if (max_ > 0.0) sum_ = 1.0;
      return;
    }
    const double weight = std::exp(log_term - max_);
    sum_ += weight;
    for (std::size_t k = 0; v != nullptr && k < mean_.size(); ++k) mean_[k] += weight * v[k];
  }

  double log() const { return max_ + std::log(sum_); }
  double max() const { return max_; }
  double mean(std::size_t k) const { return mean_[k] / sum_; }

 private:
  double max_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0.0;
  std::vector<double> mean_;
};

}  // namespace tarn::data
