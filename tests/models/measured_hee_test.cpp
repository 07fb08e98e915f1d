// The model in which inpainting and denoising infer, against closed forms of linear-Gaussian models and quadrature: the posterior of the latents,
// and the way back to E[x_0 | y]. No chains here, so tolerances are those of float32 weights.
#include "tarn/models/measured_hee.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "message_of.hpp"
#include "normals.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/linear_gaussian.hpp"

namespace tarn::test {
namespace {

using testing::HasSubstr;
using Dense = Matrix<double>;

HeeParameters linear_gaussian() {
  HeeParameters p;
  p.layers = {{6, Family::gaussian, {0.5}, {}}, {3, Family::gaussian, {1.3}, {}}};
  p.b = {normals(1, 6, 1), normals(1, 3, 2)};
  p.W = {normals(6, 3, 3)};
  return p;
}

// x = A^-1 b by Gauss and Jordan; small and independent of the library's factorisations.
std::vector<double> solved(Dense A, std::vector<double> b) {
  const std::int64_t n = A.rows();
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k; i < n; ++i) {
      if (std::abs(A(i, k)) > std::abs(A(pivot, k))) pivot = i;
    }
    for (std::int64_t j = 0; j < n; ++j) std::swap(A(k, j), A(pivot, j));
    std::swap(b[static_cast<std::size_t>(k)], b[static_cast<std::size_t>(pivot)]);
    for (std::int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = A(i, k) / A(k, k);
      for (std::int64_t j = 0; j < n; ++j) A(i, j) -= factor * A(k, j);
      b[static_cast<std::size_t>(i)] -= factor * b[static_cast<std::size_t>(k)];
    }
  }
  for (std::int64_t k = 0; k < n; ++k) b[static_cast<std::size_t>(k)] /= A(k, k);
  return b;
}

// E[x_0 | y] where x_0 ~ N(W b_1 + b_0, s_0^2 + s_1^2 W W^T): no latents in it.
std::vector<double> exact_mean(const HeeParameters& p, const Measurement& y, const float* seen) {
  const std::int64_t n = p.layers[0].size, m = y.A.rows();
  const double s0 = p.layers[0].parameters.s, s1 = p.layers[1].parameters.s;
  Dense C(n, n), CAt(n, m), M(m, m);
  std::vector<double> mean(static_cast<std::size_t>(n)), error(static_cast<std::size_t>(m));
  for (std::int64_t i = 0; i < n; ++i) {
    double& mu = mean[static_cast<std::size_t>(i)] = p.b[0](0, i);
    for (std::int64_t k = 0; k < p.layers[1].size; ++k) mu += double{p.W[0](i, k)} * p.b[1](0, k);
    for (std::int64_t j = 0; j < n; ++j) {
      C(i, j) = i == j ? s0 * s0 : 0.0;
      for (std::int64_t k = 0; k < p.layers[1].size; ++k) C(i, j) += s1 * s1 * double{p.W[0](i, k)} * p.W[0](j, k);
    }
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < m; ++k) {
      for (std::int64_t j = 0; j < n; ++j) CAt(i, k) += C(i, j) * y.A(k, j);
    }
  }
  for (std::int64_t k = 0; k < m; ++k) {
    double& e = error[static_cast<std::size_t>(k)] = seen[k] - y.offset[static_cast<std::size_t>(k)];
    for (std::int64_t j = 0; j < n; ++j) e -= y.A(k, j) * mean[static_cast<std::size_t>(j)];
    for (std::int64_t l = 0; l < m; ++l) {
      M(k, l) = y.noise(k, l);
      for (std::int64_t j = 0; j < n; ++j) M(k, l) += y.A(k, j) * CAt(j, l);
    }
  }
  const std::vector<double> weight = solved(M, error);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < m; ++k)
      mean[static_cast<std::size_t>(i)] += CAt(i, k) * weight[static_cast<std::size_t>(k)];
  }
  return mean;
}

// By the posterior mean of x_1 in the replaced model, in closed form, and back.
Matrix<float> found_mean(const MeasuredHee& measured, MatrixView<const float> y) {
  const Matrix<float> seen = measured.observations(y);
  const GaussianPosterior posterior = gaussian_posterior(measured.model());
  Matrix<float> mean(y.rows, posterior.gain.rows());
  for (std::int64_t i = 0; i < mean.rows(); ++i) {
    for (std::int64_t k = 0; k < mean.cols(); ++k) {
      double sum = posterior.offset(0, k);
      for (std::int64_t j = 0; j < seen.cols(); ++j) sum += posterior.gain(k, j) * seen(i, j);
      mean(i, k) = static_cast<float>(sum);
    }
  }
  const std::vector<Matrix<float>> state{seen, mean};
  return measured.restored(measured.summary(state), y);
}

void expect_exact(const HeeParameters& p, const Measurement& y, const char* what) {
  const Matrix<float> seen = normals(5, y.A.rows(), 9);
  const Matrix<float> found = found_mean(MeasuredHee(p, y), seen);
  for (std::int64_t i = 0; i < seen.rows(); ++i) {
    const std::vector<double> exact = exact_mean(p, y, seen.row(i));
    for (std::int64_t j = 0; j < found.cols(); ++j)
      EXPECT_NEAR(found(i, j), exact[static_cast<std::size_t>(j)], 2e-5) << what << ", row " << i << ", unit " << j;
  }
}

Measurement combinations(std::int64_t m, std::int64_t n, std::uint64_t seed) {
  Measurement y{Dense(m, n), std::vector<double>(static_cast<std::size_t>(m)), Dense(m, m)};
  const Matrix<float> A = normals(m, n, seed), c = normals(1, m, seed + 1), root = normals(m, m, seed + 2);
  std::copy_n(A.data(), A.size(), y.A.data());
  std::copy_n(c.data(), m, y.offset.begin());
  for (std::int64_t i = 0; i < m; ++i) {
    y.noise(i, i) = 0.1;
    for (std::int64_t j = 0; j < m; ++j) {
      for (std::int64_t k = 0; k < m; ++k) y.noise(i, j) += 0.2 * double{root(i, k)} * root(j, k);
    }
  }
  return y;
}

TEST(MeasuredHee, GivesTheConditionalMeanOfALinearGaussianModel) {
  const HeeParameters p = linear_gaussian();
  const std::vector<std::int64_t> some{4, 0, 3}, all{0, 1, 2, 3, 4, 5};
  expect_exact(p, Measurement::of_units(6, some, 0.0), "inpainting");
  expect_exact(p, Measurement::of_units(6, all, 0.7), "denoising");
  expect_exact(p, Measurement::of_units(6, some, 0.7), "both at once");
  expect_exact(p, combinations(4, 6, 20), "combinations, correlated noise");
  expect_exact(p, combinations(11, 6, 30), "more numbers than units");
}

TEST(MeasuredHee, WhatIsSeenWithoutNoiseStays) {
  const std::vector<std::int64_t> seen{4, 0, 3};
  for (const Family family : {Family::gaussian, Family::laplace}) {
    HeeParameters p = linear_gaussian();
    p.layers[0].family = family;
    const MeasuredHee measured(p, Measurement::of_units(6, seen, 0.0));
    EXPECT_EQ(measured.model().layers[0].size, 3);
    EXPECT_FALSE(measured.moves_observation());
    const Matrix<float> y = normals(7, 3, 4), x_1 = normals(7, 3, 5);
    const std::vector<Matrix<float>> state{y, x_1};
    const Matrix<float> x = measured.restored(measured.summary(state), y);
    for (std::int64_t i = 0; i < 7; ++i) {
      for (std::size_t k = 0; k < seen.size(); ++k)
        EXPECT_NEAR(x(i, seen[k]), y(i, static_cast<std::int64_t>(k)), 1e-6);
    }
  }
}

// A measurement tells no more than the observation itself: steps that were stable remain so.
TEST(MeasuredHee, MakesNoDirectionStiffer) {
  const HeeParameters p = linear_gaussian();
  const Measurement y = combinations(11, 6, 30);
  const Matrix<float> W = MeasuredHee(p, y).model().W[0];
  const Matrix<float> directions = normals(200, 3, 8);
  const auto squared_length = [](const Matrix<float>& M, const float* v) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < M.rows(); ++i) {
      double row = 0.0;
      for (std::int64_t j = 0; j < M.cols(); ++j) row += double{M(i, j)} * v[j];
      sum += row * row;
    }
    return sum;
  };
  for (std::int64_t i = 0; i < directions.rows(); ++i)
    EXPECT_LE(squared_length(W, directions.row(i)), squared_length(p.W[0], directions.row(i)) * (1.0 + 1e-5));
}

// Two latent layers and a nonlinearity: the upper part stays as it is.
TEST(MeasuredHee, LeavesTheLayersAboveAlone) {
  HeeParameters p = linear_gaussian();
  p.layers[1].nonlinearity = Nonlinearity::tanh;
  p.layers.push_back({2, Family::laplace, {}, {}});
  p.b.push_back(normals(1, 2, 6));
  p.W.push_back(normals(3, 2, 7));
  const std::vector<std::int64_t> some{1, 2}, all{0, 1, 2, 3, 4, 5};
  const HeeParameters seen = MeasuredHee(p, Measurement::of_units(6, some, 0.0)).model();
  EXPECT_EQ(seen.W[1], p.W[1]);
  EXPECT_EQ(seen.b[1], p.b[1]);
  for (std::int64_t j = 0; j < 3; ++j) EXPECT_EQ(seen.W[0](1, j), p.W[0](2, j));
  p.layers[0].family = Family::rectified;
  const MeasuredHee noisy(p, Measurement::of_units(6, all, 0.5));
  EXPECT_TRUE(noisy.moves_observation());
  ASSERT_EQ(noisy.model().layers.size(), 4u);
  EXPECT_EQ(noisy.model().W[1], p.W[0]);
  EXPECT_EQ(noisy.model().layers[1].family, Family::rectified);
  EXPECT_NEAR(noisy.model().W[0](2, 2), 2.0, 1e-6) << "in units of the noise";
}

TEST(MeasuredHee, RefusesInOneLine) {
  const HeeParameters p = linear_gaussian();
  const std::vector<std::int64_t> some{0, 1}, beyond{6}, all{0, 1, 2, 3, 4, 5};
  const auto refused = [](const HeeParameters& model, const Measurement& y) {
    return message_of([&] { const MeasuredHee measured(model, y); });
  };
  EXPECT_THAT(refused(p, Measurement::of_units(5, some, 0.0)), HasSubstr("2 x 5"));
  EXPECT_THAT(message_of([&] { Measurement::of_units(6, beyond, 0.0); }), HasSubstr("unit 6 is seen of 6 units"));
  Measurement twice = combinations(2, 6, 40);
  std::copy_n(twice.A.row(0), 6, twice.A.row(1));
  std::fill_n(twice.noise.data(), 4, 0.0);
  EXPECT_THAT(refused(p, twice), HasSubstr("no density"));
  HeeParameters laplace = p;
  laplace.layers[0].family = Family::laplace;
  Measurement exact = combinations(2, 6, 50);
  std::fill_n(exact.noise.data(), 4, 0.0);
  EXPECT_THAT(refused(laplace, exact), HasSubstr("laplace units are measured without noise as combinations"));
  Measurement infinite = Measurement::of_units(6, all, 1.0);
  infinite.A(0, 0) = std::nan("");
  EXPECT_THAT(refused(p, infinite), HasSubstr("must be finite"));
}

}  // namespace
}  // namespace tarn::test
