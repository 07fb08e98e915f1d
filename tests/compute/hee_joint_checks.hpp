// Inference and joint generation against ancestral draws, on any backend: chains that start as exact draws of the whole model must stay
// exact draws of it, whether the observation is held (each chain samples its own posterior) or moves too.
#pragma once

#include <algorithm>
#include <cmath>

#include "compute/hee_session_checks.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn::test {

/// The family at the bottom, at the top and in the middle of a model of two or three layers.
inline std::vector<HeeParameters> models_with(Family family) {
  std::vector<HeeParameters> models{
      some_hee({{3, 2}, {family, Family::gaussian}}), some_hee({{3, 2}, {Family::gaussian, family}}),
      some_hee({{2, 3, 2}, {Family::gaussian, family, Family::gaussian}, Nonlinearity::tanh})};
  for (HeeParameters& p : models) {
    for (HeeLayer& layer : p.layers) layer.parameters = {.s = 1.0, .rate = 2.5, .width = 0.3, .c = 0.7};
  }
  return models;
}

/// Largest distance between the empirical distribution functions of two samples of one size.
inline double ks_distance(std::vector<float> a, std::vector<float> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double distance = 0.0;
  std::size_t below_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    while (below_b < b.size() && b[below_b] <= a[i]) ++below_b;
    distance = std::max(distance, std::abs(static_cast<double>(below_b) - static_cast<double>(i + 1)));
  }
  return distance / static_cast<double>(a.size());
}

/// Runs `n_chains` exact draws for `duration` (in tau) and compares every unit of every layer with fresh draws by the two-sample
/// Kolmogorov-Smirnov distance: its bound has a false-alarm level of 1e-7 a unit, below 1e-5 for a file, and 0.01 for the step's bias.
inline void expect_law_is_kept(const MakeHee& make, const HeeParameters& p, bool free_observation,
                               std::int64_t n_chains, double duration) {
  HeeDynamics d;
  // Leimkuhler-Matthews has the smaller bias, but not at a boundary: its shared noise is reflected in one of two steps
  const bool bounded = std::any_of(p.layers.begin(), p.layers.end(),
                                   [](const HeeLayer& layer) { return layer.family == Family::rectified; });
  d.integrator = bounded ? Integrator::euler_maruyama : Integrator::leimkuhler_matthews;
  d.dt = 0.01f;
  d.free_observation = free_observation;
  const std::vector<Matrix<float>> first = draw_ancestral(p, 31, 0, 0, n_chains),
                                   fresh = draw_ancestral(p, 31, 0, 1, n_chains);
  const auto session = make(p, {});
  session->set_rows({.n_data = n_chains});
  session->set_observations(first[0]);
  for (int l = 1; l <= p.n_latent_layers(); ++l) session->write(l, first[static_cast<std::size_t>(l)]);
  session->infer(d, {.seed = 17, .n_steps = static_cast<std::int64_t>(duration / static_cast<double>(d.dt))});
  const double bound = std::sqrt(std::log(2e7) / static_cast<double>(n_chains)) + 0.01;
  for (int l = free_observation ? 0 : 1; l <= p.n_latent_layers(); ++l) {
    const Matrix<float> x = read(*session, l, n_chains);
    EXPECT_NE(x, first[static_cast<std::size_t>(l)]) << "layer " << l << " has not moved";
    for (std::int64_t i = 0; i < x.cols(); ++i) {
      std::vector<float> found, expected;
      for (std::int64_t r = 0; r < n_chains; ++r) {
        found.push_back(x(r, i));
        expected.push_back(fresh[static_cast<std::size_t>(l)](r, i));
      }
      EXPECT_LT(ks_distance(found, expected), bound) << "layer " << l << ", unit " << i;
    }
  }
}

}  // namespace tarn::test
