// Small models with an energy, and what is known of them exactly.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "normals.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

/// Weights of order one on the scale of s.
inline SamplingNetwork energy_network(ModelKind kind, std::int64_t D, std::int64_t N, double s, double strength = 1.0,
                                      Nonlinearity phi = Nonlinearity::sigmoid) {
  SamplingNetwork network;
  network.kind = kind;
  network.phi = phi;
  network.n_outputs = D;
  network.s = s;
  network.W_in = normals(N, D, 31);
  for (std::int64_t i = 0; i < network.W_in.size(); ++i) network.W_in.data()[i] *= static_cast<float>(strength * s);
  network.b = normals(1, N, 32);
  network.a = normals(1, D, 33);
  for (std::int64_t d = 0; d < D; ++d) network.a(0, d) *= 0.5f;
  if (kind == ModelKind::ebm) {
    network.v = normals(1, N, 34);
    for (std::int64_t j = 0; j < N; ++j) network.v(0, j) = 0.5f + std::abs(network.v(0, j));
  }
  return network;
}

/// `n * n` points of the plane from -reach to reach, for sums in place of integrals.
inline Matrix<float> square_grid(std::int64_t n, double reach) {
  Matrix<float> grid(n * n, 2);
  const double h = 2.0 * reach / static_cast<double>(n - 1);
  for (std::int64_t i = 0; i < n * n; ++i) {
    grid(i, 0) = static_cast<float>(-reach + h * static_cast<double>(i / n));
    grid(i, 1) = static_cast<float>(-reach + h * static_cast<double>(i % n));
  }
  return grid;
}

/// An rbm as what it is: a mixture of 2^N Gaussians N(a + h W, s^2 I) of weights exp(b . h + |a + h W|^2 / 2s^2 - |a|^2 / 2s^2).
struct RbmMixture {
  std::vector<std::vector<double>> means;
  std::vector<double> weights;  ///< sum to 1
  double log_z = 0.0;
  double s = 0.0;

  explicit RbmMixture(const SamplingNetwork& rbm) : s(rbm.s) {
    const std::int64_t D = rbm.n_outputs, N = rbm.n_neurons();
    double sum = 0.0;
    for (std::uint64_t state = 0; state < std::uint64_t{1} << N; ++state) {
      std::vector<double> mean;
      double exponent = 0.0, bias = 0.0;
      for (std::int64_t d = 0; d < D; ++d) {
        double m = rbm.a(0, d);
        for (std::int64_t j = 0; j < N; ++j) m += (state >> j & 1) != 0 ? static_cast<double>(rbm.W_in(j, d)) : 0.0;
        exponent += (m * m - static_cast<double>(rbm.a(0, d)) * rbm.a(0, d)) / (2.0 * s * s);
        mean.push_back(m);
      }
      for (std::int64_t j = 0; j < N; ++j) bias += (state >> j & 1) != 0 ? static_cast<double>(rbm.b(0, j)) : 0.0;
      means.push_back(mean);
      weights.push_back(std::exp(exponent + bias));
      sum += weights.back();
    }
    for (double& w : weights) w /= sum;
    log_z = std::log(sum) + static_cast<double>(D) * std::log(s * std::sqrt(2.0 * std::numbers::pi));
  }
  double mean(std::size_t d) const {
    double sum = 0.0;
    for (std::size_t k = 0; k < weights.size(); ++k) sum += weights[k] * means[k][d];
    return sum;
  }
  double variance(std::size_t d) const {
    double sum = s * s;
    for (std::size_t k = 0; k < weights.size(); ++k)
      sum += weights[k] * (means[k][d] - mean(d)) * (means[k][d] - mean(d));
    return sum;
  }
  double log_density(const float* x) const {
    double sum = 0.0;
    for (std::size_t k = 0; k < weights.size(); ++k) {
      double square = 0.0;
      for (std::size_t d = 0; d < means[k].size(); ++d) square += (x[d] - means[k][d]) * (x[d] - means[k][d]);
      sum += weights[k] * std::exp(-0.5 * square / (s * s));
    }
    return std::log(sum) - static_cast<double>(means[0].size()) * std::log(s * std::sqrt(2.0 * std::numbers::pi));
  }
};

}  // namespace tarn::test
