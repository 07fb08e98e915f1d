// Mixtures: checks, moments, draws, and the sums over components.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "log_sum.hpp"
#include "symmetric.hpp"
#include "tarn/data/synthetic.hpp"
#include "tile.hpp"

namespace tarn {
namespace {

void check_component(const MixtureComponent& component, std::size_t index, std::size_t dimension) {
  const auto finite = [](double value) { return std::isfinite(value); };
  if (component.mean.size() != dimension || dimension == 0) {
    fail_usage("mixture: mean {} has {} dimensions, the first has {}; all must be the same, at least 1", index,
               component.mean.size(), dimension);
  }
  if (!(component.weight > 0.0) || !finite(component.weight)) {
    fail_usage("mixture: weight {} is {}; weights must be positive", index, component.weight);
  }
  if (!std::all_of(component.mean.begin(), component.mean.end(), finite)) {
    fail_usage("mixture: mean {} holds a value that is not finite", index);
  }
  const auto& C = component.covariance;
  if (C.size() != dimension * dimension) {
    fail_usage("mixture: covariance {} has {} entries; {} x {} are needed", index, C.size(), dimension, dimension);
  }
  double largest = 0.0;
  for (const double c : C) largest = std::max(largest, std::abs(c));
  for (std::size_t i = 0; i < dimension; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!(std::abs(C[i * dimension + j] - C[j * dimension + i]) <= 1e-9 * largest)) {
        fail_usage("mixture: covariance {} is not symmetric: entry ({}, {}) is {}, entry ({}, {}) is {}", index, i, j,
                   C[i * dimension + j], j, i, C[j * dimension + i]);
      }
    }
  }
}

bool is_diagonal(const std::vector<double>& matrix, std::size_t dimension) {
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    if (i / dimension != i % dimension && matrix[i] != 0.0) return false;
  }
  return true;
}

}  // namespace

MixtureComponent MixtureComponent::isotropic(double weight, std::vector<double> mean, double standard_deviation) {
  const auto dimension = mean.size();
  MixtureComponent component{weight, std::move(mean), std::vector<double>(dimension * dimension)};
  for (std::size_t k = 0; k < dimension; ++k) {
    component.covariance[k * dimension + k] = standard_deviation * standard_deviation;
  }
  return component;
}

MixtureTarget::MixtureTarget(std::vector<MixtureComponent> components, bool exponential_scale)
    : exponential_scale_(exponential_scale), components_(std::move(components)) {
  if (components_.empty()) fail_usage("mixture: no components; at least one mean is needed");
  const auto n = components_[0].mean.size();
  dimension_ = static_cast<std::int64_t>(n);
  double total = 0.0;
  for (std::size_t k = 0; k < components_.size(); ++k) {
    check_component(components_[k], k, n);
    total += components_[k].weight;
  }
  double cumulative = 0.0;
  for (std::size_t k = 0; k < components_.size(); ++k) {
    auto& component = components_[k];
    component.weight /= total;
    const auto L = data::cholesky(component.covariance, dimension_);
    if (L.empty()) fail_usage("mixture: covariance {} is not positive definite", k);
    const bool diagonal = is_diagonal(component.covariance, n);
    diagonal_ = diagonal_ && diagonal;

    Factors factors;
    auto eigen = diagonal ? data::diagonal_eigen(component.covariance, dimension_)
                          : data::symmetric_eigen(component.covariance, dimension_);
    factors.Q = std::move(eigen.Q);
    factors.eigenvalues = std::move(eigen.eigenvalues);
    factors.log_weight = std::log(component.weight);
    factors.mean.assign(component.mean.begin(), component.mean.end());
    factors.cholesky.resize(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) factors.cholesky[j * n + i] = static_cast<float>(L[i * n + j]);
    }
    factors_.push_back(std::move(factors));

    cumulative += component.weight;
    if (k + 1 < components_.size()) {
      thresholds_.push_back(static_cast<std::uint32_t>(std::min(std::round(cumulative * 0x1p32), 0x1p32 - 1)));
    }
  }
}

std::vector<double> MixtureTarget::mean() const {
  std::vector<double> mean(static_cast<std::size_t>(dimension_));
  for (const auto& component : components_) {
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += component.weight * component.mean[d];
  }
  return mean;
}

double MixtureTarget::total_variance() const {
  const auto centre = mean();
  double total = 0.0;
  for (const auto& component : components_) {
    double square = 0.0;
    for (std::size_t d = 0; d < centre.size(); ++d) {
      square += component.covariance[d * (centre.size() + 1)];  // E w = 1: the same for Laplace laws
      square += (component.mean[d] - centre[d]) * (component.mean[d] - centre[d]);
    }
    total += component.weight * square;
  }
  return total;
}

void MixtureTarget::draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const {
  data::check_draw_width(out, dimension_);
  const auto D = dimension_, n_normals = (D + 1) / 2 * 2;
  const std::int64_t n_words = exponential_scale_ ? 2 : 1;
  data::for_each_tile(seed, first, out.rows, n_normals, n_words, [&](const data::Tile& tile) {
    alignas(64) float roots[256];
    if (exponential_scale_) tile.kernels->exponential_roots(tile.n, tile.words + tile.stride, roots);

    if (D == 1) {
      float* x = out.row(tile.begin);
      alignas(64) float centre[256], factor[256];
      std::fill_n(centre, tile.n, factors_[0].mean[0]);
      std::fill_n(factor, tile.n, factors_[0].cholesky[0]);
      for (std::size_t k = 0; k < thresholds_.size(); ++k) {
        const float mean = factors_[k + 1].mean[0], deviation = factors_[k + 1].cholesky[0];
        const auto threshold = thresholds_[k];
        for (std::int64_t i = 0; i < tile.n; ++i) {
          const bool later = tile.words[i] >= threshold;
          centre[i] = later ? mean : centre[i];
          factor[i] = later ? deviation : factor[i];
        }
      }
      if (exponential_scale_) {
        for (std::int64_t i = 0; i < tile.n; ++i) x[i] = centre[i] + roots[i] * (factor[i] * tile.normals[i]);
      } else {
        for (std::int64_t i = 0; i < tile.n; ++i) x[i] = centre[i] + factor[i] * tile.normals[i];
      }
      return;
    }

    for (std::int64_t i = 0; i < tile.n; ++i) {
      const auto k = std::upper_bound(thresholds_.begin(), thresholds_.end(), tile.words[i]) - thresholds_.begin();
      const Factors& factors = factors_[static_cast<std::size_t>(k)];
      const float* L = factors.cholesky.data();  // column j of the factor is row j here
      float* x = out.row(tile.begin + i);
      const float* z = tile.normals + i;
      if (diagonal_) {
        for (std::int64_t d = 0; d < D; ++d) x[d] = L[d * (D + 1)] * z[d * tile.stride];
      } else {
        std::fill_n(x, D, 0.0f);
        for (std::int64_t j = 0; j < D; ++j) {
          const float normal = z[j * tile.stride];
          for (std::int64_t d = j; d < D; ++d) x[d] += L[j * D + d] * normal;
        }
      }
      const float root = exponential_scale_ ? roots[i] : 1.0f;
      for (std::int64_t d = 0; d < D; ++d) x[d] = factors.mean[static_cast<std::size_t>(d)] + root * x[d];
    }
  });
}

double MixtureTarget::evaluate(const double* x, double sigma, double* score) const {
  require(sigma >= 0.0, "sigma must not be negative, found {}", sigma);
  const auto n = static_cast<std::size_t>(dimension_);
  data::LogSum sum(score == nullptr ? 0 : n);
  std::vector<double> y(n), gradient(n), rotated(n);
  for (std::size_t k = 0; k < factors_.size(); ++k) {
    const Factors& factors = factors_[k];
    const auto& mean = components_[k].mean;
    std::fill(y.begin(), y.end(), 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) y[j] += factors.Q[i * n + j] * (x[i] - mean[i]);
    }
    const double log_term =
        factors.log_weight + component_log_density(factors, y.data(), sigma, score ? gradient.data() : nullptr);
    for (std::size_t i = 0; score != nullptr && i < n; ++i) {
      rotated[i] = 0.0;
      for (std::size_t j = 0; j < n; ++j) rotated[i] += factors.Q[i * n + j] * gradient[j];
    }
    sum.add(log_term, rotated.data());
  }
  for (std::size_t d = 0; score != nullptr && d < n; ++d) score[d] = sum.mean(d);
  return sum.log();
}

double MixtureTarget::log_density(const double* x, double sigma) const { return evaluate(x, sigma, nullptr); }

void MixtureTarget::score(const double* x, double sigma, double* score) const { evaluate(x, sigma, score); }

}  // namespace tarn
