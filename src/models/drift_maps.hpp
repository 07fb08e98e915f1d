// Products with a network's weights in double, each sum in one fixed order: the same bits for any number of threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tarn/compute/network_view.hpp"

namespace tarn {

using Vector = std::vector<double>;

/// `sum_i a_i b_i`, in eight partial sums so that they can overlap.
template <class A, class B>
double dot(const A* a, const B* b, std::int64_t n) {
  std::array<double, 8> sums{};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (std::size_t k = 0; k < 8; ++k) {
      const auto at = i + static_cast<std::int64_t>(k);
      sums[k] += static_cast<double>(a[at]) * static_cast<double>(b[at]);
    }
  }
  for (; i < n; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}
inline double dot(const Vector& a, const Vector& b) {
  return dot(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
}

/// The linear maps within a drift: `u W_in^T` on the outputs' columns, `a W_out^T`, `g M^T`, and back.
class DriftMaps {
 public:
  explicit DriftMaps(const NetworkView& network) : w_(network) {}
  std::int64_t D() const { return w_.n_outputs; }
  std::int64_t N() const { return w_.n_neurons; }

  /// `[D]` to `[N]`.
  Vector in(const Vector& x) const { return forward(w_.W_in, N(), D() + w_.n_inputs, x); }
  /// `[N]` to `[D]`.
  Vector out(const Vector& a) const { return forward(w_.W_out, D(), N(), a); }
  Vector map(const Vector& g) const { return w_.M ? forward(w_.M, D(), D(), g) : g; }
  /// Transposes: `[N]` to `[D]`, `[D]` to `[N]`, `[D]` to `[D]`.
  Vector in_transposed(const Vector& a) const { return backward(w_.W_in, N(), D() + w_.n_inputs, D(), a); }
  Vector out_transposed(const Vector& g) const { return backward(w_.W_out, D(), N(), N(), g); }
  Vector map_transposed(const Vector& g) const { return w_.M ? backward(w_.M, D(), D(), D(), g) : g; }

 private:
  // rows of `weights` `[rows, stride]` times x, of which the first x.size() columns count
  static Vector forward(const float* weights, std::int64_t rows, std::int64_t stride, const Vector& x) {
    Vector y(static_cast<std::size_t>(rows));
    const auto n = static_cast<std::int64_t>(x.size());
    for (std::int64_t i = 0; i < rows; ++i) y[static_cast<std::size_t>(i)] = dot(weights + i * stride, x.data(), n);
    return y;
  }
  static Vector backward(const float* weights, std::int64_t rows, std::int64_t stride, std::int64_t columns,
                         const Vector& x) {
    Vector y(static_cast<std::size_t>(columns));
    for (std::int64_t i = 0; i < rows; ++i) {
      const double factor = x[static_cast<std::size_t>(i)];
      if (factor == 0.0) continue;  // silent neurons
      const float* row = weights + i * stride;
      for (std::int64_t j = 0; j < columns; ++j) y[static_cast<std::size_t>(j)] += factor * static_cast<double>(row[j]);
    }
    return y;
  }

  const NetworkView& w_;
};

}  // namespace tarn
