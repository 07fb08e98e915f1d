// Chains of the host, and what steps of them must be on any backend.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "compute/large_reference.hpp"

namespace tarn::test {

/// A block of chains of the host. `r` and `P` are there in reservoir mode only.
struct HostChains {
  Matrix<float> x, u, v, clamp, r, P, private_noise;
  std::vector<std::int64_t> bad;

  HostChains(const LargeCase& net, std::int64_t n)
      : x(normal_matrix(n, net.D, 10)),
        u(normal_matrix(n, net.U, 11)),
        v(normal_matrix(n, net.D, 14)),
        bad(static_cast<std::size_t>(n), -1) {}
  void hold_every(std::int64_t which) {
    clamp = normal_matrix(x.rows(), x.cols(), 13);
    for (std::int64_t i = 0; i < clamp.size(); ++i) {
      if (i % which != 0) clamp.data()[i] = NAN;
    }
  }
  ChainBlock block() { return rows(0, x.rows()); }
  /// The part of the block from row `begin` to `end`.
  ChainBlock rows(std::int64_t begin, std::int64_t end) {
    ChainBlock b;
    b.x = x.view().slice(begin, end);
    if (!u.empty()) b.u = u.view().slice(begin, end);
    if (!clamp.empty()) b.clamp = clamp.view().slice(begin, end);
    b.first_bad_step = bad.data() + begin;
    b.v = v.view().slice(begin, end);
    return b;
  }
  ReservoirBlock reservoir_block() {
    ReservoirBlock b;
    b.chains = block();
    b.r = r;
    b.P = P;
    if (!private_noise.empty()) b.private_noise = private_noise;
    return b;
  }
};

inline LangevinSteps some_steps(std::int64_t n, Integrator integrator = Integrator::euler_maruyama) {
  LangevinSteps s;
  s.integrator = integrator;
  s.dt = 0.01f;
  s.friction = 30.0f;  // so that a step turns over a fair share of v
  s.seed = 77;
  s.first_chain = 1000;
  s.first_step = 5;
  s.n_steps = n;
  return s;
}

/// Advances chains of one network, in reservoir mode where they have r.
using Advance = std::function<void(const LangevinSteps&, HostChains&)>;
/// Prepares a network on the backend that is tested.
using OnNetwork = std::function<Advance(const LargeCase&)>;

inline constexpr Integrator all_integrators[] = {Integrator::euler_maruyama, Integrator::leimkuhler_matthews,
                                                 Integrator::baoab};

/// Equal bits, or NaN in both.
inline void expect_same(const Matrix<float>& a, const Matrix<float>& b, const char* what) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a.data()[i]) && std::isnan(b.data()[i])) continue;
    ASSERT_EQ(std::bit_cast<std::uint32_t>(a.data()[i]), std::bit_cast<std::uint32_t>(b.data()[i]))
        << what << ": row " << i / a.cols() << ", column " << i % a.cols() << ": " << a.data()[i] << " and "
        << b.data()[i];
  }
}

inline void expect_drift(const LargeCase& net, const Matrix<float>& points, const Matrix<float>& found) {
  for (std::int64_t i = 0; i < points.rows(); ++i) {
    const auto f = reference_drift(net, points.row(i), points.row(i) + net.D);
    for (std::int64_t d = 0; d < net.D; ++d) {
      const Bounded& expected = f[static_cast<std::size_t>(d)];
      ASSERT_NEAR(found(i, d), expected.value, expected.error)
          << name_of(net.phi) << " D " << net.D << " U " << net.U << " N " << net.N << " point " << i << " component "
          << d;
    }
  }
}

/// A value of x and one of v after a step.
struct SteppedPair {
  Bounded x, v;
};

/// A step with momentum in double: kick, drift, friction and noise, drift. Two roundings for each fma, three for what friction leaves
/// and for the noise, whose factors are rounded too.
inline SteppedPair reference_momentum_step(const LangevinSteps& s, double x, double v, const Bounded& f, double xi) {
  const double dt = s.dt, keep = std::exp(-static_cast<double>(s.friction) * dt);
  SteppedPair out;
  const double kicked = v + dt * f.value;
  const double kick_error = dt * (f.error + 2 * half_ulp * std::fabs(f.value)) + 2 * half_ulp * std::fabs(kicked);
  const double noise = std::sqrt(1.0 - keep * keep) * s.noise_scale * xi;
  out.v.value = keep * kicked + noise;
  out.v.error = kick_error + 3 * half_ulp * (std::fabs(kicked) + std::fabs(noise) + std::fabs(out.v.value));
  out.x.value = x + 0.5 * dt * (kicked + out.v.value);
  out.x.error = 0.5 * dt * (kick_error + out.v.error) + 4 * half_ulp * (std::fabs(x) + std::fabs(out.x.value));
  return out;
}

/// One step, from `before` to `after`, against double. Rounding as a share of what is added up: 4 for the two fma into x, 6 for the
/// noise (its sum, its factor and the product). The bound of the drift grows with D + U and N: large_reference.hpp.
inline void expect_one_step(const LargeCase& net, const HostChains& before, const HostChains& after,
                            const LangevinSteps& steps) {
  for (std::int64_t i = 0; i < before.x.rows(); ++i) {
    const auto f = reference_drift(net, before.x.row(i), before.u.row(i));
    const bool momentum = steps.integrator == Integrator::baoab;
    const auto noise =
        reference_noise(steps, steps.first_chain + static_cast<std::uint64_t>(i), steps.first_step, net.D);
    for (std::int64_t d = 0; d < net.D; ++d) {
      const Bounded& drift = f[static_cast<std::size_t>(d)];
      const double xi = noise[static_cast<std::size_t>(d)];
      double expected = before.x(i, d) + static_cast<double>(steps.dt) * drift.value + xi;
      double bound = steps.dt * (drift.error + 4 * half_ulp * std::fabs(drift.value)) +
                     half_ulp * (4 * std::fabs(before.x(i, d)) + 6 * std::fabs(xi));
      Bounded v{before.v(i, d), 0.0};  // without momentum it stays as it is
      if (momentum) {
        const SteppedPair pair = reference_momentum_step(steps, before.x(i, d), before.v(i, d), drift, xi);
        expected = pair.x.value;
        bound = pair.x.error;
        v = pair.v;
      }
      if (!before.clamp.empty() && !std::isnan(before.clamp(i, d))) {
        expected = before.clamp(i, d);
        bound = 0.0;
        if (momentum) v = {};
      }
      ASSERT_NEAR(after.v(i, d), v.value, v.error) << "v: D " << net.D << ", chain " << i << ", component " << d;
      ASSERT_NEAR(after.x(i, d), expected, bound) << "D " << net.D << ", N " << net.N << ", step " << steps.first_step
                                                  << ", chain " << i << ", component " << d;
    }
    ASSERT_EQ(after.bad[static_cast<std::size_t>(i)], -1);
  }
}
inline void expect_one_step(const OnNetwork& on, const LargeCase& net, HostChains chains, const LangevinSteps& steps) {
  const HostChains before = chains;
  on(net)(steps, chains);
  expect_one_step(net, before, chains, steps);
}

inline void expect_noise_layout_of_small_dimensions(const OnNetwork& on) {
  for (const std::int64_t D : {1, 2, 3, 5}) {
    const LargeCase net(Nonlinearity::tanh, D, 40, 31);
    for (std::uint64_t first = 0; first < 4; ++first) {
      LangevinSteps steps = some_steps(1, Integrator::leimkuhler_matthews);
      steps.first_step = first;
      expect_one_step(on, net, HostChains(net, 33), steps);
    }
  }
}

inline void expect_shift_map_and_clamp(const OnNetwork& on) {
  for (const std::int64_t D : {40, 41}) {
    LargeCase net(Nonlinearity::softplus, D, 2, 100);
    net.add_shift();
    HostChains chains(net, 50);
    chains.hold_every(3);
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::baoab})
      expect_one_step(on, net, chains, some_steps(1, integrator));
    net.add_map();
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::baoab})
      expect_one_step(on, net, chains, some_steps(1, integrator));
  }
}

inline void expect_drift_alone_without_noise(const OnNetwork& on) {
  const LargeCase net(Nonlinearity::relu, 20, 0, 64);
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::baoab}) {
    LangevinSteps steps = some_steps(1, integrator);
    steps.noise_scale = 0.0f;
    steps.dt = 1.0f;
    expect_one_step(on, net, HostChains(net, 20), steps);
  }
}

/// A chain that starts at NaN, one at infinity and one beyond the bound: each reads NaN from its first bad step on, and
/// the others are what they are without them.
inline void expect_quarantine_spares_the_others(const OnNetwork& on, const LargeCase& net, std::int64_t n_steps,
                                                Integrator integrator = Integrator::euler_maruyama) {
  const Advance advance = on(net);
  LangevinSteps steps = some_steps(n_steps, integrator);
  steps.bound = 50.0f;
  HostChains well(net, 70), some_bad = well;
  advance(steps, well);
  some_bad.x(3, 2) = NAN;
  some_bad.x(33, 0) = INFINITY;
  some_bad.x(69, net.D - 1) = 1000.0f;
  advance(steps, some_bad);
  for (std::int64_t i = 0; i < 70; ++i) {
    const bool bad = i == 3 || i == 33 || i == 69;
    EXPECT_EQ(some_bad.bad[static_cast<std::size_t>(i)], bad ? 5 : -1) << "chain " << i;
    for (std::int64_t d = 0; d < net.D; ++d) {
      if (bad) {
        EXPECT_TRUE(std::isnan(some_bad.x(i, d)));
        EXPECT_TRUE(integrator != Integrator::baoab || std::isnan(some_bad.v(i, d)));
      } else {
        EXPECT_EQ(some_bad.x(i, d), well.x(i, d));
        EXPECT_EQ(some_bad.v(i, d), well.v(i, d));
      }
    }
  }
  steps.first_step = 99;  // the first bad step is set once
  advance(steps, some_bad);
  EXPECT_EQ(some_bad.bad[3], 5);
  EXPECT_TRUE(std::isnan(some_bad.x(3, 0)));
}

/// A chain that is doubled at each step from 1 on leaves `bound` at step `first_bad`.
inline void expect_first_bad_step(const OnNetwork& on, std::int64_t n_steps, float bound, std::int64_t first_bad) {
  LargeCase net(Nonlinearity::relu, 17, 0, 1);
  std::fill_n(net.W_out.data(), net.W_out.size(), 0.0f);  // f = -x: with dt = 3 the state is doubled and turned round
  LangevinSteps steps = some_steps(n_steps);
  steps.dt = 3.0f;
  steps.noise_scale = 0.0f;
  steps.bound = bound;
  HostChains chains(net, 2);
  std::fill_n(chains.x.data(), chains.x.size(), 0.0f);
  chains.x(1, 4) = 1.0f;
  on(net)(steps, chains);
  EXPECT_EQ(chains.bad[0], -1);
  EXPECT_EQ(chains.bad[1], first_bad);
  EXPECT_EQ(chains.x(0, 4), 0.0f);
  EXPECT_TRUE(std::isnan(chains.x(1, 0)));
}

}  // namespace tarn::test
