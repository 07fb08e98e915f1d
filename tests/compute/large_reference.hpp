// Large-D networks in double, formula by formula, with a bound of what rounding to float32 may do.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::test {

inline constexpr double half_ulp = 0x1p-24;

inline double reference_phi(Nonlinearity kind, double u) {
  switch (kind) {
    case Nonlinearity::relu:
      return u > 0.0 ? u : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0.0 ? u : static_cast<double>(leaky_slope) * u;
    case Nonlinearity::tanh:
      return std::tanh(u);
    case Nonlinearity::softplus:
      return u > 0.0 ? u + std::log1p(std::exp(-u)) : std::log1p(std::exp(u));
    case Nonlinearity::sigmoid:
      return 1.0 / (1.0 + std::exp(-u));
  }
  return NAN;
}

inline double reference_slope(Nonlinearity kind, double u) {
  switch (kind) {
    case Nonlinearity::relu:
      return u > 0.0 ? 1.0 : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0.0 ? 1.0 : static_cast<double>(leaky_slope);
    case Nonlinearity::tanh:
      return 1.0 - std::tanh(u) * std::tanh(u);
    case Nonlinearity::softplus:
      return 1.0 / (1.0 + std::exp(-u));
    case Nonlinearity::sigmoid:
      return std::exp(-std::fabs(u)) / ((1.0 + std::exp(-std::fabs(u))) * (1.0 + std::exp(-std::fabs(u))));
  }
  return NAN;
}

/// `scale` times standard normals, the same for the same `which`.
inline Matrix<float> normal_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t which, double scale = 1.0) {
  Matrix<float> m(rows, cols);
  if (m.size() == 0) return m;
  fill_normals(20260101, Stream::evaluation, 0, which, 1, m);
  for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] *= static_cast<float>(scale);
  return m;
}

/// A network with weights of the size that training gives them.
struct LargeCase {
  Nonlinearity phi;
  std::int64_t D, U, N;
  Matrix<float> W_in, b, W_out, c, M;

  LargeCase(Nonlinearity kind, std::int64_t n_outputs, std::int64_t n_inputs, std::int64_t n_neurons)
      : phi(kind),
        D(n_outputs),
        U(n_inputs),
        N(n_neurons),
        W_in(normal_matrix(N, D + U, 1, 1.0 / std::sqrt(static_cast<double>(D + U)))),
        b(normal_matrix(1, N, 2, 0.5)),
        W_out(normal_matrix(D, N, 3, 1.0 / std::sqrt(static_cast<double>(N)))) {}

  void add_shift() { c = normal_matrix(1, D, 4); }
  void add_map() {
    M = normal_matrix(D, D, 5, 0.3 / std::sqrt(static_cast<double>(D)));
    for (std::int64_t d = 0; d < D; ++d) M(d, d) += 1.0f;
  }
  NetworkView view() const {
    return {D,
            U,
            N,
            phi,
            W_in.data(),
            b.data(),
            W_out.data(),
            c.empty() ? nullptr : c.data(),
            M.empty() ? nullptr : M.data()};
  }
};

/// A value in double, and a bound of the error of its float32 evaluation.
struct Bounded {
  double value = 0.0, error = 0.0;
};

/// f M^T.
inline std::vector<Bounded> mapped(const LargeCase& net, const std::vector<Bounded>& f) {
  std::vector<Bounded> result(f.size());
  for (std::int64_t d = 0; d < net.D; ++d) {
    Bounded& out = result[static_cast<std::size_t>(d)];
    for (std::int64_t i = 0; i < net.D; ++i) {
      const double w = net.M(d, i);
      const Bounded& g = f[static_cast<std::size_t>(i)];
      out.value += w * g.value;
      out.error += std::fabs(w) * (g.error + half_ulp * static_cast<double>(net.D + 2) * std::fabs(g.value));
    }
  }
  return result;
}

/// Drift of one state `[x, u]`. Without `map`, before c and M.
inline std::vector<Bounded> reference_drift(const LargeCase& net, const float* x, const float* u, bool map = true) {
  std::vector<Bounded> a(static_cast<std::size_t>(net.N));
  for (std::int64_t j = 0; j < net.N; ++j) {
    double sum = net.b.data()[j], size = std::fabs(sum);
    for (std::int64_t k = 0; k < net.D + net.U; ++k) {
      const double term = static_cast<double>(net.W_in(j, k)) * (k < net.D ? x[k] : u[k - net.D]);
      sum += term;
      size += std::fabs(term);
    }
    Bounded& out = a[static_cast<std::size_t>(j)];
    out.value = reference_phi(net.phi, sum);
    // |phi'| <= 1; 8 half ulp cover phi itself
    out.error = half_ulp * (static_cast<double>(net.D + net.U + 2) * size + 8.0 * std::fabs(out.value));
  }
  std::vector<Bounded> f(static_cast<std::size_t>(net.D));
  for (std::int64_t d = 0; d < net.D; ++d) {
    Bounded& out = f[static_cast<std::size_t>(d)];
    out.value = -static_cast<double>(x[d]);
    double size = std::fabs(out.value);
    for (std::int64_t j = 0; j < net.N; ++j) {
      const double w = net.W_out(d, j);
      out.value += w * a[static_cast<std::size_t>(j)].value;
      size += std::fabs(w * a[static_cast<std::size_t>(j)].value);
      out.error += std::fabs(w) * a[static_cast<std::size_t>(j)].error;
    }
    if (map && !net.c.empty()) {
      out.value += net.c.data()[d];
      size += std::fabs(net.c.data()[d]);
    }
    out.error += half_ulp * static_cast<double>(net.N + 4) * size;
  }
  if (!map || net.M.empty()) return f;
  return mapped(net, f);
}

/// The noise that enters chain `chain` at step `step`, in double, with its factor; for `baoab` the normals as they are.
inline std::vector<double> reference_noise(const LangevinSteps& steps, std::uint64_t chain, std::uint64_t step,
                                           std::int64_t D) {
  Matrix<float> xi(2, D);
  fill_normals(steps.seed, Stream::dynamics, chain, step, 2, xi);  // this step's and the next one's
  std::vector<double> noise(static_cast<std::size_t>(D));
  const bool midpoint = steps.integrator == Integrator::leimkuhler_matthews;
  for (std::int64_t d = 0; d < D; ++d) {
    if (steps.integrator == Integrator::baoab) {
      noise[static_cast<std::size_t>(d)] = xi(0, d);
      continue;
    }
    const double dt = steps.dt;
    noise[static_cast<std::size_t>(d)] =
        steps.noise_scale *
        (midpoint ? std::sqrt(dt / 2) * (static_cast<double>(xi(0, d)) + xi(1, d)) : std::sqrt(2 * dt) * xi(0, d));
  }
  return noise;
}

inline constexpr Nonlinearity all_nonlinearities[] = {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::tanh,
                                                      Nonlinearity::softplus, Nonlinearity::sigmoid};

}  // namespace tarn::test
