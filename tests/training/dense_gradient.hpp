// Small nets of dense layers, and their gradients by finite differences.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

#include "dense_net.hpp"
#include "normals.hpp"

namespace tarn::test {

/// Layers between these sizes, with normal weights and biases of these deviations.
inline std::vector<DenseNet<double>::Layer> dense_layers(std::span<const std::int64_t> sizes, double weight,
                                                         double bias, std::uint64_t seed) {
  std::vector<DenseNet<double>::Layer> layers;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    const std::int64_t n_in = sizes[l], n_out = sizes[l + 1];
    const Matrix<float> values = normals(n_out, n_in + 1, seed + l);
    DenseNet<double>::Layer layer{Matrix<double>(n_out, n_in), Matrix<double>(1, n_out)};
    for (std::int64_t i = 0; i < n_out; ++i) {
      for (std::int64_t j = 0; j < n_in; ++j) layer.W(i, j) = weight * values(i, j);
      layer.b(0, i) = bias * values(i, n_in);
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

inline Matrix<double> normal_rows(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  const Matrix<float> from = normals(rows, cols, seed);
  Matrix<double> x(rows, cols);
  std::copy_n(from.data(), x.size(), x.data());
  return x;
}

/// `pass` holds the gradient of `loss()` with respect to `net`, whose parameters are changed and put back.
template <class Loss>
void expect_gradient(DenseNet<double>& net, const DensePass<double>& pass, double tolerance, Loss&& loss) {
  constexpr double step = 1e-6;  // error about step^2 and 1e-16 / step; kinks are further off than this
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    for (const bool bias : {false, true}) {
      auto& parameters = bias ? net.layers[l].b : net.layers[l].W;
      const auto& gradient = bias ? pass.gradient[l].b : pass.gradient[l].W;
      for (std::int64_t k = 0; k < parameters.size(); ++k) {
        const double value = parameters.data()[k];
        parameters.data()[k] = value + step;
        const double above = loss();
        parameters.data()[k] = value - step;
        const double below = loss();
        parameters.data()[k] = value;
        ASSERT_NEAR(gradient.data()[k], (above - below) / (2.0 * step), tolerance) << l << " " << bias << " " << k;
      }
    }
  }
}

}  // namespace tarn::test
