// Loss and gradients of denoising score matching on the device, against double and against the CPU.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compute/dsm_levels.hpp"
#include "cuda/device.hpp"
#include "tarn/compute/trained_skew.hpp"

namespace tarn {
namespace {

using test::normal_matrix;
using test::Weights;

DsmLevel some_level(double output_scale) {
  DsmLevel level = test::scaled_level();
  level.output_scale = output_scale;
  return level;
}

// Norms are those of the array, so that a wrong entry shows unless it is small beside the others.
template <class T>
double distance(const Matrix<float>& found, const Matrix<T>& expected) {
  double square = 0.0;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const double d = found.data()[i] - static_cast<double>(expected.data()[i]);
    square += d * d;
  }
  return found.size() == expected.size() ? std::sqrt(square) : std::numeric_limits<double>::infinity();
}
double norm(const Matrix<double>& m) {
  double square = 0.0;
  for (std::int64_t i = 0; i < m.size(); ++i) square += m.data()[i] * m.data()[i];
  return std::sqrt(square);
}

// 1e-5 of the norm, and what rounding may do where nearly everything cancels: `size` holds, for each entry, the sum of the
// magnitudes of what was added up.
void expect_close(const DsmParameters& found, const Weights& expected, const Weights& size, const DsmParameters& cpu) {
  const auto compare = [](const Matrix<float>& a, const Matrix<double>& b, const Matrix<double>& s,
                          const Matrix<float>& c, const char* name) {
    const double bound = 1e-5 * norm(b) + 4 * test::half_ulp * norm(s) + 1e-30;
    EXPECT_LE(distance(a, b), bound) << name << " against double";
    EXPECT_LE(distance(a, c), 2 * bound) << name << " against the CPU";
  };
  compare(found.W_in, expected.W_in, size.W_in, cpu.W_in, "dW_in");
  compare(found.b, expected.b, size.b, cpu.b, "db");
  compare(found.V, expected.V, size.V, cpu.V, "dV");
}

class CudaDsm : public testing::TestWithParam<Nonlinearity> {};

TEST_P(CudaDsm, GradientMatchesDoubleAndTheCpu) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend(), cpu = make_cpu_backend(2);
  for (const std::int64_t D : {1, 2, 17, 33, 100}) {
    for (const std::int64_t U : {0, 2}) {
      for (const std::int64_t N : {1, 31, 33, 257}) {
        for (const std::int64_t B : {1, 31, 49}) {
          if (N == 257 && (B != 49 || D == 17)) continue;  // the rest adds time, not cases
          SCOPED_TRACE(std::string(name_of(GetParam())) + " D " + std::to_string(D) + " U " + std::to_string(U) +
                       " N " + std::to_string(N) + " B " + std::to_string(B));
          const DsmParameters p = test::some_parameters(GetParam(), D, U, N);
          const Matrix<float> x = normal_matrix(B, D + U, 30), xi = normal_matrix(B, D, 31);
          const DsmLevel level = some_level(U == 0 ? 6.25 : 1.0);
          DsmParameters found, on_cpu;
          const DsmLoss loss = cuda->dsm_gradient(p, level, {x, xi}, found);
          cpu->dsm_gradient(p, level, {x, xi}, on_cpu);
          const test::Rows rows = test::rows_of_batch(x, xi, level.sigma);
          const Weights w(p);
          Weights expected = w, size = w;
          test::gradients(w, rows, level, expected, size);
          expect_close(found, expected, size, on_cpu);
          double plain = 0.0, excess = 0.0;
          test::objective(w, rows, level, &plain, &excess);
          EXPECT_NEAR(loss.loss, plain, 1e-5 * (plain + std::fabs(excess)));
          EXPECT_NEAR(loss.excess, excess, 1e-5 * (plain + std::fabs(excess)));
          EXPECT_EQ(loss.gradient_norm, 0.0);
          if (HasFailure()) return;
        }
      }
    }
  }
}

// J trained in: map, scores and the gradient of A; D on both sides of what fits into shared memory.
TEST_P(CudaDsm, GradientWithATrainedJ) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend(), cpu = make_cpu_backend(2);
  for (const std::int64_t D : {2, 5, 33, 107}) {
    DsmParameters p = test::some_parameters(GetParam(), D, 1, 29);
    p.A = normal_matrix(D, D, 6);
    p.skew_strength = 0.7 * std::sqrt(static_cast<double>(D));
    const Matrix<float> x = normal_matrix(19, D + 1, 30), xi = normal_matrix(19, D, 31);
    const DsmLevel level = some_level(2.5);
    DsmParameters found, on_cpu;
    cuda->dsm_gradient(p, level, {x, xi}, found);
    cpu->dsm_gradient(p, level, {x, xi}, on_cpu);
    const Weights w(p);
    Weights expected = w, size = w;
    test::gradients(w, test::rows_of_batch(x, xi, level.sigma), level, expected, size);
    SCOPED_TRACE("D " + std::to_string(D));
    expect_close(found, expected, size, on_cpu);
    // with two outputs J has one entry, which its norm fixes: the gradient is nothing but rounding
    const double bound = D == 2 ? 1e-12 : 1e-5 * norm(expected.A);
    EXPECT_LE(distance(found.A, expected.A), bound);
    EXPECT_LE(distance(found.A, on_cpu.A), 2 * bound);
  }
}

INSTANTIATE_TEST_SUITE_P(Nonlinearities, CudaDsm, testing::ValuesIn(test::all_nonlinearities),
                         [](const auto& phi) { return std::string(name_of(phi.param)); });

TEST(CudaDsmGradient, RefusesWhatDoesNotFit) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend();
  const DsmParameters p = test::some_parameters(Nonlinearity::relu, 20, 0, 30);
  DsmParameters wrong = p, gradient;
  wrong.V = Matrix<float>(20, 29);
  const Matrix<float> x = normal_matrix(4, 20, 1), xi = normal_matrix(4, 20, 2), narrow = normal_matrix(4, 19, 2);
  EXPECT_THROW(cuda->dsm_gradient(wrong, {}, {x, xi}, gradient), Error);
  EXPECT_THROW(cuda->dsm_gradient(p, {}, {x, narrow}, gradient), Error);
  EXPECT_THROW(cuda->dsm_gradient(p, {}, {narrow, xi}, gradient), Error);
}

}  // namespace
}  // namespace tarn
