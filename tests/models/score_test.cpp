#include "tarn/models/score.hpp"

#include <gtest/gtest.h>

#include "models/network_drift.hpp"
#include "models/networks.hpp"

namespace tarn {
namespace {

using test::Array;
using test::normals;

// Against float64, through shift and scale, for more points than a block holds.
TEST(ScoreInDataUnits, IsTheScoreOfScaledPointsOverScale) {
  const auto backend = make_cpu_backend();
  for (const ModelKind kind : test::all_kinds) {
    const std::int64_t U = kind == ModelKind::reservoir_sampler ? 1 : 0, n = 5000;
    SamplingNetwork network = test::some_network(kind, 2, U, 9);
    network.scaling = {{3.0, -7.0}, 12.5};
    Matrix<float> points = normals(n, 2 + U, 20, 12.0f);
    Array scaled(n, 2 + U);
    for (std::int64_t i = 0; i < n; ++i) {
      points(i, 0) += 3.0f;
      points(i, 1) -= 7.0f;
      scaled(i, 0) = (points(i, 0) - 3.0) / 12.5;
      scaled(i, 1) = (points(i, 1) + 7.0) / 12.5;
      if (U == 1) scaled(i, 2) = points(i, 2);
    }
    const RunnableNetwork runnable(network);
    const Array expected = (1.0 / 12.5) * test::drift_of_view(runnable.view(), scaled);
    const Array found = test::to_double(score_in_data_units(*backend, network, points));
    // float32 sums of about a dozen terms below 100 each (inputs of size 12 and weights of order 1), over 12.5
    test::expect_within(found, expected, test::map(expected, [](double v) { return 2e-5 + 1e-5 * std::abs(v); }),
                        std::string(name_of(kind)));
  }
}

// The chain rule: with p(x) = N(m, s^2) learned as p'(x') in scaled space, score = -(x - m)/s^2. A relu pair makes the
// linear score -x'/v exactly: relu(a x') - relu(-a x') = a x'.
TEST(ScoreInDataUnits, OfAGaussianIsExact) {
  SamplingNetwork network;
  network.n_outputs = 1;
  network.W_in = Matrix<float>(2, 1);
  network.b = Matrix<float>(1, 2);
  network.W_out = Matrix<float>(1, 2);
  network.W_in(0, 0) = 1.0f;
  network.W_in(1, 0) = -1.0f;
  network.W_out(0, 0) = -3.0f;  // s(x') = -x' - 3 x' = -x'/0.25
  network.W_out(0, 1) = 3.0f;
  network.scaling = {{5.0}, 2.0};
  Matrix<float> points(4, 1);
  for (std::int64_t i = 0; i < 4; ++i) points(i, 0) = static_cast<float>(4 * i);
  const Matrix<float> score = score_in_data_units(*make_cpu_backend(), network, points);
  // variance in data units: 0.25 * 2^2 = 1, mean 5
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_NEAR(score(i, 0), -(points(i, 0) - 5.0), 1e-5);
}

TEST(ScoreInDataUnits, BadPointsAreSeenAndWrongOnesRefused) {
  const auto backend = make_cpu_backend();
  const SamplingNetwork network = test::some_network(ModelKind::reservoir_sampler, 2, 1, 9, Nonlinearity::relu);
  Matrix<float> points = normals(3, 3, 20);
  points(1, 0) = NAN;
  const Matrix<float> score = score_in_data_units(*backend, network, points);
  EXPECT_TRUE(std::isnan(score(1, 0)));
  EXPECT_TRUE(std::isfinite(score(0, 0)) && std::isfinite(score(2, 1)));
  EXPECT_EQ(score_in_data_units(*backend, network, Matrix<float>(0, 3)).rows(), 0);
  EXPECT_NE(test::message_of([&] {
              score_in_data_units(*backend, network, Matrix<float>(3, 2));
            }).find("points have 2 columns, expected 3"),
            std::string::npos);
}

}  // namespace
}  // namespace tarn
