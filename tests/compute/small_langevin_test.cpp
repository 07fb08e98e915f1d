// Small-D chains: every step against double, the fixed order of summation bit by bit, the same path whatever runs
// beside, and the law that a long run settles at.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compute/momentum_checks.hpp"
#include "tarn/core/isa.hpp"

namespace tarn {
namespace {

using Chains = test::HostChains;
using test::some_steps;
using Net = test::LargeCase;  // its formulas hold for any D

constexpr Integrator plain_integrators[] = {Integrator::euler_maruyama, Integrator::leimkuhler_matthews};
using test::all_integrators;

class RestoreIsa {
 public:
  ~RestoreIsa() { use_isa(before_); }

 private:
  std::string before_{name_of(current_isa())};
};

TEST(SmallLangevin, TwentyStepsMatchDoubleOneByOneAndTogether) {
  const auto backend = make_cpu_backend(1);
  constexpr std::int64_t n_chains = 5, n_steps = 20;
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {1, 2, 3, 5, 16}) {
      for (const std::int64_t U : {0, 2}) {
        for (const std::int64_t N : {1, 31, 33, 257}) {
          for (const Integrator integrator : all_integrators) {
            SCOPED_TRACE(
                fmt::format("{} D {} U {} N {} integrator {}", name_of(phi), D, U, N, static_cast<int>(integrator)));
            Net net(phi, D, U, N);
            if (N == 31 || N == 257) net.add_shift();
            if (N == 33 || N == 257) net.add_map();
            const auto prepared = backend->prepare(net.view());
            Chains chains(net, n_chains);
            if (N == 33) chains.hold_every(2);
            LangevinSteps all = some_steps(n_steps, integrator);
            if (N == 1 && U == 2) all.noise_scale = 0.0f;  // the drift alone
            if (N == 31 && U == 2) all.noise_scale = 0.5f;
            Chains together = chains;
            backend->advance(*prepared, all, together.block());
            for (std::int64_t t = 0; t < n_steps; ++t) {
              LangevinSteps one = all;
              one.n_steps = 1;
              one.first_step += static_cast<std::uint64_t>(t);
              const Chains before = chains;
              backend->advance(*prepared, one, chains.block());
              test::expect_one_step(net, before, chains, one);
              if (HasFatalFailure()) return;
            }
            // the normal that two steps share is the same whether or not a call ends between them
            ASSERT_EQ(together.x, chains.x);
            ASSERT_EQ(together.v, chains.v);
          }
        }
      }
    }
  }
}

TEST(SmallLangevin, DriftAtPointsMatchesDouble) {
  const auto backend = make_cpu_backend(2);
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {1, 2, 3, 16}) {
      for (const std::int64_t U : {0, 1, 16}) {
        for (const std::int64_t n_points : {1, 31, 33, 257}) {
          Net net(phi, D, U, 65);
          if (U == 1) net.add_shift();
          if (n_points == 33) net.add_map();
          const auto prepared = backend->prepare(net.view());
          const Matrix<float> points = test::normal_matrix(n_points, D + U, 12);
          Matrix<float> out(n_points + 1, D);
          std::fill_n(out.row(n_points), D, 7.0f);  // a guard row
          backend->drift(*prepared, points, out.view().slice(0, n_points));
          test::expect_drift(net, points, out);
          for (std::int64_t d = 0; d < D; ++d) ASSERT_EQ(out(n_points, d), 7.0f);
        }
      }
    }
  }
}

// docs/architecture.md, decision 2, restated: neuron j into partial sum j mod 32, ascending, by fma; then lane p adds
// lane p xor s for s = 1, 2, 4, 8, 16, as a warp would.
template <Nonlinearity phi>
std::vector<float> restated_step(const Net& net, const LangevinSteps& steps, const float* x, const float* u,
                                 const float* xi) {
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  std::vector<float> f(at(net.D)), out(at(net.D));
  for (std::int64_t d = 0; d < net.D; ++d) {
    float lanes[32] = {};
    for (std::int64_t j = 0; j < net.N; ++j) {
      float h = std::fma(net.W_in(j, 0), x[0], net.b.data()[j]);
      for (std::int64_t k = 1; k < net.D + net.U; ++k) h = std::fma(net.W_in(j, k), k < net.D ? x[k] : u[k - net.D], h);
      lanes[j % 32] = std::fma(net.W_out(d, j), activate<phi>(h), lanes[j % 32]);
    }
    for (int s = 1; s < 32; s *= 2) {
      float next[32];
      for (int p = 0; p < 32; ++p) next[p] = lanes[p] + lanes[p ^ s];
      std::copy_n(next, 32, lanes);
    }
    f[at(d)] = lanes[0] - x[d];
    if (!net.c.empty()) f[at(d)] += net.c.data()[d];
  }
  const auto factor = static_cast<float>(std::sqrt(2.0 * steps.dt) * steps.noise_scale);
  for (std::int64_t d = 0; d < net.D; ++d) {
    float drift = f[at(d)];
    if (!net.M.empty()) {
      drift = f[0] * net.M(d, 0);
      for (std::int64_t i = 1; i < net.D; ++i) drift = std::fma(f[at(i)], net.M(d, i), drift);
    }
    out[at(d)] = std::fma(factor, xi[d], std::fma(steps.dt, drift, x[d]));
  }
  return out;
}

TEST(SmallLangevin, SumsInTheFixedOrderBitByBit) {
  const auto backend = make_cpu_backend(2);
  const RestoreIsa restore;
  constexpr std::int64_t n_chains = 35;
  for (const Isa isa : available_isas()) {
    use_isa(std::string(name_of(isa)));
    for (const Nonlinearity phi : test::all_nonlinearities) {
      for (const std::int64_t D : {1, 2, 3}) {
        for (const std::int64_t N : {1, 31, 33, 257}) {
          Net net(phi, D, D == 3 ? 2 : 0, N);
          if (N == 33) net.add_shift();
          if (N == 257) net.add_map();
          LangevinSteps steps = some_steps(1, Integrator::euler_maruyama);
          Chains chains(net, n_chains);
          const Chains before = chains;
          backend->advance(*backend->prepare(net.view()), steps, chains.block());
          Matrix<float> xi(n_chains, D);
          fill_normals(steps.seed, Stream::dynamics, steps.first_chain, steps.first_step, 1, xi);
          for (std::int64_t i = 0; i < n_chains; ++i) {
            const std::vector<float> expected = dispatch(phi, [&](auto kind) {
              return restated_step<kind.value>(net, steps, before.x.row(i), before.u.row(i), xi.row(i));
            });
            for (std::int64_t d = 0; d < D; ++d) {
              ASSERT_EQ(chains.x(i, d), expected[static_cast<std::size_t>(d)])
                  << name_of(isa) << " " << name_of(phi) << " D " << D << " N " << N << " chain " << i;
            }
          }
        }
      }
    }
  }
}

TEST(SmallLangevin, PathIsTheSameWhateverRunsBeside) {
  const RestoreIsa restore;
  struct Case {
    Nonlinearity phi;
    std::int64_t D, U, N;
  };
  for (const Case& c : {Case{Nonlinearity::relu, 1, 0, 100}, Case{Nonlinearity::leaky_relu, 2, 0, 77},
                        Case{Nonlinearity::tanh, 3, 2, 40}, Case{Nonlinearity::relu, 2, 1, 33},
                        Case{Nonlinearity::softplus, 5, 0, 33}, Case{Nonlinearity::sigmoid, 16, 2, 65}}) {
    for (const Integrator integrator : all_integrators) {
      SCOPED_TRACE(fmt::format("{} D {} integrator {}", name_of(c.phi), c.D, static_cast<int>(integrator)));
      const Net net(c.phi, c.D, c.U, c.N);
      const LangevinSteps steps = some_steps(20, integrator);
      const Chains start(net, 1000);
      Chains all = start;
      {
        const auto backend = make_cpu_backend(1);
        backend->advance(*backend->prepare(net.view()), steps, all.block());
      }
      const auto backend = make_cpu_backend(2);
      const auto prepared = backend->prepare(net.view());
      const auto from = [&](std::int64_t chain) {
        LangevinSteps s = steps;
        s.first_chain += static_cast<std::uint64_t>(chain);
        return s;
      };

      Chains threads = start;
      backend->advance(*prepared, steps, threads.block());
      EXPECT_EQ(threads.x, all.x) << "2 threads";
      EXPECT_EQ(threads.v, all.v) << "2 threads";

      for (const std::int64_t tile : {1, 7, 100, 333}) {
        Chains tiles = start;
        const std::int64_t end = tile == 1 ? 40 : 1000;
        for (std::int64_t i = 0; i < end; i += tile)
          backend->advance(*prepared, from(i), tiles.rows(i, std::min(i + tile, end)));
        EXPECT_TRUE(std::equal(tiles.x.row(0), tiles.x.row(0) + end * net.D, all.x.row(0))) << "tiles of " << tile;
      }
      for (const std::int64_t i : {0, 15, 16, 499, 999}) {
        Chains alone = start;
        backend->advance(*prepared, from(i), alone.rows(i, i + 1));
        EXPECT_TRUE(std::equal(alone.x.row(i), alone.x.row(i) + net.D, all.x.row(i))) << "chain " << i << " alone";
      }

      Chains calls = start;
      for (std::int64_t t = 0; t < 20;) {
        LangevinSteps s = steps;
        s.first_step += static_cast<std::uint64_t>(t);
        s.n_steps = std::min<std::int64_t>(1 + t % 6, 20 - t);
        t += s.n_steps;
        backend->advance(*prepared, s, calls.block());
      }
      EXPECT_EQ(calls.x, all.x) << "several calls";
      EXPECT_EQ(calls.v, all.v) << "several calls";

      for (const Isa isa : available_isas()) {
        use_isa(std::string(name_of(isa)));
        Chains other = start;
        backend->advance(*prepared, steps, other.rows(0, 150));
        EXPECT_TRUE(std::equal(other.x.row(0), other.x.row(150), all.x.row(0))) << name_of(isa);
      }
      use_isa("");
    }
  }
}

// A chain that starts at NaN, one at infinity and one beyond the bound: each reads NaN from its first bad step on, and
// the others keep the bits they have without them.
TEST(SmallLangevin, QuarantineSparesTheOthers) {
  const auto backend = make_cpu_backend(2);
  for (const std::int64_t D : {1, 2, 5}) {
    const Net net(Nonlinearity::relu, D, 0, 64);
    const auto prepared = backend->prepare(net.view());
    LangevinSteps steps = some_steps(4, Integrator::euler_maruyama);
    steps.bound = 50.0f;
    Chains well(net, 300), some_bad = well;
    backend->advance(*prepared, steps, well.block());
    some_bad.x(3, D - 1) = NAN;
    some_bad.x(4, 0) = -INFINITY;
    some_bad.x(299, D - 1) = 1000.0f;
    backend->advance(*prepared, steps, some_bad.block());
    for (std::int64_t i = 0; i < 300; ++i) {
      const bool bad = i == 3 || i == 4 || i == 299;
      EXPECT_EQ(some_bad.bad[static_cast<std::size_t>(i)], bad ? 5 : -1) << "chain " << i;
      for (std::int64_t d = 0; d < D; ++d) {
        if (bad) {
          EXPECT_TRUE(std::isnan(some_bad.x(i, d))) << "chain " << i;
        } else {
          EXPECT_EQ(some_bad.x(i, d), well.x(i, d)) << "chain " << i;
        }
      }
    }
    steps.first_step = 9;
    backend->advance(*prepared, steps, some_bad.block());
    EXPECT_EQ(some_bad.bad[3], 5) << "the first bad step is set once";
    EXPECT_TRUE(std::isnan(some_bad.x(3, 0)));
  }
}

TEST(SmallLangevin, FirstBadStepIsTheStepThatLeavesTheBound) {
  const auto backend = make_cpu_backend(1);
  Net net(Nonlinearity::relu, 2, 0, 1);
  std::fill_n(net.W_out.data(), 2, 0.0f);  // f = -x: with dt = 3 the state is doubled and turned round
  const auto prepared = backend->prepare(net.view());
  LangevinSteps steps = some_steps(10, Integrator::euler_maruyama);
  steps.dt = 3.0f;
  steps.noise_scale = 0.0f;
  Chains chains(net, 3);
  std::fill_n(chains.x.data(), chains.x.size(), 0.0f);
  chains.x(1, 1) = 1.0f;   // 2, 4, 8, 16: out at the fourth step, number 8
  chains.x(2, 0) = 1e30f;  // its square is not a float: beyond any bound
  steps.bound = 10.0f;
  backend->advance(*prepared, steps, chains.block());
  EXPECT_EQ(chains.bad, (std::vector<std::int64_t>{-1, 8, 5}));
  EXPECT_EQ(chains.x(0, 1), 0.0f);
  EXPECT_TRUE(std::isnan(chains.x(1, 0)));

  Chains unbounded(net, 1);
  std::fill_n(unbounded.x.data(), 2, 1.0f);
  steps.bound = std::numeric_limits<float>::infinity();
  backend->advance(*prepared, steps, unbounded.block());
  EXPECT_EQ(unbounded.bad[0], -1);
  EXPECT_EQ(unbounded.x(0, 0), 1024.0f);
}

// Linear drift f = -k x from a pair of relu neurons, W_out (relu(x) - relu(-x)) = (1 - k) x. With a = 1 - k dt:
// Euler-Maruyama settles at variance 2 dt / (1 - a^2) = 1 / (k (1 - k dt / 2)). Leimkuhler-Matthews adds c (xi_n +
// xi_{n+1}), c^2 = dt/2, and x_n holds c xi_n already: V (1 - a^2) = 2 c^2 + 2 a c^2, so V = 2 c^2 / (1 - a) = 1/k,
// without any error.
TEST(SmallLangevin, UnadjustedChainSettlesAtItsOwnVariance) {
  const auto backend = make_cpu_backend(2);
  for (const std::int64_t D : {1, 2, 3}) {
    for (const double k : {0.5, 2.0}) {
      for (const Integrator integrator : plain_integrators) {
        Net net(Nonlinearity::relu, D, 0, 2 * D);
        std::fill_n(net.W_in.data(), net.W_in.size(), 0.0f);
        std::fill_n(net.W_out.data(), net.W_out.size(), 0.0f);
        std::fill_n(net.b.data(), net.b.size(), 0.0f);
        for (std::int64_t d = 0; d < D; ++d) {
          net.W_in(2 * d, d) = 1.0f;
          net.W_in(2 * d + 1, d) = -1.0f;
          net.W_out(d, 2 * d) = static_cast<float>(1.0 - k);
          net.W_out(d, 2 * d + 1) = static_cast<float>(k - 1.0);
        }
        LangevinSteps steps = some_steps(120, integrator);
        steps.dt = static_cast<float>(0.5 / k);  // a = 1/2: after 120 steps the start is forgotten to 2^-120
        constexpr std::int64_t n_chains = 50000;
        Chains chains(net, n_chains);
        backend->advance(*backend->prepare(net.view()), steps, chains.block());
        const double expected =
            integrator == Integrator::euler_maruyama ? 1.0 / (k * (1.0 - 0.5 * k * steps.dt)) : 1.0 / k;
        double square = 0.0, sum = 0.0;
        for (std::int64_t i = 0; i < chains.x.size(); ++i) {
          square += static_cast<double>(chains.x.data()[i]) * chains.x.data()[i];
          sum += chains.x.data()[i];
        }
        const auto n = static_cast<double>(chains.x.size());
        // 5 standard deviations each, 24 checks in all: a false alarm once in 70000 seeds; the seed is fixed
        EXPECT_NEAR(square / n / expected, 1.0, 5.0 * std::sqrt(2.0 / n)) << "D " << D << " k " << k;
        EXPECT_NEAR(sum / n, 0.0, 5.0 * std::sqrt(expected / n));
      }
    }
  }
}

TEST(SmallLangevin, MomentumIsBaoab) {
  const std::shared_ptr<Backend> backend = make_cpu_backend(2);
  const test::OnNetwork on_cpu = [&](const Net& net) -> test::Advance {
    const std::shared_ptr<PreparedNetwork> prepared = backend->prepare(net.view());
    return [backend, prepared](const LangevinSteps& steps, Chains& chains) {
      backend->advance(*prepared, steps, chains.block());
    };
  };
  for (const std::int64_t D : {1, 2, 5}) test::expect_momentum(on_cpu, D);
}

// Linear drift -k x: a step is linear in (x, v), and its stationary covariance is [[1/k, dt/2], [dt/2, 1]] for any step and friction below
// the limit of stability, dt sqrt(k) = 2. So the law of x has no error at all, here at three quarters of that limit.
TEST(SmallLangevin, MomentumKeepsTheLawOfAQuadraticWellExactly) {
  const auto backend = make_cpu_backend(2);
  for (const double k : {0.5, 4.0}) {
    for (const double friction : {0.3, 3.0}) {
      Net net(Nonlinearity::relu, 1, 0, 2);
      std::fill_n(net.b.data(), 2, 0.0f);
      net.W_in(0, 0) = 1.0f;
      net.W_in(1, 0) = -1.0f;
      net.W_out(0, 0) = static_cast<float>(1.0 - k);
      net.W_out(0, 1) = static_cast<float>(k - 1.0);
      LangevinSteps steps = some_steps(200, Integrator::baoab);
      steps.dt = static_cast<float>(1.5 / std::sqrt(k));
      steps.friction = static_cast<float>(friction * std::sqrt(k));
      constexpr std::int64_t n_chains = 100000;
      Chains chains(net, n_chains);
      for (std::int64_t i = 0; i < n_chains; ++i) chains.x(i, 0) = 3.0f;  // forgotten to e^-40 at least
      backend->advance(*backend->prepare(net.view()), steps, chains.block());
      double xx = 0.0, xv = 0.0, vv = 0.0;
      for (std::int64_t i = 0; i < n_chains; ++i) {
        const double x = chains.x(i, 0), v = chains.v(i, 0);
        xx += x * x / n_chains;
        xv += x * v / n_chains;
        vv += v * v / n_chains;
      }
      const double dt = steps.dt, n = n_chains;
      // 5 standard deviations each, 12 checks: a false alarm once in 140000 seeds; the seed is fixed
      EXPECT_NEAR(xx * k, 1.0, 5.0 * std::sqrt(2.0 / n)) << "k " << k << " friction " << friction;
      EXPECT_NEAR(vv, 1.0, 5.0 * std::sqrt(2.0 / n)) << "k " << k << " friction " << friction;
      EXPECT_NEAR(xv, 0.5 * dt, 5.0 * std::sqrt((1.0 / k + 0.25 * dt * dt) / n))
          << "k " << k << " friction " << friction;
    }
  }
}

TEST(SmallLangevin, RefusesWhatDoesNotFit) {
  const auto backend = make_cpu_backend(1);
  const Net net(Nonlinearity::relu, 2, 1, 8);
  const auto prepared = backend->prepare(net.view());
  const LangevinSteps steps = some_steps(1, Integrator::euler_maruyama);
  Chains chains(net, 3);
  const auto refuses = [&](const LangevinSteps& s, const ChainBlock& block) {
    EXPECT_THROW(backend->advance(*prepared, s, block), Error);
  };
  ChainBlock block = chains.block();
  block.u = {};
  refuses(steps, block);
  block = chains.block();
  block.first_bad_step = nullptr;
  refuses(steps, block);
  Matrix<float> wide(3, 3);
  block = chains.block();
  block.x = wide;
  refuses(steps, block);
  block = chains.block();
  block.clamp = wide;
  refuses(steps, block);
  LangevinSteps wrong = steps;
  wrong.dt = 0.0f;
  refuses(wrong, chains.block());
  wrong = steps;
  wrong.integrator = Integrator::baoab;
  block = chains.block();
  block.v = {};
  refuses(wrong, block);
  block.v = wide;
  refuses(wrong, block);
  for (const float friction : {0.0f, -1.0f, INFINITY}) {
    wrong.friction = friction;
    refuses(wrong, chains.block());
  }
  wrong = steps;
  wrong.bound = NAN;
  refuses(wrong, chains.block());
  NetworkView empty = net.view();
  empty.n_neurons = 0;
  EXPECT_THROW(backend->prepare(empty), Error);
}

}  // namespace
}  // namespace tarn
