#include <algorithm>
#include <cmath>
#include <numbers>

#include "symmetric.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {

GaussianMixture::GaussianMixture(std::vector<MixtureComponent> components)
    : MixtureTarget(std::move(components), false) {}

double GaussianMixture::component_log_density(const Factors& factors, const double* y, double sigma,
                                              double* gradient) const {
  double log_density = 0.0;
  for (std::size_t k = 0; k < factors.eigenvalues.size(); ++k) {
    const double variance = factors.eigenvalues[k] + sigma * sigma;
    log_density -= 0.5 * (y[k] * y[k] / variance + std::log(2.0 * std::numbers::pi * variance));
    if (gradient != nullptr) gradient[k] = -y[k] / variance;
  }
  return log_density;
}

GaussianMixture GaussianMixture::marginal(std::int64_t n) const {
  if (n < 1 || n > dimension()) fail_usage("marginal of {} coordinates; 1 to {} are allowed", n, dimension());
  std::vector<MixtureComponent> parts;
  for (const auto& component : components()) {
    MixtureComponent part{component.weight, {component.mean.begin(), component.mean.begin() + n}, {}};
    for (std::int64_t i = 0; i < n; ++i) {
      const auto row = component.covariance.begin() + i * dimension();
      part.covariance.insert(part.covariance.end(), row, row + n);
    }
    parts.push_back(std::move(part));
  }
  return GaussianMixture(std::move(parts));
}

GaussianMixture GaussianMixture::conditional(const std::vector<double>& u) const {
  const auto n_given = static_cast<std::int64_t>(u.size()), n = dimension() - n_given;
  if (n_given < 1 || n < 1) fail_usage("conditional on {} values; 1 to {} are allowed", n_given, dimension() - 1);
  auto parts = std::vector<MixtureComponent>();
  std::vector<double> log_weights;
  for (const auto& component : components()) {
    const auto entry = [&](std::int64_t i, std::int64_t j) {
      return component.covariance[static_cast<std::size_t>(i * dimension() + j)];
    };
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    std::vector<double> given;
    for (std::int64_t i = n; i < dimension(); ++i) {
      for (std::int64_t j = n; j < dimension(); ++j) given.push_back(entry(i, j));
    }
    const auto L = data::cholesky(given, n_given);
    // With A = L^-1 C_ux: covariance C_xx - A^T A, mean m_x + A^T L^-1 (u - m_u).
    std::vector<double> whitened(u.size());
    for (std::int64_t i = 0; i < n_given; ++i) whitened[at(i)] = u[at(i)] - component.mean[at(n + i)];
    data::solve_lower(L, n_given, whitened.data());
    double log_weight = std::log(component.weight);
    for (std::int64_t i = 0; i < n_given; ++i) {
      log_weight -= 0.5 * whitened[at(i)] * whitened[at(i)] + std::log(L[at(i * n_given + i)]);
    }
    std::vector<std::vector<double>> A;  // its columns
    for (std::int64_t j = 0; j < n; ++j) {
      std::vector<double> column;
      for (std::int64_t i = 0; i < n_given; ++i) column.push_back(entry(n + i, j));
      data::solve_lower(L, n_given, column.data());
      A.push_back(std::move(column));
    }
    const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
      double sum = 0.0;
      for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
      return sum;
    };
    MixtureComponent part;
    for (std::int64_t i = 0; i < n; ++i) {
      part.mean.push_back(component.mean[at(i)] + dot(A[at(i)], whitened));
      for (std::int64_t j = 0; j < n; ++j) part.covariance.push_back(entry(i, j) - dot(A[at(i)], A[at(j)]));
    }
    log_weights.push_back(log_weight);
    parts.push_back(std::move(part));
  }
  const double largest = *std::max_element(log_weights.begin(), log_weights.end());
  for (std::size_t k = 0; k < parts.size(); ++k) {
    // A component that `u` rules out keeps the smallest weight there is.
    parts[k].weight = std::max(std::exp(log_weights[k] - largest), 1e-300);
  }
  return GaussianMixture(std::move(parts));
}

}  // namespace tarn
