// The skew-symmetric J that is trained in: its parametrisation, the map from the circuit's drift to the score, gradients against
// central differences, and training sessions of both sizes.
#include "tarn/compute/trained_skew.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "compute/dsm_session_checks.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::normal_matrix;
using test::NormalSource;
using test::Rows;
using test::some_parameters;
using test::Trained;
using test::Weights;
using testing::HasSubstr;

double norm(const Matrix<double>& m) {
  return std::sqrt(std::inner_product(m.data(), m.data() + m.size(), m.data(), 0.0));
}

DsmParameters with_skew(Nonlinearity phi, std::int64_t D, std::int64_t U, std::int64_t N, double strength) {
  DsmParameters p = some_parameters(phi, D, U, N);
  p.A = normal_matrix(D, D, 50);
  p.skew_strength = strength;
  return p;
}

DsmLevel some_level() {
  DsmLevel level;
  level.sigma = 0.5;
  level.output_scale = 4.0;
  level.loss_scale = 0.25;
  level.antithetic = true;
  level.confinement_points = 3;
  level.confinement_pull = 0.3;
  level.confinement_radius[0] = 2.0;
  level.confinement_radius[1] = 20.0;
  return level;
}

TEST(TrainedSkew, IsSkewOfTheGivenStrengthWhateverTheSizeOfA) {
  for (const std::int64_t D : {2, 3, 17}) {
    Matrix<float> A = normal_matrix(D, D, 7);
    const Matrix<double> J = skew_of(A, 2.5);
    EXPECT_NEAR(norm(J), 2.5, 1e-12);
    for (std::int64_t i = 0; i < D; ++i) {
      for (std::int64_t j = 0; j < D; ++j) EXPECT_EQ(J(i, j), -J(j, i));
    }
    for (std::int64_t i = 0; i < A.size(); ++i) A.data()[i] *= 4.0f;
    const Matrix<double> same = skew_of(A, 2.5), back = skew_of(parameters_of_skew(J), norm(J));
    for (std::int64_t i = 0; i < J.size(); ++i) {
      EXPECT_NEAR(same.data()[i], J.data()[i], 1e-15);
      EXPECT_NEAR(back.data()[i], J.data()[i], 1e-7);
    }
    const Matrix<float> fresh = parameters_of_skew(J);
    const double size = std::inner_product(fresh.data(), fresh.data() + fresh.size(), fresh.data(), 0.0);
    EXPECT_NEAR(size, 0.5 * static_cast<double>(D * (D - 1)), 1e-4 * size) << "as skew parts of standard normals";
  }
}

TEST(TrainedSkew, TheMapTurnsTheDriftIntoTheScoreAndBack) {
  for (const std::int64_t D : {2, 5, 40}) {
    for (const double strength : {0.01, 1.0, 30.0}) {
      const Matrix<double> J = skew_of(normal_matrix(D, D, 8), strength), M = circuit_to_score(J);
      Matrix<float> stored(D, D);
      for (std::int64_t i = 0; i < D; ++i) {
        for (std::int64_t j = 0; j < D; ++j) {
          double sum = M(i, j);
          for (std::int64_t k = 0; k < D; ++k) sum += M(i, k) * J(k, j);
          ASSERT_NEAR(sum, i == j ? 1.0 : 0.0, 1e-12 * (1.0 + strength)) << "M (I + J) = I";
          stored(i, j) = static_cast<float>(M(i, j));
        }
      }
      const Matrix<double> back = skew_of_map(stored);
      for (std::int64_t i = 0; i < J.size(); ++i)
        ASSERT_NEAR(back.data()[i], J.data()[i], 1e-6 * (1.0 + strength * strength));
    }
  }
  Matrix<float> no(2, 2);
  EXPECT_THAT(message_of([&] { skew_of_map(no); }), HasSubstr("drift_map has no inverse"));
  no(0, 0) = no(1, 1) = 0.5f;
  EXPECT_THAT(message_of([&] { skew_of_map(no); }), HasSubstr("drift_map is not (I + J)^-1"));
}

// d/dA of sum_ij C_ij J_ij(A) for some C, against central differences.
TEST(TrainedSkew, GradientOfAByFiniteDifferences) {
  for (const std::int64_t D : {2, 5}) {
    const Matrix<float> A = normal_matrix(D, D, 9), C = normal_matrix(D, D, 10);
    Matrix<double> dJ(D, D);
    std::copy_n(C.data(), C.size(), dJ.data());
    const Matrix<float> found = skew_gradient(A, 1.7, dJ);
    const auto value = [&](const Matrix<float>& a) {
      const Matrix<double> J = skew_of(a, 1.7);
      return std::inner_product(J.data(), J.data() + J.size(), dJ.data(), 0.0);
    };
    for (std::int64_t i = 0; i < A.size(); ++i) {
      Matrix<float> up = A, down = A;
      up.data()[i] += 1.0f / 256;  // exact in float beside values of this size, to 1e-7
      down.data()[i] -= 1.0f / 256;
      const double step = static_cast<double>(up.data()[i]) - down.data()[i];
      EXPECT_NEAR((value(up) - value(down)) / step, found.data()[i], 1e-4) << "D " << D << " entry " << i;
    }
  }
  // in the plane J has one direction, and turning it is all that A could do
  const Matrix<float> flat = skew_gradient(normal_matrix(2, 2, 9), 1.0, Matrix<double>(2, 2));
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(flat.data()[i], 0.0f);
}

// The objective of the reference in double (which maps f by (I + J)^-1, solved there by elimination of its own) by central
// differences in every kind of parameter, against the gradients of both kernels.
TEST(TrainedSkew, GradientsAreTheSlopeOfTheLoss) {
  const auto backend = make_cpu_backend(1);
  for (const std::int64_t D : {2, 3, 5, 18}) {
    for (const Nonlinearity phi : {Nonlinearity::tanh, Nonlinearity::softplus}) {
      DsmLevel level = some_level();
      level.antithetic = false;
      level.confinement_points = 0;
      const DsmParameters p = with_skew(phi, D, 1, 21, 1.5);
      const Matrix<float> x = normal_matrix(35, D + 1, 30), xi = normal_matrix(35, D, 31);
      DsmParameters found;
      const DsmLoss loss = backend->dsm_gradient(p, level, {x, xi}, found);
      Rows rows{Matrix<double>(35, D + 1), Matrix<double>(35, D), std::vector<double>(35, 1.0), 35};
      for (std::int64_t i = 0; i < 35; ++i) {
        for (std::int64_t k = 0; k <= D; ++k) rows.points(i, k) = x(i, k) + (k < D ? level.sigma * xi(i, k) : 0.0);
        for (std::int64_t d = 0; d < D; ++d) rows.targets(i, d) = xi(i, d) / level.sigma;
      }
      Weights w(p);
      double plain = 0.0, excess = 0.0;
      test::objective(w, rows, level, &plain, &excess);
      EXPECT_NEAR(loss.loss, plain, 1e-4 * plain);
      EXPECT_NEAR(loss.excess, excess, 1e-4 * plain);
      const auto check = [&](Matrix<double>& m, const Matrix<float>& g, const char* name) {
        ASSERT_EQ(m.size(), g.size());
        double size = 0.0;
        for (std::int64_t i = 0; i < g.size(); ++i) size = std::max(size, std::fabs(static_cast<double>(g.data()[i])));
        ASSERT_GT(size, 0.0) << name;
        for (std::int64_t i = 0; i<m.size(); i += m.size()> 50 ? 7 : 1) {
          const double keep = m.data()[i], h = 1e-5;
          m.data()[i] = keep + h;
          const double up = test::objective(w, rows, level);
          m.data()[i] = keep - h;
          const double down = test::objective(w, rows, level);
          m.data()[i] = keep;
          ASSERT_NEAR((up - down) / (2 * h), g.data()[i], 3e-4 * size + 1e-6) << name << " " << i << " D " << D;
        }
      };
      check(w.W_in, found.W_in, "W_in");
      check(w.b, found.b, "b");
      check(w.V, found.V, "V");
      if (D > 2) check(w.A, found.A, "A");  // in the plane |J| fixes J up to its sign: the gradient is zero
    }
  }
}

class TrainedSkewSession : public testing::TestWithParam<std::int64_t> {
 protected:
  std::unique_ptr<DsmSession> session(const DsmParameters& p, const OptimizerSettings& o, int n_threads = 2) {
    return make_cpu_backend(n_threads)->make_dsm_session(p, o);
  }
};

TEST_P(TrainedSkewSession, StepsFollowTheReference) {
  const std::int64_t D = GetParam();
  for (const double clip : {0.0, 0.5}) {
    OptimizerSettings o;
    o.ema = 0.5;
    o.amsgrad = clip > 0.0;
    o.weight_decay = 1e-3;
    o.clip_norm = clip;
    const DsmParameters p = with_skew(Nonlinearity::softplus, D, 1, 40, 2.0);
    const std::vector<float> rates{1e-3f, 2e-3f, 1e-3f, 1e-3f};
    test::expect_training(test::train(*session(p, o), p, some_level(), 24, rates, 1000), p, o, some_level(), 24, rates,
                          {1e-3, 0.2});
  }
}

TEST_P(TrainedSkewSession, SameBitsForAnyThreadsAndCalls) {
  const DsmParameters p = with_skew(Nonlinearity::relu, GetParam(), 0, 45, 1.0);
  const std::vector<float> rates(12, 1e-3f);
  const auto run = [&](int n_threads, std::size_t steps_a_call) {
    return test::train(*session(p, {}, n_threads), p, some_level(), 20, rates, steps_a_call);
  };
  const Trained one = run(1, 12), other = run(2, 5);
  EXPECT_EQ(one.parameters.A, other.parameters.A);
  EXPECT_EQ(one.parameters.V, other.parameters.V);
  EXPECT_EQ(one.parameters.W_in, other.parameters.W_in);
  EXPECT_NE(one.parameters.A, p.A);
}

TEST_P(TrainedSkewSession, ARestoredStateTakesTheSameSteps) {
  OptimizerSettings o;
  o.ema = 0.9;
  const DsmParameters p = with_skew(Nonlinearity::tanh, GetParam(), 0, 30, 1.0);
  const std::vector<float> rates(6, 1e-3f);
  const auto first = session(p, o), second = session(p, o);
  test::train(*first, p, some_level(), 20, rates, 6);
  const TrainingState state = first->state();
  EXPECT_EQ(state.arrays.count("first_moment.A"), 1u);
  second->restore(state);
  const Trained a = test::train(*first, p, some_level(), 20, rates, 6);
  const Trained b = test::train(*second, p, some_level(), 20, rates, 6);
  EXPECT_EQ(a.parameters.A, b.parameters.A);
  EXPECT_EQ(a.averaged.A, b.averaged.A);
  EXPECT_EQ(a.parameters.V, b.parameters.V);
}

INSTANTIATE_TEST_SUITE_P(Sizes, TrainedSkewSession, testing::Values(3, 16, 20, 37),
                         [](const auto& size) { return fmt::format("D{}", size.param); });

TEST(TrainedSkew, WhatDoesNotFitIsRefused) {
  const auto backend = make_cpu_backend(1);
  DsmParameters p = with_skew(Nonlinearity::relu, 3, 0, 8, 0.0);
  EXPECT_THAT(message_of([&] { backend->make_dsm_session(p, {}); }), HasSubstr("strength of J"));
  p.skew_strength = 1.0;
  p.A = Matrix<float>(2, 2);
  EXPECT_THAT(message_of([&] { backend->make_dsm_session(p, {}); }), HasSubstr("A is [2, 2], expected [3, 3]"));
  DsmParameters one = some_parameters(Nonlinearity::relu, 1, 0, 8);
  one.A = Matrix<float>(1, 1);
  one.skew_strength = 1.0;
  EXPECT_THAT(message_of([&] { backend->make_dsm_session(one, {}); }), HasSubstr("two outputs or more"));
}

}  // namespace
}  // namespace tarn
