// What every device asks of a hierarchical model and its dynamics.
#include <algorithm>
#include <cmath>

#include "tarn/compute/hee.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

void check_shape(const Matrix<float>& found, const char* name, std::int64_t index, std::int64_t rows,
                 std::int64_t cols) {
  require(found.rows() == rows && found.cols() == cols, "model: {}[{}] is [{}, {}], it should be [{}, {}]", name, index,
          found.rows(), found.cols(), rows, cols);
  require(std::all_of(found.data(), found.data() + found.size(), [](float v) { return std::isfinite(v); }),
          "model: {}[{}] holds numbers that are not finite", name, index);
}

void check_above_zero(float value, const char* name) {
  require(value > 0.0f && std::isfinite(value), "inference: {} must be above 0 and finite, found {}", name, value);
}

}  // namespace

void check_hee_parameters(const HeeParameters& p) {
  const std::size_t n_layers = p.layers.size();
  require(n_layers >= 2, "model: needs an observation and a latent layer or more, found {} layers", n_layers);
  stream_of_layer(Stream::interneurons, static_cast<int>(n_layers) - 1);
  require(p.W.size() == n_layers - 1 && p.b.size() == n_layers, "model: {} layers need {} W and {} b, found {} and {}",
          n_layers, n_layers - 1, n_layers, p.W.size(), p.b.size());
  require(!p.layers[0].nonlinearity, "model: layer 0 drives no layer, so it takes no nonlinearity");
  for (std::size_t l = 0; l < n_layers; ++l) {
    const auto index = static_cast<std::int64_t>(l);
    require(p.layers[l].size > 0, "model: layer {} has {} units; it needs one or more", index, p.layers[l].size);
    check_parameters(p.layers[l].family, p.layers[l].parameters);
    check_shape(p.b[l], "b", index, 1, p.layers[l].size);
    if (l > 0) check_shape(p.W[l - 1], "W", index - 1, p.layers[l - 1].size, p.layers[l].size);
  }
}

std::int64_t n_units_from(const HeeParameters& p, int first) {
  std::int64_t n = 0;
  for (auto l = static_cast<std::size_t>(first); l < p.layers.size(); ++l) n += p.layers[l].size;
  return n;
}

std::vector<HeeUnits> watched_units(const HeeParameters& p, int first, int last, std::int64_t n_front) {
  require(first >= 0 && first <= last && last <= p.n_latent_layers(),
          "live diagnostics: layers {} to {} of a model with layers 0 to {}", first, last, p.n_latent_layers());
  const std::int64_t n_units = n_units_from(p, first) - (last < p.n_latent_layers() ? n_units_from(p, last + 1) : 0);
  require(n_front >= 0 && n_front <= n_units, "live diagnostics: {} units are to be watched, there are {}", n_front,
          n_units);
  const auto size = [&](int l) { return p.layers[static_cast<std::size_t>(l)].size; };
  std::vector<std::int64_t> front(static_cast<std::size_t>(last - first + 1), 0);
  for (std::int64_t given = 0; given < n_front;) {
    for (int l = first; l <= last && given < n_front; ++l) {
      std::int64_t& n = front[static_cast<std::size_t>(l - first)];
      if (n == size(l)) continue;
      ++n;
      ++given;
    }
  }
  std::vector<HeeUnits> order;
  for (const bool in_front : {true, false}) {
    for (int l = first; l <= last; ++l) {
      const std::int64_t n = front[static_cast<std::size_t>(l - first)];
      const HeeUnits piece = in_front ? HeeUnits{l, 0, n} : HeeUnits{l, n, size(l) - n};
      if (piece.n == 0) continue;
      if (!order.empty() && order.back().layer == l && order.back().first + order.back().n == piece.first)
        order.back().n += piece.n;  // of a layer that is alone
      else
        order.push_back(piece);
    }
  }
  return order;
}

std::int64_t n_units(const std::vector<HeeUnits>& units) {
  std::int64_t n = 0;
  for (const HeeUnits& piece : units) n += piece.n;
  return n;
}

void check_hee_dynamics(const HeeDynamics& d) {
  check_above_zero(d.dt, "dt");
  if (d.interneurons == Interneurons::sampled) {
    require(
        d.tau_ratio > 0.0f && d.tau_ratio < 1.0f,
        "inference: tau_ratio = tau_e/tau must lie between 0 and 1, since interneurons are the faster ones; found {}",
        d.tau_ratio);
    require(d.per_unit >= 1 && d.substeps >= 1,
            "inference: interneurons need one or more a unit and one or more substeps, found {} and {}", d.per_unit,
            d.substeps);
  }
  if (d.integrator == Integrator::baoab) check_above_zero(d.friction, "friction");
  if (d.adaptation_strength != 0.0f) {
    require(std::isfinite(d.adaptation_strength), "inference: the strength of adaptation must be finite, found {}",
            d.adaptation_strength);
    check_above_zero(d.adaptation_tau, "the time constant of adaptation");
    require(d.integrator != Integrator::baoab, "inference: momentum and activity-driven adaptation exclude each other");
  }
  require(d.observation_every >= 1, "generation: the observation moves every K-th step, K one or more; found {}",
          d.observation_every);
  require(d.observation_dt >= 0.0f && std::isfinite(d.observation_dt),
          "generation: the observation's step must be finite and not negative, found {}", d.observation_dt);
  require(d.free_observation || (d.observation_every == 1 && d.observation_dt == 0.0f && d.only_layer < 0),
          "generation: steps of the observation, or of a layer alone, need an observation that is free to move");
  require(d.only_layer < 0 || d.observation_every == 1,
          "generation: a layer that moves alone moves in every step, found observation_every = {}",
          d.observation_every);
}

void check_hee_steps(const HeeParameters& p, const HeeDynamics& d, const HeeSteps& s) {
  require(s.n_steps >= 0, "inference: the number of steps must not be negative, found {}", s.n_steps);
  require(s.n_steps % d.observation_every == 0,
          "generation: {} steps in a call are no multiple of observation_every = {}", s.n_steps, d.observation_every);
  require(d.only_layer >= -1 && d.only_layer <= p.n_latent_layers(), "generation: there is no layer {} to move alone",
          d.only_layer);
  require(d.only_layer < 0 || (!s.statistics && !s.means),
          "generation: a layer that moves alone has neither statistics nor posterior means");
}

std::int64_t n_matrix_products(const HeeDynamics& d, int n_latent_layers, std::int64_t n_steps) {
  if (d.only_layer < 0) return 2 * n_latent_layers * n_steps;  // down for eta, up for the messages
  return d.only_layer < n_latent_layers && n_steps > 0 ? 1 : 0;
}

}  // namespace tarn
