// What the local rule finds in the linear-Gaussian case, on any backend.
#pragma once

#include "compute/hee_law_checks.hpp"

namespace tarn::test {

/// Draws of x_0 from the linear-Gaussian model with these parameters.
inline Matrix<float> draws(const HeeParameters& p, std::int64_t n) {
  const std::int64_t n0 = p.layers[0].size, n1 = p.layers[1].size;
  Matrix<float> x(n, n0), xi(n, n0 + n1);
  fill_normals(21, Stream::synthetic_data, 0, 0, 1, xi);
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t i = 0; i < n0; ++i) {
      x(r, i) = p.b[0](0, i) + static_cast<float>(p.layers[0].parameters.s) * xi(r, i);
      for (std::int64_t j = 0; j < n1; ++j)
        x(r, i) += p.W[0](i, j) * (p.b[1](0, j) + static_cast<float>(p.layers[1].parameters.s) * xi(r, n0 + j));
    }
  }
  return x;
}

/// Orthonormal basis `[n_0, n]` of the principal subspace of rows, by orthogonal iteration.
inline Matrix<double> principal_subspace(MatrixView<const float> x, std::int64_t n) {
  const Matrix<double> S = moments_of(x).covariance;
  Matrix<double> basis(S.rows(), n);
  for (std::int64_t k = 0; k < n; ++k) basis(k, k) = 1.0;
  for (int round = 0; round < 500; ++round) {
    Matrix<double> next(S.rows(), n);
    for (std::int64_t k = 0; k < n; ++k) {
      for (std::int64_t i = 0; i < S.rows(); ++i) {
        for (std::int64_t j = 0; j < S.rows(); ++j) next(i, k) += S(i, j) * basis(j, k);
      }
      for (std::int64_t m = 0; m < k; ++m) {
        double along = 0.0;
        for (std::int64_t i = 0; i < S.rows(); ++i) along += next(i, k) * next(i, m);
        for (std::int64_t i = 0; i < S.rows(); ++i) next(i, k) -= along * next(i, m);
      }
      double square = 0.0;
      for (std::int64_t i = 0; i < S.rows(); ++i) square += next(i, k) * next(i, k);
      for (std::int64_t i = 0; i < S.rows(); ++i) next(i, k) /= std::sqrt(square);
    }
    basis = next;
  }
  return basis;
}

/// Probabilistic PCA (Tipping and Bishop 1999) with the noise given: persistent latents, plain rule, from small random weights.
inline void expect_principal_subspace(const MakeHee& make, std::int64_t n_data, int n_rounds) {
  HeeParameters truth;
  truth.layers = {{.size = 6, .parameters = {.s = 0.5}}, {.size = 2}};
  truth.W = {Matrix<float>(6, 2)};
  truth.b = {Matrix<float>(1, 6), Matrix<float>(1, 2)};
  const float w[] = {1.2f, 0.0f, -0.8f, 0.5f, 0.3f, 0.9f, 0.6f, -0.7f, 0.0f, 0.4f, -0.5f, 0.2f};
  std::copy_n(w, 12, truth.W[0].data());
  truth.b[0](0, 2) = 1.0f;
  const Matrix<float> x0 = draws(truth, n_data);

  HeeParameters p = truth;
  fill_normals(4, Stream::weight_init, 0, 0, 1, p.W[0]);
  for (std::int64_t i = 0; i < p.W[0].size(); ++i) p.W[0].data()[i] *= 0.1f;
  p.b[0](0, 2) = 0.0f;
  const auto session = make(p, {});
  session->set_rows({.n_data = n_data});
  session->set_observations(x0);
  HeeDynamics d;
  d.integrator = Integrator::leimkuhler_matthews;
  d.dt = 0.1f;
  session->reset(d, 5, 0, 1.0f);
  std::uint64_t step = 0;
  // The rate falls, so that the noise of the chains averages out at the end.
  for (int round = 0; round < n_rounds; ++round, step += 5) {
    session->infer(d, {.seed = 5, .first_step = step, .n_steps = 5, .statistics = true});
    session->learn(std::vector<double>{round < n_rounds / 2 ? 0.2 : 0.2 * 30.0 / (round - n_rounds / 2 + 30)});
  }
  HeeParameters found = session->parameters();
  for (std::int64_t j = 0; j < 2; ++j)
    EXPECT_NEAR(found.b[1](0, j), 0.0f, 0.5f);  // along which the likelihood is flat, with b[0]

  // The maximum of the likelihood, given s, is about 12/2/n above the truth: 0.006 nats at 1024 data.
  const double best = gaussian_log_likelihood(truth, x0), reached = gaussian_log_likelihood(found, x0);
  EXPECT_GT(reached, best - 0.002) << "the truth has " << best;
  const Matrix<double> basis = principal_subspace(x0, 2);
  for (std::int64_t j = 0; j < 2; ++j) {
    double square = 0.0, inside = 0.0;
    for (std::int64_t i = 0; i < 6; ++i) square += std::pow(static_cast<double>(found.W[0](i, j)), 2);
    for (std::int64_t k = 0; k < 2; ++k) {
      double along = 0.0;
      for (std::int64_t i = 0; i < 6; ++i) along += basis(i, k) * static_cast<double>(found.W[0](i, j));
      inside += along * along;
    }
    EXPECT_GT(inside / square, 0.99) << "column " << j;
  }
}

}  // namespace tarn::test
