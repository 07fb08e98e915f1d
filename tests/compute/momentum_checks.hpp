// What chains with momentum must do on any backend, beyond single steps (langevin_checks.hpp).
#pragma once

#include "compute/langevin_checks.hpp"

namespace tarn::test {

/// The path of BAOAB as it is written in the literature, with two half kicks a step, in double: the half kick that closes a step is the
/// first thing that the next one does, so x is the same. 30 steps under a drift that contracts; the rounding of a step is some N 2^-24 dt.
inline void expect_path_of_two_half_kicks(const OnNetwork& on, const LargeCase& net) {
  LangevinSteps steps = some_steps(30, Integrator::baoab);
  steps.dt = 0.25f;
  steps.friction = 0.8f;
  HostChains chains(net, 20);
  const HostChains start = chains;
  on(net)(steps, chains);
  const double dt = steps.dt, keep = std::exp(-static_cast<double>(steps.friction) * dt);
  for (std::int64_t i = 0; i < start.x.rows(); ++i) {
    std::vector<float> x(start.x.row(i), start.x.row(i) + net.D);
    std::vector<double> v(start.v.row(i), start.v.row(i) + net.D), exact(x.begin(), x.end());
    const auto half_kick = [&] {
      for (std::int64_t d = 0; d < net.D; ++d)
        x[static_cast<std::size_t>(d)] = static_cast<float>(exact[static_cast<std::size_t>(d)]);
      const auto f = reference_drift(net, x.data(), start.u.row(i));
      for (std::size_t d = 0; d < v.size(); ++d) v[d] += 0.5 * dt * f[d].value;
    };
    half_kick();  // closes the step before the first one
    for (std::int64_t t = 0; t < steps.n_steps; ++t) {
      half_kick();
      const auto xi = reference_noise(steps, steps.first_chain + static_cast<std::uint64_t>(i),
                                      steps.first_step + static_cast<std::uint64_t>(t), net.D);
      for (std::size_t d = 0; d < v.size(); ++d) {
        exact[d] += 0.5 * dt * v[d];
        v[d] = keep * v[d] + std::sqrt(1.0 - keep * keep) * xi[d];
        exact[d] += 0.5 * dt * v[d];
      }
      half_kick();
    }
    for (std::int64_t d = 0; d < net.D; ++d)
      ASSERT_NEAR(chains.x(i, d), exact[static_cast<std::size_t>(d)], 2e-5) << "chain " << i << ", component " << d;
  }
}

/// Where friction leaves nothing of v from step to step, what remains is Leimkuhler and Matthews' method with dt^2 / 2 as its step: v is
/// the normal of the step before, and enters x at half weight together with the new one.
inline void expect_leimkuhler_matthews_at_full_friction(const OnNetwork& on, const LargeCase& net) {
  const Advance advance = on(net);
  LangevinSteps momentum = some_steps(12, Integrator::baoab);
  momentum.dt = 0.25f;
  momentum.friction = 1e4f;
  HostChains with(net, 20), without = with;
  fill_normals(momentum.seed, Stream::dynamics, momentum.first_chain, momentum.first_step, 1, with.v);
  LangevinSteps plain = some_steps(12, Integrator::leimkuhler_matthews);
  plain.dt = 0.5f * momentum.dt * momentum.dt;
  momentum.first_step += 1;
  advance(momentum, with);
  advance(plain, without);
  for (std::int64_t i = 0; i < with.x.size(); ++i) ASSERT_NEAR(with.x.data()[i], without.x.data()[i], 1e-5) << i;
}

/// An output that is held has no momentum, also once it is let go.
inline void expect_no_momentum_where_held(const OnNetwork& on, const LargeCase& net) {
  HostChains chains(net, 33);
  chains.hold_every(3);
  const Matrix<float> clamp = chains.clamp;
  on(net)(some_steps(9, Integrator::baoab), chains);
  for (std::int64_t i = 0; i < clamp.size(); ++i) {
    if (std::isnan(clamp.data()[i])) {
      EXPECT_NE(chains.v.data()[i], 0.0f);
    } else {
      EXPECT_EQ(chains.v.data()[i], 0.0f);
      EXPECT_EQ(chains.x.data()[i], clamp.data()[i]);
    }
  }
}

inline void expect_momentum(const OnNetwork& on, std::int64_t D) {
  LargeCase net(Nonlinearity::tanh, D, 1, 60);
  expect_path_of_two_half_kicks(on, net);
  expect_leimkuhler_matthews_at_full_friction(on, net);
  expect_no_momentum_where_held(on, net);
  net.add_map();
  net.add_shift();
  expect_path_of_two_half_kicks(on, net);
}

}  // namespace tarn::test
