// Chains on a score that is exact: a Gaussian's is linear, and relu(z) - relu(-z) = z makes it a network of 2 D neurons. The
// chains are then a linear recursion, whose law and autocorrelations are known to the last digit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "linear_network.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/autocorrelation.hpp"
#include "tarn/models/pseudo_inverse.hpp"
#include "tarn/models/sampling_network.hpp"
#include "tarn/sampling/chain_engine.hpp"

namespace tarn::test {

struct Mat2 {
  double a = 0, b = 0, c = 0, d = 0;  // [[a, b], [c, d]]
};
inline Mat2 operator+(const Mat2& x, const Mat2& y) { return {x.a + y.a, x.b + y.b, x.c + y.c, x.d + y.d}; }
inline Mat2 operator*(double s, const Mat2& x) { return {s * x.a, s * x.b, s * x.c, s * x.d}; }
inline Mat2 operator*(const Mat2& x, const Mat2& y) {
  return {x.a * y.a + x.b * y.c, x.a * y.b + x.b * y.d, x.c * y.a + x.d * y.c, x.c * y.b + x.d * y.d};
}
inline Mat2 transposed(const Mat2& x) { return {x.a, x.c, x.b, x.d}; }
inline Mat2 inverse(const Mat2& x) { return 1.0 / (x.a * x.d - x.b * x.c) * Mat2{x.d, -x.b, -x.c, x.a}; }
inline double form(const Mat2& x, double u, double v) { return u * (x.a * u + x.b * v) + v * (x.c * u + x.d * v); }

inline constexpr Mat2 unit{1, 0, 0, 1};
inline constexpr Mat2 covariance{1.0, 0.9, 0.9, 1.0};  // 1.9 along (1, 1), 0.1 across
inline Mat2 skew(double g) { return {0, -g, g, 0}; }

// Score -x C^-1 = -x + x (I - C^-1), exactly: W_out W_in = I - C^-1 on either side of zero. How it is shared between the two is
// free; here neurons read mixed outputs and write mixed ones.
inline SamplingNetwork exact_gaussian() {
  const Mat2 out{1.0, 0.5, 0.0, 1.0}, in = inverse(out) * (unit + (-1.0) * inverse(covariance));
  const auto as_matrix = [](const Mat2& m) {
    Matrix<double> result(2, 2);
    result(0, 0) = m.a, result(0, 1) = m.b, result(1, 0) = m.c, result(1, 1) = m.d;
    return result;
  };
  return linear_network(as_matrix(in), as_matrix(out));
}

// x <- B x + noise of covariance Q: stationary covariance by doubling, S = sum B^k Q B^kT.
struct LinearChain {
  Mat2 B, S;
  LinearChain(Mat2 step, Mat2 Q) : B(step), S(Q) {
    for (int k = 0; k < 40; ++k, step = step * step) S = S + step * S * transposed(step);
  }
  // Along (u, v), of every `thin`-th state: 1 + 2 sum_{k >= 1} rho_k.
  double autocorrelation_time(int thin, double u, double v) const {
    Mat2 power = unit;
    for (int k = 0; k < thin; ++k) power = power * B;
    return 1.0 + 2.0 * form(power * inverse(unit + (-1.0) * power) * S, u, v) / form(S, u, v);
  }
};
// Euler-Maruyama on drift -(diffusion + J) C^-1 x with noise of covariance 2 dt diffusion.
inline LinearChain euler(double dt, const Mat2& J, const Mat2& diffusion = unit) {
  return {unit + (-dt) * (diffusion + J) * inverse(covariance), 2.0 * dt * diffusion};
}

// Keeps the draws: along (1, 1)/sqrt(2) [n_chains, n_draws] by chain, and the moments of every draw, pooled.
class ArmSink final : public Sink {
 public:
  ArmSink(std::int64_t n_chains, std::int64_t n_draws) : along(n_chains, n_draws) {}
  void take(const DrawBlock& block) override {
    for (std::int64_t i = 0; i < block.x.rows; ++i) {
      const double x = block.x(i, 0), y = block.x(i, 1);
      along(block.first_chain + i, block.draw) = static_cast<float>((x + y) / std::sqrt(2.0));
      if (block.draw + 1 < along.cols()) continue;
      moments = moments + Mat2{x * x, x * y, x * y, y * y};
      ++n;
    }
  }
  Matrix<float> along;
  Mat2 moments;
  std::int64_t n = 0;
};

// A noise of its own for each of the four neurons.
inline Matrix<float> own_noise() {
  Matrix<float> S(1, 4);
  const float values[4] = {0.9f, 0.4f, 0.5f, 0.7f};
  std::copy_n(values, 4, S.data());
  return S;
}

enum class Mode { output, reservoir, private_noise };

struct Course {
  double dt = 0.01;
  int thin = 10;
  std::int64_t n_chains = 4000;
  std::int64_t n_draws = 600;
};

// Chains that start from N(0, C) exactly, and forget the difference to the scheme's own law, of order dt, in T = 10.
inline ArmSink run(Mode mode, const Mat2& J, const Course& course) {
  const auto backend = make_cpu_backend(2);
  const SamplingNetwork weights = exact_gaussian();
  Matrix<float> skew_matrix(2, 2);
  skew_matrix(0, 1) = static_cast<float>(J.b);
  skew_matrix(1, 0) = static_cast<float>(J.c);
  const bool is_private = mode == Mode::private_noise;
  const Matrix<float> S = own_noise();
  const RunnableNetwork turned = is_private
                                     ? RunnableNetwork(weights, skew_matrix.view(), output_diffusion(weights.W_out, S))
                                     : RunnableNetwork(weights, skew_matrix.view());
  const auto network = backend->prepare(turned.view());
  Matrix<float> start(course.n_chains, 2);
  fill_normals(5, Stream::evaluation, 0, 0, 1, start.view());
  for (std::int64_t i = 0; i < course.n_chains; ++i) {  // Cholesky factor of C
    start(i, 1) = 0.9f * start(i, 0) + static_cast<float>(std::sqrt(0.19)) * start(i, 1);
  }
  const Matrix<float> P = pseudo_inverse(weights.W_out);
  Stage stage;
  stage.network = network.get();
  stage.dt = course.dt;
  SamplingRun plan;
  plan.stages =
      plain_schedule(stage, static_cast<std::int64_t>(10.0 / course.dt), course.thin * course.n_draws, course.thin);
  plan.seed = 21;
  plan.n_chains = course.n_chains;
  plan.initial.kind = InitialKind::file;
  plan.initial.rows = start;
  plan.reservoir = mode != Mode::output;
  if (is_private) plan.private_noise = S.view();
  if (plan.reservoir) plan.P = P.view();
  ArmSink sink(course.n_chains, course.n_draws);
  EXPECT_EQ(run_chains(*backend, plan, &sink).n_quarantined, 0);
  return sink;
}

inline void expect_law_and_time(const ArmSink& sink, const LinearChain& exact, const Course& course, double predicted) {
  const auto n = static_cast<double>(sink.n);
  const Mat2 found = 1.0 / n * sink.moments;
  // Var x_i x_j = S_ii S_jj + S_ij^2. Five standard errors.
  const auto near = [&](double value, double expected, double s_ii, double s_jj, double s_ij) {
    EXPECT_NEAR(value, expected, 5.0 * std::sqrt((s_ii * s_jj + s_ij * s_ij) / n));
  };
  near(found.a, exact.S.a, exact.S.a, exact.S.a, exact.S.a);
  near(found.d, exact.S.d, exact.S.d, exact.S.d, exact.S.d);
  near(found.b, exact.S.b, exact.S.a, exact.S.d, exact.S.b);
  const double spacing = course.dt * course.thin;
  const AutocorrelationTime time = integrated_autocorrelation_time(sink.along.view());
  EXPECT_TRUE(time.settled);
  const double of_scheme = spacing * exact.autocorrelation_time(course.thin, std::sqrt(0.5), std::sqrt(0.5));
  EXPECT_NEAR(of_scheme, predicted, 0.04 * predicted) << "the scheme itself is this close to continuous time";
  EXPECT_NEAR(spacing * time.time, of_scheme, 5.0 * spacing * time.standard_error + 1e-3 * of_scheme);
}

}  // namespace tarn::test
