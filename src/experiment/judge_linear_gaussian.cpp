#include <algorithm>
#include <cmath>

#include "hee_judgements.hpp"
#include "tarn/evaluation/principal_subspace.hpp"
#include "tarn/models/linear_gaussian.hpp"
#include "tarn/training/pca.hpp"

namespace tarn {
namespace {

// Deviations of the chains' last states from their exact posterior means, `[n_finite, n_1]`.
Matrix<double> deviations(const GaussianPosterior& exact, const HeeSamplingOutcome& sampling) {
  const Matrix<float>&observed = sampling.last_draw[0], &x = sampling.last_draw[1];
  Matrix<double> out(x.rows() - sampling.n_quarantined, x.cols());
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    if (sampling.first_bad_step[static_cast<std::size_t>(i)] >= 0) continue;
    for (std::int64_t j = 0; j < x.cols(); ++j) {
      double mean = exact.offset(0, j);
      for (std::int64_t d = 0; d < observed.cols(); ++d) mean += exact.gain(j, d) * observed(i, d);
      out(row, j) = x(i, j) - mean;
    }
    ++row;
  }
  return out;
}

double trace(const Matrix<double>& m, std::int64_t n) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) sum += m(i, i);
  return sum;
}

// What the variance of these dynamics is in theory, over that of the posterior; a remark where there is one.
std::string expected_ratio(const Config& config, const HeeParameters& p, double exact_trace) {
  const HeeDynamics dynamics = hee_dynamics(config);
  if (dynamics.integrator != Integrator::euler_maruyama || dynamics.adaptation_strength != 0.0f) return "";
  const Matrix<double> C = lyapunov_covariance(p, dynamics, LyapunovKind::scheme);
  return fmt::format("; of these steps {:.4g} (Lyapunov)", trace(C, p.layers[1].size) / exact_trace);
}

void judge_posterior(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  const HeeParameters& p = in.training.model.parameters;
  const GaussianPosterior exact = gaussian_posterior(p);
  const Matrix<double> d = deviations(exact, in.sampling);
  const Matrix<double>& C = exact.covariance;
  const std::int64_t n = d.rows(), m = d.cols();
  if (n < 2) {
    out.warnings.push_back("fewer than two chains are left: the posterior was not judged");
    return;
  }
  const auto count = static_cast<double>(n);
  std::vector<double> mean(static_cast<std::size_t>(m));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < m; ++j) mean[static_cast<std::size_t>(j)] += d(i, j) / count;
  }
  Matrix<double> found(m, m);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < m; ++j) {
      const double u = d(i, j) - mean[static_cast<std::size_t>(j)];
      for (std::int64_t k = 0; k < m; ++k) found(j, k) += u * (d(i, k) - mean[static_cast<std::size_t>(k)]) / count;
    }
  }
  double mean_square = 0.0, error = 0.0, size = 0.0, chance = 0.0;
  for (std::int64_t j = 0; j < m; ++j) {
    const double mu = mean[static_cast<std::size_t>(j)];
    mean_square += mu * mu / C(j, j) / static_cast<double>(m);
    for (std::int64_t k = 0; k < m; ++k) {
      error += (found(j, k) - C(j, k)) * (found(j, k) - C(j, k));
      size += C(j, k) * C(j, k);
      chance += (C(j, j) * C(k, k) + C(j, k) * C(j, k)) / count;  // variance of an entry, for exact draws
    }
  }
  out.add("posterior_mean_error", "posterior mean: RMS deviation, in standard deviations", std::sqrt(mean_square),
          fmt::format("exact draws: about {:.3g}", 1.0 / std::sqrt(count)));
  out.add("posterior_covariance_error", "posterior covariance: relative error", std::sqrt(error / size),
          fmt::format("exact draws: about {:.3g}", std::sqrt(chance / size)));
  const double exact_trace = trace(C, m);
  out.add("posterior_variance_ratio", "posterior variance over the exact one", trace(found, m) / exact_trace,
          fmt::format("exact draws: 1 +- {:.2g}{}", std::sqrt(2.0 * size / count) / exact_trace,
                      expected_ratio(in.config, p, exact_trace)));
}

}  // namespace

bool is_linear_gaussian(const HeeParameters& p) {
  return p.layers.size() == 2 && p.layers[0].family == Family::gaussian && p.layers[1].family == Family::gaussian &&
         !p.layers[1].nonlinearity;
}

void judge_linear_gaussian(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  constexpr std::int64_t most_rows = 20000;
  if (in.config.sampling.mode == "posterior") judge_posterior(in, out);

  const HeeParameters& p = in.training.model.parameters;
  const std::int64_t n_latents = p.layers[1].size, D = in.data.n_outputs;
  const auto rows = in.data.rows.view().slice(0, std::min(in.data.rows.rows(), most_rows));
  const PcaFilter pca = fit_pca(rows, std::min({n_latents, D, rows.rows - 1}));
  const double s = p.layers[0].parameters.s;
  const double best = best_log_likelihood(pca.variances(), pca.total_variance(), D, n_latents, s);
  out.add("log_likelihood", "log likelihood of the data", gaussian_log_likelihood(p, rows),
          fmt::format("best of this size (probabilistic PCA): {:.5g}", best));
  const auto above = std::ranges::count_if(pca.variances(), [&](double v) { return v > s * s; });
  if (above == 0 || n_latents >= D) return;
  Matrix<float> directions(D, above);
  for (std::int64_t d = 0; d < D; ++d) std::copy_n(pca.V().row(d), above, directions.row(d));
  out.add("subspace_distance", "sine of the largest angle to the principal subspace",
          subspace_distance(p.W[0], directions), fmt::format("{} directions above the noise", above));
}

}  // namespace tarn
