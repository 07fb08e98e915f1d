#include "line_curves.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/evaluation/best_fit.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
#include "tarn/models/score.hpp"

namespace tarn {
namespace {

template <class Fit>
BestFit from(const Fit& fit, const Law1d& law, std::string remark) {
  BestFit best{fit.error, "drift " + fit.text() + remark, {}};
  const double reach = 2.8 * std::sqrt(law.variance());
  Matrix<double> x(161, 1);
  for (std::int64_t i = 0; i < x.rows(); ++i)
    x(i, 0) = law.mean() + reach * (2.0 * static_cast<double>(i) / 160.0 - 1.0);
  const Matrix<double> drift = fit.drift(x.view());
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    best.curve.x.push_back(x(i, 0));
    best.curve.y.push_back(drift(i, 0));
  }
  return best;
}

}  // namespace

Curve curve_of(const BatchFunction1d& f, double low, double high, int n) {
  Curve curve;
  for (int i = 0; i < n; ++i) curve.x.push_back(low + (high - low) * i / (n - 1));
  curve.y.resize(curve.x.size());
  f(curve.x, curve.y);
  return curve;
}

Curve density_of(const Law1d& law, double low, double high) {
  Curve curve;
  constexpr int n = 301;
  for (int i = 0; i < n; ++i) {
    curve.x.push_back(low + (high - low) * i / (n - 1));
    curve.y.push_back(law.density(curve.x.back()));
  }
  return curve;
}

BatchFunction1d learned_score(Backend& backend, const SamplingNetwork& network) {
  return from_float([&](MatrixView<const float> x, MatrixView<float> score) {
    const Matrix<float> s = score_in_data_units(backend, network, x);
    std::copy_n(s.data(), s.size(), score.data);
  });
}

BestFit best_fit(ModelKind kind, Nonlinearity phi, const Law1d& law, const BatchFunction1d& true_score,
                 std::uint64_t seed) {
  const FitProblem problem = fit_problem(law, true_score);
  if (kind == ModelKind::sampler_only_sc) return from(fit_sampler_only_sc(phi, problem), law, "");
  const RateFit fit = fit_sampler_only_fr(phi, problem, seed);
  return from(fit, law, fmt::format(", best of {} starts", fit.n_restarts));
}

}  // namespace tarn
