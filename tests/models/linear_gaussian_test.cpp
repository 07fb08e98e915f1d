// Closed forms of the linear-Gaussian model against one another, and the covariance of the scheme against the scheme itself.
#include "tarn/models/linear_gaussian.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "normals.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn::test {
namespace {

HeeParameters linear_gaussian(std::int64_t n_0, std::int64_t n_1, double s_0, double s_1) {
  HeeParameters p;
  p.layers = {{n_0, Family::gaussian, {s_0}, {}}, {n_1, Family::gaussian, {s_1}, {}}};
  p.W = {normals(n_0, n_1, 3)};
  p.b = {normals(1, n_0, 4), normals(1, n_1, 5)};
  return p;
}
HeeParameters scalar(float w, double s_0 = 1.0, double s_1 = 1.0) {
  HeeParameters p = linear_gaussian(1, 1, s_0, s_1);
  p.W[0](0, 0) = w;
  return p;
}
HeeDynamics sampled(float dt, float ratio, int per_unit = 1, int substeps = 1) {
  HeeDynamics d;
  d.dt = dt;
  d.interneurons = Interneurons::sampled;
  d.tau_ratio = ratio;
  d.per_unit = per_unit;
  d.substeps = substeps;
  return d;
}

// log p(x_0) = log p(x_0, x_1) - log p(x_1 | x_0) at any x_1: ties posterior, likelihood and energy together.
TEST(LinearGaussian, PosteriorLikelihoodAndEnergyObeyBayes) {
  const HeeParameters p = linear_gaussian(5, 3, 0.6, 1.3);
  const GaussianPosterior posterior = gaussian_posterior(p);
  const Matrix<float> x_0 = normals(1, 5, 9), x_1 = normals(1, 3, 10);
  double energy;
  const std::vector<MatrixView<const float>> x{x_0, x_1};
  hee_energy(p, x, {&energy, 1});

  // log p(x_1 | x_0) by the covariance's inverse and determinant, 3 x 3 by cofactors
  const auto& c = posterior.covariance;
  double determinant = 0.0, quadratic = 0.0, deviation[3];
  for (int i = 0; i < 3; ++i) {
    double mean = posterior.offset(0, i);
    for (int u = 0; u < 5; ++u) mean += posterior.gain(i, u) * static_cast<double>(x_0(0, u));
    deviation[i] = static_cast<double>(x_1(0, i)) - mean;
  }
  const auto cofactor = [&](int i, int j) {
    const int a = (i + 1) % 3, b = (i + 2) % 3, d = (j + 1) % 3, e = (j + 2) % 3;
    return c(a, d) * c(b, e) - c(a, e) * c(b, d);
  };
  for (int j = 0; j < 3; ++j) determinant += c(0, j) * cofactor(0, j);
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) quadratic += deviation[i] * cofactor(j, i) / determinant * deviation[j];
  }
  const double log_posterior = -0.5 * (quadratic + std::log(determinant) + 3.0 * std::log(2.0 * 3.14159265358979324));
  EXPECT_NEAR(gaussian_log_likelihood(p, x_0), -energy - log_posterior, 1e-9);
}

TEST(Heating, ContinuousLawIsTheClosedFormOfTheScalarCase) {
  for (const float ratio : {0.5f, 0.1f, 0.01f}) {
    for (const int per_unit : {1, 2, 10}) {
      for (const float w : {0.3f, 1.0f, 2.0f}) {
        const HeeParameters p = scalar(w, 0.5, 1.2);
        const double posterior = gaussian_posterior(p).covariance(0, 0);
        const double heated = lyapunov_covariance(p, sampled(0.01f, ratio, per_unit), LyapunovKind::continuous)(0, 0);
        EXPECT_NEAR(heated / posterior,
                    interneuron_heating(static_cast<double>(w) * static_cast<double>(w), 0.5, 1.2,
                                        static_cast<double>(ratio), per_unit),
                    1e-9);
      }
    }
  }
  // the figures of docs/hee.md
  EXPECT_NEAR(interneuron_heating(1.0, 1.0, 1.0, 0.1, 1), 1.18, 0.002);
  EXPECT_NEAR(interneuron_heating(1.0, 1.0, 1.0, 0.1, 10), 1.10, 0.001);
}

TEST(Heating, OfManyUnitsIsThatOfTheDirectionsOfW) {
  HeeParameters p = linear_gaussian(3, 2, 1.0, 1.0);
  p.W[0] = Matrix<float>(3, 2);
  p.W[0](0, 0) = 0.6f;  // orthogonal columns: squared gains 1 and 4
  p.W[0](1, 0) = 0.8f;
  p.W[0](2, 1) = 2.0f;
  const Matrix<double> heated = lyapunov_covariance(p, sampled(0.01f, 0.1f), LyapunovKind::continuous);
  EXPECT_NEAR(heated(0, 0), 0.5 * interneuron_heating(1.0, 1.0, 1.0, 0.1, 1), 1e-6);
  EXPECT_NEAR(heated(1, 1), 0.2 * interneuron_heating(4.0, 1.0, 1.0, 0.1, 1), 1e-6);
  EXPECT_NEAR(heated(0, 1), 0.0, 1e-9);
}

TEST(SchemeLaw, WithExactInterneuronsIsEulerMaruyamasOwn) {
  HeeDynamics d;
  d.dt = 0.05f;
  const HeeParameters p = scalar(2.0f, 0.5, 1.0);
  const double k = 1.0 + 4.0 / 0.25, dt = static_cast<double>(d.dt);
  EXPECT_NEAR(lyapunov_covariance(p, d, LyapunovKind::scheme)(0, 0), 1.0 / (k * (1.0 - 0.5 * k * dt)), 1e-12);
}

TEST(SchemeLaw, TendsToTheContinuousOneWithTheStep) {
  const HeeParameters p = linear_gaussian(4, 2, 0.7, 1.0);
  const Matrix<double> limit = lyapunov_covariance(p, sampled(0.01f, 0.1f, 2), LyapunovKind::continuous);
  double error[2] = {0.0, 0.0};
  for (int k = 0; k < 2; ++k) {
    const Matrix<double> at = lyapunov_covariance(p, sampled(k == 0 ? 0.002f : 0.001f, 0.1f, 2), LyapunovKind::scheme);
    for (std::int64_t i = 0; i < at.size(); ++i) {
      error[k] = std::max(error[k], std::fabs(at.data()[i] - limit.data()[i]));
    }
  }
  EXPECT_LT(error[1], 0.02);
  EXPECT_NEAR(error[0] / error[1], 2.0, 0.2) << "first order";
}

// The scheme itself, written out: 4000 chains of one neuron and M interneurons with K substeps, after 300 steps. Variances of 4000 normal
// draws scatter by sqrt(2/4000) = 2.2 %; the bound is 5 of these, false-alarm level 2e-6 for the three together.
TEST(SchemeLaw, IsThatOfTheSchemeWithSubstepsAndSeveralInterneurons) {
  const HeeParameters p = scalar(1.5f, 0.8, 1.1);
  const HeeDynamics d = sampled(0.08f, 0.2f, 2, 3);
  const Matrix<double> exact = lyapunov_covariance(p, d, LyapunovKind::scheme);
  constexpr int n_chains = 4000, n_steps = 300, M = 2, K = 3;
  const double w = 1.5, v_0 = 0.64, v_1 = 1.21, dt = static_cast<double>(d.dt);
  const double r = std::exp(-dt / (K * static_cast<double>(d.tau_ratio) * v_0));
  double xx = 0.0, xe = 0.0, ee = 0.0;
  const Matrix<float> noise = normals(n_chains, n_steps * (M * K + 1), 77);
  for (int chain = 0; chain < n_chains; ++chain) {
    double x = 0.0, e[M] = {0.0, 0.0};
    const float* xi = noise.row(chain);
    for (int step = 0; step < n_steps; ++step) {
      double mean = 0.0;
      for (int k = 0; k < K; ++k) {
        for (double& interneuron : e) {
          interneuron = w * x + r * (interneuron - w * x) + std::sqrt(v_0 * (1.0 - r * r)) * static_cast<double>(*xi++);
          mean += interneuron / (M * K);
        }
      }
      x += dt * (-w * mean / v_0 - x / v_1) + std::sqrt(2.0 * dt) * static_cast<double>(*xi++);
    }
    const double both = 0.5 * (e[0] + e[1]);
    xx += x * x / n_chains;
    xe += x * both / n_chains;
    ee += both * both / n_chains;
  }
  const double tolerance = 5.0 * std::sqrt(2.0 / n_chains);
  EXPECT_NEAR(xx, exact(0, 0), tolerance * exact(0, 0));
  EXPECT_NEAR(ee, exact(1, 1), tolerance * exact(1, 1));
  EXPECT_NEAR(xe, exact(0, 1), tolerance * std::sqrt(exact(0, 0) * exact(1, 1)));
}

TEST(LinearGaussianErrors, OtherModelsAndUnstableStepsAreRefused) {
  HeeParameters p = scalar(2.0f, 0.1);
  HeeDynamics d;
  d.dt = 0.1f;
  EXPECT_THROW(lyapunov_covariance(p, d, LyapunovKind::scheme), Error);
  d.integrator = Integrator::baoab;
  EXPECT_THROW(lyapunov_covariance(p, d, LyapunovKind::continuous), Error);
  p.layers[1].nonlinearity = Nonlinearity::tanh;
  EXPECT_THROW(gaussian_posterior(p), Error);
  p.layers[1].nonlinearity.reset();
  p.layers[0].family = Family::laplace;
  EXPECT_THROW(gaussian_posterior(p), Error);
}

}  // namespace
}  // namespace tarn::test
