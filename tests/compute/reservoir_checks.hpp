// Reservoirs, and what reservoir mode must be on any backend.
#pragma once

#include "compute/langevin_checks.hpp"

namespace tarn::test {

/// P = W_out^T (W_out W_out^T)^-1 by Gauss-Jordan in double.
inline Matrix<float> right_inverse(const LargeCase& net) {
  const std::int64_t D = net.D, N = net.N;
  Matrix<double> a(D, 2 * D);
  for (std::int64_t i = 0; i < D; ++i) {
    a(i, D + i) = 1.0;
    for (std::int64_t k = 0; k < D; ++k) {
      for (std::int64_t j = 0; j < N; ++j) a(i, k) += static_cast<double>(net.W_out(i, j)) * net.W_out(k, j);
    }
  }
  for (std::int64_t p = 0; p < D; ++p) {  // positive definite: no pivoting needed
    const double pivot = a(p, p);
    for (std::int64_t k = 0; k < 2 * D; ++k) a(p, k) /= pivot;
    for (std::int64_t i = 0; i < D; ++i) {
      const double factor = i == p ? 0.0 : a(i, p);
      for (std::int64_t k = 0; k < 2 * D; ++k) a(i, k) -= factor * a(p, k);
    }
  }
  Matrix<float> P(N, D);
  for (std::int64_t j = 0; j < N; ++j) {
    for (std::int64_t d = 0; d < D; ++d) {
      double sum = 0.0;
      for (std::int64_t i = 0; i < D; ++i) sum += net.W_out(i, j) * a(i, D + d);
      P(j, d) = static_cast<float>(sum);
    }
  }
  return P;
}

inline HostChains reservoir(const LargeCase& net, std::int64_t n, bool private_noise = false) {
  HostChains chains(net, n);
  chains.r = normal_matrix(n, net.N, 20);
  chains.x = Matrix<float>(n, net.D);
  chains.P = right_inverse(net);
  if (private_noise) {
    chains.private_noise = normal_matrix(1, net.N, 23);
    for (std::int64_t j = 0; j < net.N; ++j) chains.private_noise(0, j) = 0.5f + std::fabs(chains.private_noise(0, j));
  }
  return chains;
}

inline std::vector<double> outputs(const LargeCase& net, const float* r) {
  std::vector<double> x(static_cast<std::size_t>(net.D));
  for (std::int64_t d = 0; d < net.D; ++d) {
    for (std::int64_t j = 0; j < net.N; ++j)
      x[static_cast<std::size_t>(d)] += static_cast<double>(net.W_out(d, j)) * r[j];
  }
  return x;
}

/// One step of all of r against double: r' = r + dt (-r + phi) + (noise + dt (f - g)) P^T, g = -x + phi W_out^T, and
/// with private noise its own in place of the noise in the bracket.
inline void expect_one_reservoir_step(const OnNetwork& on, const LargeCase& net, HostChains state,
                                      const LangevinSteps& steps) {
  const Matrix<float> before = state.r;
  const bool own = !state.private_noise.empty();
  on(net)(steps, state);
  for (std::int64_t i = 0; i < before.rows(); ++i) {
    const std::vector<double> x = outputs(net, before.row(i));
    std::vector<float> rounded(x.begin(), x.end());
    const auto f = reference_drift(net, rounded.data(), state.u.row(i)),
               g = reference_drift(net, rounded.data(), state.u.row(i), false);
    const std::uint64_t chain = steps.first_chain + static_cast<std::uint64_t>(i);
    const auto noise = reference_noise(steps, chain, steps.first_step, own ? net.N : net.D);
    for (std::int64_t j = 0; j < net.N; ++j) {
      double u = net.b.data()[j], size = 0.0, kick = 0.0, kick_size = 0.0;
      for (std::int64_t k = 0; k < net.D + net.U; ++k) {
        const double w = net.W_in(j, k);
        u += w * (k < net.D ? x[static_cast<std::size_t>(k)] : state.u(i, k - net.D));
        size += std::fabs(w) * static_cast<double>(net.N);  // x itself is a sum of N terms of about W_out r
      }
      for (std::int64_t d = 0; d < net.D; ++d) {
        const auto at = static_cast<std::size_t>(d);
        const double y = (own ? 0.0 : noise[at]) + static_cast<double>(steps.dt) * (f[at].value - g[at].value);
        kick += y * state.P(j, d);
        kick_size += std::fabs(state.P(j, d)) * (std::fabs(y) * static_cast<double>(net.D + 4) +
                                                 steps.dt * (f[at].error + g[at].error) / half_ulp);
      }
      if (own) {
        const double xi = noise[static_cast<std::size_t>(j)] * state.private_noise(0, j);
        kick += xi;
        kick_size += 6 * std::fabs(xi);
      }
      const double expected =
          before(i, j) + static_cast<double>(steps.dt) * (-before(i, j) + reference_phi(net.phi, u)) + kick;
      const double bound =
          half_ulp * (4 * std::fabs(before(i, j)) + steps.dt * (size + 8 * std::fabs(u) + 8) + kick_size);
      ASSERT_NEAR(state.r(i, j), expected, bound)
          << "D " << net.D << ", N " << net.N << ", chain " << i << ", neuron " << j;
    }
    const std::vector<double> after = outputs(net, state.r.row(i));
    for (std::int64_t d = 0; d < net.D; ++d) ASSERT_NEAR(state.x(i, d), after[static_cast<std::size_t>(d)], 1e-5);
  }
}

/// The output of the reservoir follows the output dynamics: with the same noise, both agree to rounding, which a drift
/// that contracts (as -x does here) keeps from growing.
inline void expect_agreement_with_output_mode(const OnNetwork& on, std::int64_t n_chains, std::int64_t n_steps) {
  for (const bool irreversible : {false, true}) {
    LargeCase net(Nonlinearity::relu, 18, 0, 150);
    if (irreversible) net.add_map();
    for (std::int64_t i = 0; i < net.W_out.size(); ++i) net.W_out.data()[i] *= 0.3f;
    const Advance advance = on(net);
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
      HostChains state = reservoir(net, n_chains), out(net, n_chains);
      advance(some_steps(0), state);
      out.x = state.x;
      advance(some_steps(n_steps, integrator), out);
      advance(some_steps(n_steps, integrator), state);
      double worst = 0.0, largest = 0.0;
      for (std::int64_t i = 0; i < out.x.size(); ++i) {
        worst = std::max(worst, std::fabs(static_cast<double>(out.x.data()[i]) - state.x.data()[i]));
        largest = std::max(largest, std::fabs(static_cast<double>(out.x.data()[i])));
      }
      // rounding errors of about N half ulp of r W_out a step, damped at rate 1: a few times 150 * 2^-24 * 10
      EXPECT_LT(worst, 1e-4);
      EXPECT_GT(largest, 1.0);  // it did move
    }
  }
}

inline void expect_reservoir_quarantine_spares_the_others(const OnNetwork& on, std::int64_t n_steps) {
  const LargeCase net(Nonlinearity::relu, 18, 0, 60);
  const Advance advance = on(net);
  LangevinSteps steps = some_steps(n_steps);
  steps.bound = 1000.0f;
  HostChains well = reservoir(net, 40), some_bad = well;
  advance(steps, well);
  some_bad.r(7, 59) = NAN;
  some_bad.r(39, 0) = 1e6f;
  advance(steps, some_bad);
  for (std::int64_t i = 0; i < 40; ++i) {
    const bool bad = i == 7 || i == 39;
    EXPECT_EQ(some_bad.bad[static_cast<std::size_t>(i)], bad ? 5 : -1);
    for (std::int64_t j = 0; j < net.N; ++j) {
      if (bad) {
        ASSERT_TRUE(std::isnan(some_bad.r(i, j))) << "chain " << i << ", neuron " << j;
      } else {
        ASSERT_EQ(some_bad.r(i, j), well.r(i, j));
      }
    }
    for (std::int64_t d = 0; d < net.D; ++d) ASSERT_EQ(std::isnan(some_bad.x(i, d)), bad);
  }
}

inline void expect_clamped_outputs_held_by_the_neurons(const OnNetwork& on) {
  const LargeCase net(Nonlinearity::relu, 18, 0, 90);
  HostChains state = reservoir(net, 35);
  state.hold_every(2);
  on(net)(some_steps(20), state);
  for (std::int64_t i = 0; i < 35; ++i) {
    const std::vector<double> x = outputs(net, state.r.row(i));
    for (std::int64_t d = 0; d < 18; ++d) {
      if (std::isnan(state.clamp(i, d))) continue;
      EXPECT_EQ(state.x(i, d), state.clamp(i, d));
      EXPECT_NEAR(x[static_cast<std::size_t>(d)], state.clamp(i, d), 2e-5);  // W_out P = I to rounding
    }
  }
}

}  // namespace tarn::test
