// The laws that inference samples, on any backend: chains that run from a start far from equilibrium until it is forgotten, each an
// independent draw. Bounds are 5.5 standard errors of Gaussian draws: a false alarm of 4e-8 a number, below 1e-5 for all of a file.
#pragma once

#include "compute/hee_session_checks.hpp"
#include "tarn/models/linear_gaussian.hpp"

namespace tarn::test {

inline constexpr double sigmas = 5.5;

/// Two latent and three observed units, all Gaussian; the posterior is correlated and of unequal widths.
inline HeeParameters linear_gaussian() {
  HeeParameters p;
  p.layers = {{.size = 3, .parameters = {.s = 0.7}}, {.size = 2, .parameters = {.s = 1.2}}};
  Matrix<float> W(3, 2), b0(1, 3), b1(1, 2);
  const float w[] = {1.0f, 0.4f, -0.5f, 0.8f, 0.3f, 0.6f};
  std::copy_n(w, 6, W.data());
  b0(0, 0) = 0.3f;
  b0(0, 2) = -0.2f;
  b1(0, 0) = 0.5f;
  p.W = {W};
  p.b = {b0, b1};
  return p;
}

/// Means and covariance `[n, n]` of rows.
struct Moments {
  std::vector<double> mean;
  Matrix<double> covariance;
};
inline Moments moments_of(MatrixView<const float> x) {
  const auto n = static_cast<double>(x.rows);
  Moments m{std::vector<double>(static_cast<std::size_t>(x.cols), 0.0), Matrix<double>(x.cols, x.cols)};
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t i = 0; i < x.cols; ++i) m.mean[static_cast<std::size_t>(i)] += static_cast<double>(x(r, i)) / n;
  }
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t i = 0; i < x.cols; ++i) {
      for (std::int64_t j = 0; j < x.cols; ++j) {
        m.covariance(i, j) += (static_cast<double>(x(r, i)) - m.mean[static_cast<std::size_t>(i)]) *
                              (static_cast<double>(x(r, j)) - m.mean[static_cast<std::size_t>(j)]) / n;
      }
    }
  }
  return m;
}

inline void expect_gaussian(const Moments& found, const std::vector<double>& mean, const Matrix<double>& S,
                            std::int64_t n_draws, const std::string& what) {
  const auto n = static_cast<double>(n_draws);
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const auto k = static_cast<std::int64_t>(i);
    EXPECT_NEAR(found.mean[i], mean[i], sigmas * std::sqrt(S(k, k) / n)) << what << ": mean of unit " << i;
  }
  for (std::int64_t i = 0; i < S.rows(); ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double error = std::sqrt((S(i, i) * S(j, j) + S(i, j) * S(i, j)) / n);
      EXPECT_NEAR(found.covariance(i, j), S(i, j), sigmas * error)
          << what << ": covariance of units " << i << ", " << j;
    }
  }
}

/// Runs chains for time `duration` (in tau) on one datum of the linear-Gaussian model, from N(0, 2^2).
inline std::unique_ptr<HeeSession> relaxed(const MakeHee& make, const HeeParameters& p, const HeeDynamics& d,
                                           MatrixView<const float> x0, std::int64_t chains_per_datum, double duration) {
  auto session = make(p, {});
  session->set_rows({.n_data = x0.rows, .chains_per_datum = chains_per_datum});
  session->set_observations(x0);
  session->reset(d, 11, 0, 2.0f);
  session->infer(d, {.seed = 11, .n_steps = static_cast<std::int64_t>(duration / static_cast<double>(d.dt))});
  return session;
}

/// Mean and covariance of the latents against the closed forms; `exact`: the integrator has the posterior itself as its law, else the
/// covariance of the scheme is asked for. Interneurons, where there are any, are held against the Lyapunov covariance too.
inline void expect_posterior(const MakeHee& make, const HeeDynamics& d, bool exact, std::int64_t n_chains) {
  const HeeParameters p = linear_gaussian();
  const GaussianPosterior posterior = gaussian_posterior(p);
  const bool sampled = d.interneurons == Interneurons::sampled;
  const Matrix<double> S = exact ? posterior.covariance : lyapunov_covariance(p, d, LyapunovKind::scheme);
  Matrix<float> x0(2, 3);
  const float data[] = {1.5f, -0.4f, 0.2f, -2.0f, 0.1f, 1.0f};
  std::copy_n(data, 6, x0.data());
  // The slowest rate is that of the prior or above, 1/1.2^2; after 14 tau less than 1e-4 of the start is left.
  const auto session = relaxed(make, p, d, x0, n_chains, 14.0);
  const Matrix<float> x1 = read(*session, 1, 2 * n_chains);
  const HeeChainState state = session->chain_state();
  for (std::int64_t datum = 0; datum < 2; ++datum) {
    Matrix<float> joint(n_chains, sampled ? 5 : 2);
    for (std::int64_t r = 0; r < n_chains; ++r) {
      for (std::int64_t i = 0; i < 2; ++i) joint(r, i) = x1(datum * n_chains + r, i);
      for (std::int64_t i = 0; sampled && i < 3; ++i) {
        const Matrix<float>& e = state.arrays.at("e.0");
        for (std::int64_t m = 0; m < d.per_unit; ++m)
          joint(r, 2 + i) += e(datum * n_chains + r, i * d.per_unit + m) / static_cast<float>(d.per_unit);
      }
    }
    std::vector<double> mean;
    for (std::int64_t i = 0; i < 2; ++i) {
      mean.push_back(posterior.offset(0, i));
      for (std::int64_t k = 0; k < 3; ++k) mean.back() += posterior.gain(i, k) * static_cast<double>(x0(datum, k));
    }
    for (std::int64_t k = 0; sampled && k < 3; ++k) {
      mean.push_back(static_cast<double>(p.b[0](0, k)));
      for (std::size_t i = 0; i < 2; ++i)
        mean.back() += static_cast<double>(p.W[0](k, static_cast<std::int64_t>(i))) * mean[i];
    }
    expect_gaussian(moments_of(joint), mean, S, n_chains, "datum " + std::to_string(datum));
  }
}

/// Variance of the latent over that of the posterior, at stationarity, of one Gaussian unit above another of unit widths and gain.
inline double heating(const MakeHee& make, float tau_ratio, int per_unit, std::int64_t n_chains) {
  HeeParameters p;
  p.layers = {{.size = 1}, {.size = 1}};
  p.W = {Matrix<float>(1, 1)};
  p.W[0](0, 0) = 1.0f;
  p.b = {Matrix<float>(1, 1), Matrix<float>(1, 1)};
  HeeDynamics d;
  d.dt = 0.02f;
  d.interneurons = Interneurons::sampled;
  d.tau_ratio = tau_ratio;
  d.per_unit = per_unit;
  Matrix<float> x0(1, 1);
  const auto session = relaxed(make, p, d, x0, n_chains, 8.0);
  return moments_of(read(*session, 1, n_chains)).covariance(0, 0) / gaussian_posterior(p).covariance(0, 0);
}

/// The moments of one Gaussian latent unit above three units of `family`, by quadrature of the exact posterior.
struct Posterior1d {
  double mean = 0.0, variance = 0.0;
};
inline HeeParameters one_above(Family family) {
  HeeParameters p;
  p.layers = {{.size = 3, .family = family, .parameters = {.s = 1.0, .rate = 2.5, .width = 0.5, .c = 0.5}},
              {.size = 1}};
  Matrix<float> W(3, 1), b(1, 3);
  const float w[] = {0.8f, -0.5f, 0.6f};
  std::copy_n(w, 3, W.data());
  // Where eta is a scale, it must not be small, or the interneurons are too slow at any ratio.
  if (family == Family::gaussian_scale) std::fill_n(b.data(), 3, 0.8f);
  if (family == Family::laplace_scale) std::fill_n(b.data(), 3, 1.5f);
  p.W = {W};
  p.b = {b, Matrix<float>(1, 1)};
  return p;
}
inline Posterior1d posterior_1d(const HeeParameters& p, MatrixView<const float> x0) {
  const ExponentialFamily law(p.layers[0].family, p.layers[0].parameters);
  double weight = 0.0, first = 0.0, second = 0.0;
  for (int k = -4000; k <= 4000; ++k) {
    const double x = 2e-3 * k;
    double log_density = -0.5 * x * x;
    for (std::int64_t i = 0; i < x0.cols; ++i) {
      const double eta = law.link(static_cast<double>(p.W[0](i, 0)) * x + static_cast<double>(p.b[0](0, i)));
      log_density += eta * law.statistic(static_cast<double>(x0(0, i))) - law.log_partition(eta);
    }
    const double density = std::exp(log_density);
    weight += density;
    first += density * x;
    second += density * x * x;
  }
  const double mean = first / weight;
  return {mean, second / weight - mean * mean};
}

}  // namespace tarn::test
