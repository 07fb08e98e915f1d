#include <algorithm>
#include <cmath>

#include "hee_judgements.hpp"
#include "tarn/evaluation/linear_gaussian.hpp"
#include "tarn/training/pca.hpp"

namespace tarn {
namespace {

std::vector<double> in_double(const Matrix<float>& row) { return {row.data(), row.data() + row.size()}; }

LinearGaussian closed_form(const HeeParameters& p) {
  Matrix<double> W(p.W[0].rows(), p.W[0].cols());
  std::copy_n(p.W[0].data(), W.size(), W.data());
  return {std::move(W), in_double(p.b[0]), in_double(p.b[1]), p.layers[0].parameters.s, p.layers[1].parameters.s};
}

// Deviations of the chains' last states from their exact posterior means, `[n_finite, n_1]`.
Matrix<double> deviations(const LinearGaussian& exact, const HeeSamplingOutcome& sampling) {
  const Matrix<double> means = exact.posterior_means(sampling.last_draw[0]);
  const Matrix<float>& x = sampling.last_draw[1];
  Matrix<double> out(x.rows() - sampling.n_quarantined, x.cols());
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    if (sampling.first_bad_step[static_cast<std::size_t>(i)] >= 0) continue;
    for (std::int64_t j = 0; j < x.cols(); ++j) out(row, j) = x(i, j) - means(i, j);
    ++row;
  }
  return out;
}

void judge_posterior(const LinearGaussian& exact, const HeeSamplingOutcome& sampling, EvaluationOutcome& out) {
  const Matrix<double> d = deviations(exact, sampling), C = exact.posterior_covariance();
  const std::int64_t n = d.rows(), m = d.cols();
  if (n < 2) {
    out.warnings.push_back("fewer than two chains are left: the posterior was not judged");
    return;
  }
  // root mean square over the latents of the mean deviation, in standard deviations; exact draws leave 1/sqrt(n)
  double mean_square = 0.0, error = 0.0, size = 0.0, variance = 0.0, expected = 0.0;
  std::vector<double> mean(static_cast<std::size_t>(m));
  for (std::int64_t j = 0; j < m; ++j) {
    for (std::int64_t i = 0; i < n; ++i) mean[static_cast<std::size_t>(j)] += d(i, j) / static_cast<double>(n);
    mean_square +=
        mean[static_cast<std::size_t>(j)] * mean[static_cast<std::size_t>(j)] / C(j, j) / static_cast<double>(m);
  }
  double error_floor = 0.0;
  for (std::int64_t j = 0; j < m; ++j) {
    for (std::int64_t k = 0; k < m; ++k) {
      double c = 0.0;
      for (std::int64_t i = 0; i < n; ++i) c += d(i, j) * d(i, k);
      c = c / static_cast<double>(n) - mean[static_cast<std::size_t>(j)] * mean[static_cast<std::size_t>(k)];
      error += (c - C(j, k)) * (c - C(j, k));
      size += C(j, k) * C(j, k);
      error_floor += (C(j, j) * C(k, k) + C(j, k) * C(j, k)) / static_cast<double>(n);
      if (j == k) {
        variance += c;
        expected += C(j, j);
      }
    }
  }
  out.add("posterior_mean_error", "posterior mean: RMS deviation, in standard deviations", std::sqrt(mean_square),
          fmt::format("exact draws: about {:.3g}", 1.0 / std::sqrt(static_cast<double>(n))));
  out.add("posterior_covariance_error", "posterior covariance: relative error", std::sqrt(error / size),
          fmt::format("exact draws: about {:.3g}", std::sqrt(error_floor / size)));
  out.add("posterior_variance_ratio", "posterior variance over the exact one", variance / expected,
          fmt::format("exact draws: 1 +- {:.2g}", std::sqrt(2.0 / static_cast<double>(n * m))));
}

}  // namespace

bool is_linear_gaussian(const HeeParameters& p) {
  return p.layers.size() == 2 && p.layers[0].family == Family::gaussian && p.layers[1].family == Family::gaussian &&
         !p.layers[1].nonlinearity;
}

void judge_linear_gaussian(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  constexpr std::int64_t most_rows = 20000;
  const HeeParameters& p = in.training.model.parameters;
  const LinearGaussian exact = closed_form(p);
  judge_posterior(exact, in.sampling, out);

  const std::int64_t n = std::min(in.data.rows.rows(), most_rows), D = in.data.n_outputs;
  const auto rows = in.data.rows.view().slice(0, n);
  const std::int64_t q = std::min({exact.n_latents(), D, n - 1});
  const PcaFilter pca = fit_pca(rows, q);
  const double s = p.layers[0].parameters.s;
  out.add("log_likelihood", "log likelihood of the data", exact.log_likelihood(rows),
          fmt::format("best of this size (probabilistic PCA): {:.5g}",
                      best_log_likelihood(pca.variances(), pca.total_variance(), D, exact.n_latents(), s)));
  const auto above = std::ranges::count_if(pca.variances(), [&](double v) { return v > s * s; });
  if (above == 0 || exact.n_latents() >= D) return;
  Matrix<float> directions(D, above);
  for (std::int64_t d = 0; d < D; ++d) std::copy_n(pca.V().row(d), above, directions.row(d));
  out.add("subspace_distance", "sine of the largest angle to the principal subspace",
          exact.distance_to(directions.view()), fmt::format("{} directions above the noise", above));
}

}  // namespace tarn
