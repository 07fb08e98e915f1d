// Fused training steps of small networks: gradients against double, whole sessions against the papers' formulas in
// double, the same bits however a run is cut up, and a law whose best score is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compute/dsm_session_checks.hpp"
#include "tarn/core/isa.hpp"

namespace tarn {
namespace {

using test::half_ulp;
using test::normal_matrix;
using test::NormalSource;
using test::Rows;
using test::scaled_level;
using test::some_parameters;
using test::Weights;

DsmLevel plain_level() {
  DsmLevel level;
  level.sigma = 0.7;
  return level;
}
DsmLevel confined_level() { return test::confined_level(true, 3); }

TEST(SmallDsm, GradientMatchesDouble) {
  const auto backend = make_cpu_backend(1);
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {1, 2, 3, 16}) {
      for (const std::int64_t U : {0, 1, 2}) {
        for (const std::int64_t N : {1, 15, 31, 33, 257}) {
          for (const DsmLevel& level : {plain_level(), scaled_level()}) {
            const std::int64_t B = N == 33 ? 1 : 31;
            const DsmParameters p = some_parameters(phi, D, U, N);
            const Matrix<float> x = normal_matrix(B, D + U, 30), xi = normal_matrix(B, D, 31);
            DsmParameters found;
            const DsmLoss loss = backend->dsm_gradient(p, level, {x, xi}, found);
            const Rows rows = test::rows_of_batch(x, xi, level.sigma);
            const Weights w(p);
            Weights expected = w, size = w;
            test::gradients(w, rows, level, expected, size);
            SCOPED_TRACE(fmt::format("{} D {} U {} N {} sigma {}", name_of(phi), D, U, N, level.sigma));
            // sums of magnitudes times the roundings on the longest way into a gradient: sums over D + U, N and the
            // rows, and some 40 in phi, its slope and the factors
            const double roundings = half_ulp * static_cast<double>(2 * D + U + N + B + 40);
            const auto compare = [&](const Matrix<float>& a, const Matrix<double>& b, const Matrix<double>& s,
                                     const char* name) {
              ASSERT_EQ(a.size(), b.size());
              for (std::int64_t i = 0; i < a.size(); ++i) {
                ASSERT_NEAR(a.data()[i], b.data()[i], roundings * s.data()[i] + 1e-30) << name << " " << i;
              }
            };
            compare(found.W_in, expected.W_in, size.W_in, "dW_in");
            compare(found.b, expected.b, size.b, "db");
            compare(found.V, expected.V, size.V, "dV");
            double plain = 0.0, excess = 0.0;
            test::objective(w, rows, level, &plain, &excess);
            // a single row may have a residual far below the score and the target that it is the sum of, which are about 1
            EXPECT_NEAR(loss.loss, plain, 1e-5 * (1.0 + plain));
            EXPECT_NEAR(loss.excess, excess, 1e-5 * (1.0 + plain));
            EXPECT_EQ(loss.gradient_norm, 0.0);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

// Independent of any gradient written out by hand: central differences, in double, of the loss as dsm.hpp states it.
TEST(SmallDsm, GradientIsTheSlopeOfTheLoss) {
  const auto backend = make_cpu_backend(1);
  for (const Nonlinearity phi : {Nonlinearity::tanh, Nonlinearity::softplus, Nonlinearity::sigmoid}) {
    for (const std::int64_t D : {1, 2, 3}) {
      const DsmLevel level = scaled_level();
      const DsmParameters p = some_parameters(phi, D, 1, 18);
      const Matrix<float> x = normal_matrix(9, D + 1, 30), xi = normal_matrix(9, D, 31);
      DsmParameters found;
      backend->dsm_gradient(p, level, {x, xi}, found);
      const auto loss = [&](const Weights& w) {
        double total = 0.0;
        for (std::int64_t i = 0; i < 9; ++i) {
          std::vector<double> noisy(x.row(i), x.row(i) + D + 1);
          for (std::int64_t d = 0; d < D; ++d) noisy[static_cast<std::size_t>(d)] += level.sigma * xi(i, d);
          for (std::int64_t d = 0; d < D; ++d) {
            double s = -noisy[static_cast<std::size_t>(d)];
            for (std::int64_t j = 0; j < 18; ++j) {
              double u = w.b(0, j);
              for (std::int64_t k = 0; k <= D; ++k) u += w.W_in(j, k) * noisy[static_cast<std::size_t>(k)];
              s += level.output_scale * w.V(d, j) * test::reference_phi(phi, u);
            }
            const double e = s + xi(i, d) / level.sigma;
            total += level.loss_scale * 0.5 * e * e / 9.0;
          }
        }
        return total;
      };
      Weights w(p);
      const auto check = [&](Matrix<double>& m, const Matrix<float>& g) {
        for (std::int64_t i = 0; i < m.size(); i += 5) {
          const double keep = m.data()[i], h = 1e-5;
          m.data()[i] = keep + h;
          const double up = loss(w);
          m.data()[i] = keep - h;
          const double down = loss(w);
          m.data()[i] = keep;
          ASSERT_NEAR((up - down) / (2 * h), g.data()[i], 2e-4 * (1.0 + std::fabs(g.data()[i])))
              << name_of(phi) << " D " << D;
        }
      };
      check(w.W_in, found.W_in);
      check(w.b, found.b);
      check(w.V, found.V);
    }
  }
}

using test::Trained;
Trained train(const DsmParameters& p, const OptimizerSettings& o, const DsmLevel& level, std::int64_t B,
              const std::vector<float>& rates, int n_threads = 1, std::size_t steps_a_call = 1000000) {
  return test::train(*make_cpu_backend(n_threads)->make_dsm_session(p, o), p, level, B, rates, steps_a_call);
}

// What the session's rounding leaves of the optimiser's steps.
void expect_training(const DsmParameters& p, const OptimizerSettings& o, const DsmLevel& level, std::int64_t B,
                     const std::vector<float>& rates) {
  test::expect_training(train(p, o, level, B, rates), p, o, level, B, rates, {1e-4, 0.1});
}

TEST(SmallDsmSession, AdamWithDecayAndRunningMean) {
  OptimizerSettings o;
  o.weight_decay = 1e-2;
  o.ema = 0.9;
  for (const std::int64_t D : {1, 2, 3}) {
    expect_training(some_parameters(Nonlinearity::relu, D, 0, 65), o, plain_level(), 24,
                    {1e-3f, 2e-3f, 1e-3f, 5e-4f, 1e-4f});
  }
}

TEST(SmallDsmSession, AmsgradWithInputsAndOddSizes) {
  OptimizerSettings o;
  o.amsgrad = true;
  for (const std::int64_t D : {1, 2, 3, 16}) {
    expect_training(some_parameters(Nonlinearity::tanh, D, 1, 33), o, scaled_level(), 33,
                    {1e-3f, 5e-3f, 1e-3f, 1e-4f, 1e-3f});
  }
}

TEST(SmallDsmSession, AdamwWithClipping) {
  for (const bool amsgrad : {false, true}) {
    OptimizerSettings o;
    o.kind = OptimizerKind::adamw;
    o.weight_decay = 0.1;
    o.clip_norm = 0.5;
    o.amsgrad = amsgrad;
    o.ema = 0.5;
    expect_training(some_parameters(Nonlinearity::softplus, 2, 1, 40), o, plain_level(), 16,
                    std::vector<float>(5, 1e-3f));
  }
}

TEST(SmallDsmSession, ClippingLeavesSmallGradientsAlone) {
  OptimizerSettings o;
  o.clip_norm = 1e6;
  const std::vector<float> rates(4, 1e-3f);
  const DsmParameters p = some_parameters(Nonlinearity::relu, 2, 0, 40);
  const Trained clipped = train(p, o, plain_level(), 16, rates);
  o.clip_norm = 0.0;
  test::expect_same(clipped.parameters, train(p, o, plain_level(), 16, rates).parameters);
  EXPECT_GT(clipped.losses[0].gradient_norm, 0.0);
}

TEST(SmallDsmSession, AntitheticPairsAndConfinementPoints) {
  OptimizerSettings o;
  o.ema = 0.5;
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {1, 2, 3}) {
      for (const std::int64_t U : {0, 1})
        expect_training(some_parameters(phi, D, U, 50), o, confined_level(), 12, std::vector<float>(5, 1e-3f));
    }
  }
}

TEST(SmallDsmSession, SameBitsForAnyNumberOfCallsThreadsAndInstructionSets) {
  const std::string before(name_of(current_isa()));
  const std::vector<float> rates(600, 1e-3f);  // more than one chunk of rows
  for (const double clip : {0.0, 1.0}) {
    for (const std::int64_t D : {1, 2, 3}) {
      OptimizerSettings o;
      o.ema = 0.99;
      o.amsgrad = D == 2;
      o.clip_norm = clip;
      const DsmParameters p = some_parameters(D == 3 ? Nonlinearity::tanh : Nonlinearity::relu, D, 0, 37);
      const Trained one = train(p, o, confined_level(), 64, rates);
      const auto same = [&](const Trained& other) { test::expect_same(other, one); };
      same(train(p, o, confined_level(), 64, rates, 2, 7));
      same(train(p, o, confined_level(), 64, rates, 1, 1));
      for (const Isa isa : available_isas()) {
        use_isa(std::string(name_of(isa)));
        SCOPED_TRACE(name_of(isa));
        same(train(p, o, confined_level(), 64, rates));
      }
      use_isa(before);
    }
  }
}

TEST(SmallDsmSession, ResettingStartsAnew) {
  OptimizerSettings o;
  o.amsgrad = true;
  o.ema = 0.9;
  const std::vector<float> rates(3, 1e-3f);
  std::vector<DsmLoss> losses(3);
  NormalSource source(2);
  const auto backend = make_cpu_backend(1);
  const auto session = backend->make_dsm_session(some_parameters(Nonlinearity::relu, 2, 0, 30), o);
  session->run(source, plain_level(), 16, 8, 0, rates, losses);
  EXPECT_NE(session->averaged().V, session->parameters().V);
  session->reset_optimizer();
  session->reset_average();
  const DsmParameters half = session->parameters();
  test::expect_same(session->averaged(), half);
  session->run(source, plain_level(), 16, 8, 3, rates, losses);
  const auto fresh = backend->make_dsm_session(half, o);
  fresh->run(source, plain_level(), 16, 8, 3, rates, losses);
  test::expect_same(session->parameters(), fresh->parameters());
  test::expect_same(session->averaged(), fresh->averaged());
}

TEST(SmallDsmSession, RefusesWhatDoesNotFitAndShowsNan) {
  const auto backend = make_cpu_backend(1);
  DsmParameters wrong = some_parameters(Nonlinearity::relu, 2, 0, 30);
  wrong.V = Matrix<float>(2, 29);
  EXPECT_THROW(backend->make_dsm_session(wrong, {}), Error);
  DsmParameters p = some_parameters(Nonlinearity::relu, 2, 0, 30);
  NormalSource three(3), two(2);
  std::vector<float> rates(1, 1e-3f);
  std::vector<DsmLoss> losses(1);
  EXPECT_THROW(backend->make_dsm_session(p, {})->run(three, plain_level(), 16, 8, 0, rates, losses), Error);
  EXPECT_THROW(backend->make_dsm_session(p, {})->run(two, confined_level(), 15, 8, 0, rates, losses), Error)
      << "odd and antithetic";
  p.V(1, 4) = NAN;
  EXPECT_TRUE(std::isnan(train(p, {}, plain_level(), 16, {1e-3f}).losses[0].loss));
}

/// Data N(m, s^2) in one dimension.
class GaussianSource final : public BatchSource {
 public:
  GaussianSource(double m, double s) : m_(m), s_(s) {}
  std::int64_t n_columns() const override { return 1; }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 1000; }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    fill_normals(4, Stream::synthetic_data, 0, static_cast<std::uint64_t>(first_step), n_steps, out);
    for (std::int64_t i = 0; i < out.size(); ++i) out.data[i] = static_cast<float>(m_ + s_ * out.data[i]);
  }

 private:
  double m_, s_;
};

// For data N(m, s^2) and noise sigma the best score is -(x - m) / (s^2 + sigma^2). Root mean square error over the law,
// as a share of the score's own: a prototype in double reaches 0.01 to 0.02, and a network that learned nothing has
// about 1.
TEST(SmallDsmSession, FindsTheScoreOfAGaussian) {
  const auto backend = make_cpu_backend(1);
  for (const bool scaled : {false, true}) {
    const double m = 0.5, s = 0.6, sigma = 0.4, variance = s * s + sigma * sigma;
    GaussianSource source(m, s);
    DsmLevel level;
    level.sigma = sigma;
    level.antithetic = true;
    if (scaled) {
      level.output_scale = 1.0 / (sigma * sigma);
      level.loss_scale = sigma * sigma;
    }
    OptimizerSettings o;
    o.ema = 0.99;
    const DsmParameters p = some_parameters(Nonlinearity::relu, 1, 0, 64);
    const auto session = backend->make_dsm_session(p, o);
    constexpr int n_steps = 4000;
    std::vector<float> rates;
    for (int i = 0; i < n_steps; ++i)
      rates.push_back(static_cast<float>(4e-3 * 0.5 * (1.0 + std::cos(3.14159265 * i / n_steps))));
    std::vector<DsmLoss> losses(n_steps);
    session->run(source, level, 128, 21, 0, rates, losses);
    const DsmParameters learned = session->averaged();
    double error = 0.0, size = 0.0;
    for (int i = -30; i <= 30; ++i) {
      const double z = 0.1 * i, x = m + z * std::sqrt(variance), weight = std::exp(-0.5 * z * z);
      double score = -x;
      for (std::int64_t j = 0; j < 64; ++j) {
        score += level.output_scale * learned.V(0, j) *
                 std::max(0.0, static_cast<double>(learned.W_in(j, 0)) * x + learned.b(0, j));
      }
      const double exact = -(x - m) / variance;
      error += weight * (score - exact) * (score - exact);
      size += weight * exact * exact;
    }
    EXPECT_LT(std::sqrt(error / size), 0.05) << "output scale " << level.output_scale;
    // and the excess loss falls to its least, -1/2 E |s|^2 = -1 / (2 variance)
    double excess = 0.0;
    for (int i = n_steps - 1000; i < n_steps; ++i) excess += losses[static_cast<std::size_t>(i)].excess / 1000;
    // a batch of 64 pairs scatters by about 0.1; 1000 of them by 0.003, so 6 standard deviations
    EXPECT_NEAR(excess, -0.5 / variance, 0.02);
  }
}

}  // namespace
}  // namespace tarn
