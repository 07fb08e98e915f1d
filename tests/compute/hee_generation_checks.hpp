// Generation on any backend: its steps against the plain restatement, and its law against ancestral draws, from noise or from exact draws.
#pragma once

#include <algorithm>
#include <cmath>

#include "compute/hee_session_checks.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn::test {

enum class Generation : std::uint8_t { joint, marginal, layerwise };
inline constexpr std::array all_generations{Generation::joint, Generation::marginal, Generation::layerwise};
inline constexpr std::array generation_names{"joint", "marginal", "layerwise"};

/// Every mode, in single steps against the restatement: integrators, interneurons, steps of the observation's own.
inline void expect_generation_steps(const MakeHee& make, Family family) {
  const HeeShape shape{{7, 6, 5}, {family, Family::laplace, family}, Nonlinearity::tanh};
  const HeeRows rows{.n_data = 4, .first_chain = 3};
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
    for (const Interneurons kind : {Interneurons::exact, Interneurons::sampled}) {
      HeeDynamics d = dynamics_of(integrator, kind);
      d.free_observation = true;
      d.observation_dt = 0.013f;
      for (const int K : {1, 2, 3}) {
        SCOPED_TRACE(testing::Message() << "K = " << K);
        d.observation_every = K;
        expect_steps(make, shape, d, rows, 6);
      }
      d.observation_every = 1;
      for (d.only_layer = 0; d.only_layer <= 2; ++d.only_layer) {
        SCOPED_TRACE(testing::Message() << "layer " << d.only_layer << " alone");
        expect_steps(make, shape, d, rows, 4);
      }
    }
  }
  HeeDynamics d = dynamics_of(Integrator::euler_maruyama, Interneurons::exact);
  d.free_observation = true;
  d.observation_every = 2;
  d.adaptation_strength = 1.5f;
  d.adaptation_tau = 0.5f;
  expect_steps(make, shape, d, rows, 6);
}

/// One and two latent layers with the family at the bottom, at the top and in between. Biases and rates keep the laws' slowest tails within what
/// a test can wait for: a precision below 0.5, or a tilt near the rate, would take hundreds of tau.
inline std::vector<HeeParameters> models_to_generate(Family family) {
  std::vector<HeeParameters> models{
      some_hee({{3, 2}, {family, Family::gaussian}}),
      some_hee({{3, 2}, {Family::gaussian, family}, Nonlinearity::tanh}),
      some_hee({{3, 2, 2}, {family, Family::gaussian, Family::gaussian}, Nonlinearity::tanh}),
      some_hee({{2, 3, 2}, {Family::gaussian, family, Family::gaussian}, Nonlinearity::tanh})};
  for (HeeParameters& p : models) {
    for (std::size_t l = 0; l < p.layers.size(); ++l) {
      p.layers[l].parameters = {.s = 0.8, .rate = 4.0, .width = 0.3, .c = 0.7};
      const bool scale = p.layers[l].family == Family::gaussian_scale || p.layers[l].family == Family::laplace_scale;
      for (std::int64_t i = 0; i < p.layers[l].size; ++i) p.b[l](0, i) += scale ? 2.0f : 0.0f;
      if (p.layers[l].family == Family::laplace) {
        for (std::int64_t i = 0; l < p.W.size() && i < p.W[l].size(); ++i) p.W[l].data()[i] *= 0.5f;
      }
    }
  }
  return models;
}

/// How a law is generated in a test.
struct GenerationRun {
  Generation mode = Generation::joint;
  Integrator integrator = Integrator::leimkuhler_matthews;
  double duration = 20.0;  ///< tau; of each layer in turn, `layerwise`
  bool from_noise = true;  ///< else from exact draws, which must stay exact draws
  int inner_steps = 4;     ///< `marginal`
};

inline std::vector<Matrix<float>> generate(HeeSession& session, const GenerationRun& run, std::int64_t n_chains) {
  const int L = session.parameters().n_latent_layers();
  HeeDynamics d;
  d.integrator = run.integrator;
  d.dt = run.integrator == Integrator::baoab ? 0.08f : 0.02f;
  d.friction = 1.0f;
  d.free_observation = true;
  if (run.mode == Generation::marginal) d.observation_every = run.inner_steps;
  session.set_rows({.n_data = n_chains});
  session.reset(d, 17, 0, 1.0f);
  if (!run.from_noise) {
    const auto exact = draw_ancestral(session.parameters(), 31, 0, 0, n_chains);
    for (int l = 0; l <= L; ++l) session.write(l, exact[static_cast<std::size_t>(l)]);
  }
  std::int64_t n_steps = std::llround(run.duration / static_cast<double>(d.dt));
  if (run.mode == Generation::layerwise) {
    std::uint64_t first = 0;
    for (d.only_layer = L; d.only_layer >= 0; --d.only_layer, first += static_cast<std::uint64_t>(n_steps))
      session.infer(d, {.seed = 17, .first_step = first, .n_steps = n_steps});
  } else {
    // the observation has its own, slower clock
    n_steps *= d.observation_every;
    session.infer(d, {.seed = 17, .n_steps = n_steps});
  }
  std::vector<Matrix<float>> x;
  for (int l = 0; l <= L; ++l) x.push_back(read(session, l, n_chains));
  return x;
}

/// All units of all layers in a row: `[n, n_0 + ... + n_L]`.
inline Matrix<double> side_by_side(const std::vector<Matrix<float>>& x) {
  std::int64_t n_units = 0, column = 0;
  for (const Matrix<float>& layer : x) n_units += layer.cols();
  Matrix<double> all(x[0].rows(), n_units);
  for (const Matrix<float>& layer : x) {
    for (std::int64_t r = 0; r < layer.rows(); ++r) {
      for (std::int64_t i = 0; i < layer.cols(); ++i) all(r, column + i) = static_cast<double>(layer(r, i));
    }
    column += layer.cols();
  }
  return all;
}

struct MeanAndError {
  double mean = 0.0, square = 0.0;  ///< of a product; squared standard error of its mean
};
template <class F>
MeanAndError mean_of(std::int64_t n, F&& value) {
  double sum = 0.0, square = 0.0;
  for (std::int64_t r = 0; r < n; ++r) {
    const double v = value(r);
    sum += v;
    square += v * v;
  }
  const auto count = static_cast<double>(n);
  return {sum / count, (square / count - sum / count * sum / count) / count};
}

/// Standard errors that a test allows: beyond 5.5 of them is a false alarm once in 2.6e7, below 1e-3 for all comparisons of a file together.
inline constexpr double generation_sigmas = 5.5;

/// Draws against as many ancestral draws of seed 31, draw 1. Quantiles of every unit: the share of draws below the reference's. Means and second
/// moments of every pair of units, but where a scale family makes their laws heavy. `bias` is what steps of finite length may add: to a
/// share, and to a moment in units of its draws' standard deviation.
inline void expect_ancestral_law(const HeeParameters& p, const std::vector<Matrix<float>>& x, double bias = 0.01) {
  const std::int64_t n = x[0].rows();
  const Matrix<double> found = side_by_side(x), exact = side_by_side(draw_ancestral(p, 31, 0, 1, n));
  for (std::int64_t i = 0; i < found.cols(); ++i) {
    std::vector<double> reference;
    for (std::int64_t r = 0; r < n; ++r) reference.push_back(exact(r, i));
    std::sort(reference.begin(), reference.end());
    for (const double share : {0.01, 0.1, 0.5, 0.9, 0.99}) {
      const double threshold = reference[static_cast<std::size_t>(share * static_cast<double>(n))];
      const auto below = mean_of(n, [&](std::int64_t r) { return found(r, i) < threshold ? 1.0 : 0.0; });
      const double error = std::sqrt(2.0 * share * (1.0 - share) / static_cast<double>(n));
      EXPECT_NEAR(below.mean, share, generation_sigmas * error + bias) << "unit " << i;
    }
  }
  if (std::any_of(p.layers.begin(), p.layers.end(), [](const HeeLayer& layer) {
        return layer.family == Family::gaussian_scale || layer.family == Family::laplace_scale;
      }))
    return;
  for (std::int64_t i = 0; i < found.cols(); ++i) {
    for (std::int64_t j = -1; j <= i; ++j) {  // -1: the mean
      const auto moment = [&](const Matrix<double>& all) {
        return mean_of(n, [&](std::int64_t r) { return all(r, i) * (j < 0 ? 1.0 : all(r, j)); });
      };
      const MeanAndError a = moment(found), b = moment(exact);
      const double deviation = std::sqrt(b.square * static_cast<double>(n));
      EXPECT_NEAR(a.mean, b.mean, generation_sigmas * std::sqrt(a.square + b.square) + bias * deviation)
          << "units " << i << " and " << j;
    }
  }
}

inline void expect_generation(const MakeHee& make, const HeeParameters& p, const GenerationRun& run,
                              std::int64_t n_chains) {
  const auto session = make(p, {});
  const auto x = generate(*session, run, n_chains);
  for (const std::int64_t step : session->first_bad_step()) ASSERT_EQ(step, -1);
  expect_ancestral_law(p, x);
}

/// The momentum's steps are reflected with it at the boundary of `rectified`, where Leimkuhler-Matthews is biased.
inline Integrator integrator_for(const HeeParameters& p) {
  const bool bounded = std::any_of(p.layers.begin(), p.layers.end(),
                                   [](const HeeLayer& layer) { return layer.family == Family::rectified; });
  return bounded ? Integrator::baoab : Integrator::leimkuhler_matthews;
}

}  // namespace tarn::test
