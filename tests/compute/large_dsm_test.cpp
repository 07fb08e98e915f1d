// Training steps of large networks: gradients against double, finite differences and the golden vectors; optimisers against their
// papers' formulas in double; and the same bits on any number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "compute/large_session_checks.hpp"
#include "large_session.hpp"
#include "tarn/io/npz.hpp"

namespace tarn::cpu {
namespace {

using test::half_ulp;
using test::normal_matrix;
using test::NormalSource;
using test::Rows;
using test::scaled_level;
using test::some_parameters;
using test::Weights;

// Sums of magnitudes times the number of roundings on the longest way into a gradient.
void expect_gradient(const DsmParameters& found, Weights& expected, Weights& size, std::int64_t rows) {
  const double roundings = half_ulp * static_cast<double>(expected.D * 2 + expected.U + expected.N + rows + 40);
  const auto compare = [&](const Matrix<float>& a, const Matrix<double>& b, const Matrix<double>& s, const char* name) {
    for (std::int64_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(a.data()[i], b.data()[i], roundings * s.data()[i] + 1e-30)
          << name << " " << i << " of " << a.rows() << " x " << a.cols();
    }
  };
  compare(found.W_in, expected.W_in, size.W_in, "dW_in");
  compare(found.b, expected.b, size.b, "db");
  compare(found.V, expected.V, size.V, "dV");
}

TEST(LargeDsm, GradientMatchesDoubleInAllSizes) {
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {17, 33, 100}) {
      for (const std::int64_t U : {0, 3}) {
        for (const std::int64_t N : {1, 31, 33, 257}) {
          for (const std::int64_t B : {1, 31, 49}) {
            if (N == 257 && (B != 49 || D == 17)) continue;  // the rest adds time, not cases
            const DsmParameters p = some_parameters(phi, D, U, N);
            const Matrix<float> x = normal_matrix(B, D + U, 30), xi = normal_matrix(B, D, 31);
            DsmParameters gradient;
            const DsmLoss loss = large_dsm_gradient(p, scaled_level(), {x, xi}, gradient, 2);
            const Rows rows = test::rows_of_batch(x, xi, scaled_level().sigma);
            const Weights w(p);
            Weights expected = w, size = w;
            test::gradients(w, rows, scaled_level(), expected, size);
            SCOPED_TRACE(std::string(name_of(phi)) + " D " + std::to_string(D) + " U " + std::to_string(U) + " N " +
                         std::to_string(N) + " B " + std::to_string(B));
            expect_gradient(gradient, expected, size, B);
            double plain = 0.0, excess = 0.0;
            test::objective(w, rows, scaled_level(), &plain, &excess);
            EXPECT_NEAR(loss.loss, plain, 1e-4 * plain);
            EXPECT_NEAR(loss.excess, excess, 1e-4 * plain);
            if (testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

// The reference itself: its gradient against central differences of its loss, in double.
TEST(LargeDsm, ReferenceGradientIsTheSlopeOfTheLoss) {
  NormalSource source(20);
  const DsmLevel level = test::confined_level(true, 3);
  const Rows rows = test::rows_of_step(source, level, 18, 6, 1, 4);
  for (const Nonlinearity phi : {Nonlinearity::tanh, Nonlinearity::softplus, Nonlinearity::sigmoid}) {
    Weights w(some_parameters(phi, 18, 2, 11)), expected = w, size = w;
    test::gradients(w, rows, level, expected, size);
    const auto check = [&](Matrix<double>& m, const Matrix<double>& g) {
      for (std::int64_t i = 0; i < m.size(); i += 7) {
        const double keep = m.data()[i], h = 1e-5;
        m.data()[i] = keep + h;
        const double up = test::objective(w, rows, level);
        m.data()[i] = keep - h;
        const double down = test::objective(w, rows, level);
        m.data()[i] = keep;
        ASSERT_NEAR((up - down) / (2 * h), g.data()[i], 1e-5 * (1.0 + std::fabs(g.data()[i])));
      }
    };
    check(w.W_in, expected.W_in);
    check(w.b, expected.b);
    check(w.V, expected.V);
  }
}

Matrix<float> golden_matrix(const NpzArrays& arrays, const std::string& name, bool as_row = false) {
  Matrix<float> m = to_matrix(arrays.at(name), name);
  if (!as_row) return m;
  Matrix<float> row(1, m.size());
  std::copy_n(m.data(), m.size(), row.data());
  return row;
}
double golden_number(const NpzArrays& arrays, const std::string& name) {
  double value = 0.0;
  std::memcpy(&value, arrays.at(name).bytes.data(), sizeof value);
  return value;
}

void expect_close(const Matrix<float>& found, const Matrix<float>& golden, double tolerance, const char* name) {
  ASSERT_EQ(found.size(), golden.size()) << name;
  double largest = 0.0;
  for (std::int64_t i = 0; i < golden.size(); ++i)
    largest = std::max(largest, std::fabs(static_cast<double>(golden.data()[i])));
  for (std::int64_t i = 0; i < golden.size(); ++i)
    ASSERT_NEAR(found.data()[i], golden.data()[i], tolerance * largest) << name << " " << i;
}

class Golden : public testing::TestWithParam<std::pair<const char*, Nonlinearity>> {
 protected:
  Golden() : arrays(read_npz(std::string(TARN_TEST_DATA) + "/golden/" + GetParam().first + ".npz")) {
    p.phi = GetParam().second;
    p.W_in = golden_matrix(arrays, "W_in");
    p.b = golden_matrix(arrays, "b", true);
    p.V = golden_matrix(arrays, "W_out");
    p.n_outputs = p.V.rows();
    x = golden_matrix(arrays, "x");
    xi = golden_matrix(arrays, "eps");
    level.sigma = golden_number(arrays, "sigma");
  }
  NpzArrays arrays;
  DsmParameters p;
  Matrix<float> x, xi;
  DsmLevel level;
};

TEST_P(Golden, LossAndGradients) {
  DsmParameters gradient;
  const DsmLoss loss = large_dsm_gradient(p, level, {x, xi}, gradient, 2);
  EXPECT_NEAR(loss.loss / golden_number(arrays, "loss"), 1.0, 1e-5);
  expect_close(gradient.W_in, golden_matrix(arrays, "dW_in"), 2e-5, "dW_in");
  expect_close(gradient.b, golden_matrix(arrays, "db", true), 2e-5, "db");
  expect_close(gradient.V, golden_matrix(arrays, "dW_out"), 2e-5, "dW_out");
}

// Five steps on one batch: the optimiser of the session, fed the gradients of the given batch by a source and a noise that are not its
// own, is tested through the gradient function and the formulas in double below; here the whole chain is compared with the golden
// parameters by repeating gradient and formula.
TEST_P(Golden, FiveOptimiserSteps) {
  for (const bool amsgrad : {false, true}) {
    OptimizerSettings settings;
    settings.weight_decay = 1e-2;
    settings.amsgrad = amsgrad;
    DsmParameters now = p;
    Weights w(p);
    test::ReferenceOptimizer optimizer(settings, w);
    for (int t = 0; t < 5; ++t) {
      DsmParameters gradient;
      large_dsm_gradient(now, level, {x, xi}, gradient, 2);
      optimizer.step(w, Weights(gradient), 5e-4);
      const auto round = [](const Matrix<double>& from, Matrix<float>& to) {
        for (std::int64_t i = 0; i < from.size(); ++i) to.data()[i] = static_cast<float>(from.data()[i]);
      };
      round(w.W_in, now.W_in);
      round(w.b, now.b);
      round(w.V, now.V);
    }
    const std::string name = amsgrad ? "amsgrad_" : "adam_";
    expect_close(now.W_in, golden_matrix(arrays, name + "W_in"), 2e-5, "W_in");
    expect_close(now.b, golden_matrix(arrays, name + "b", true), 2e-5, "b");
    expect_close(now.V, golden_matrix(arrays, name + "W_out"), 2e-5, "W_out");
  }
}

INSTANTIATE_TEST_SUITE_P(Vectors, Golden,
                         testing::Values(std::pair{"rsn_1_8_5_relu", Nonlinearity::relu},
                                         std::pair{"rsn_2_33_17_tanh", Nonlinearity::tanh},
                                         std::pair{"rsn_10_64_7_softplus", Nonlinearity::softplus},
                                         std::pair{"rsn_37_130_9_relu", Nonlinearity::relu}),
                         [](const auto& golden) { return std::string(golden.param.first); });

test::MakeSession on_threads(int n_threads) {
  return
      [n_threads](const DsmParameters& p, const OptimizerSettings& o) { return make_large_session(p, o, n_threads); };
}

TEST(LargeDsmSession, AdamWithDecayAndRunningMean) { test::expect_adam_with_decay_and_running_mean(on_threads(2)); }

TEST(LargeDsmSession, AmsgradWithInputsAndOddSizes) { test::expect_amsgrad_with_inputs_and_odd_sizes(on_threads(2)); }

TEST(LargeDsmSession, AdamwWithClipping) { test::expect_adamw_with_clipping(on_threads(2)); }

TEST(LargeDsmSession, AntitheticPairsAndConfinementPoints) {
  test::expect_antithetic_pairs_and_confinement_points(on_threads(2));
}

TEST(LargeDsmSession, SameBitsOnAnyNumberOfThreadsAndInAnyNumberOfCalls) {
  for (const double clip : {0.0, 1.0}) {
    OptimizerSettings o;
    o.ema = 0.99;
    o.amsgrad = true;
    o.clip_norm = clip;
    const DsmLevel level = test::confined_level(false, 3);
    const DsmParameters p = some_parameters(Nonlinearity::relu, 40, 2, 700);
    const std::vector<float> rates(9, 1e-3f);
    const auto train = [&](int n_threads, std::size_t steps_a_call) {
      return test::train(*on_threads(n_threads)(p, o), p, level, 70, rates, steps_a_call);
    };
    const test::Trained one = train(1, 1000);
    for (const int n_threads : {2, 3, 5}) test::expect_same(train(n_threads, 4), one);
  }
}

TEST(LargeDsmSession, ResettingTheOptimiserStartsItAnew) { test::expect_reset_starts_anew(on_threads(2)); }

TEST(LargeDsmSession, RefusesWhatDoesNotFit) { test::expect_refusals(on_threads(1)); }

TEST(LargeDsmSession, NanShowsInTheLoss) { test::expect_nan_in_the_loss(on_threads(2)); }

}  // namespace
}  // namespace tarn::cpu
