#include "tarn/models/hee_reading.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn {
namespace {

double drive(const HeeLayer& layer, float x) {
  if (!layer.nonlinearity) return x;
  return dispatch(*layer.nonlinearity, [&](auto phi) { return static_cast<double>(activate<phi.value>(x)); });
}

bool finite_row(std::span<const Matrix<float>> x, std::int64_t i) {
  return std::ranges::all_of(x, [&](const Matrix<float>& m) {
    return std::all_of(m.row(i), m.row(i) + m.cols(), [](float v) { return std::isfinite(v); });
  });
}

// The chains that are finite in all layers.
std::vector<Matrix<float>> finite_chains(std::span<const Matrix<float>> x) {
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < x[0].rows(); ++i) {
    if (finite_row(x, i)) kept.push_back(i);
  }
  std::vector<Matrix<float>> out;
  for (const Matrix<float>& layer : x) {
    Matrix<float> some(static_cast<std::int64_t>(kept.size()), layer.cols());
    for (std::size_t i = 0; i < kept.size(); ++i)
      std::copy_n(layer.row(kept[i]), layer.cols(), some.row(static_cast<std::int64_t>(i)));
    out.push_back(std::move(some));
  }
  return out;
}

ExponentialFamily family_of(const HeeLayer& layer) { return ExponentialFamily(layer.family, layer.parameters); }

double mean_of(const ExponentialFamily& family, double eta) {
  const double s = family.parameters().s;
  switch (family.family()) {
    case Family::gaussian:
      return eta;
    case Family::rectified:  // T = x / s^2
      return s * s * family.mean_statistic(eta);
    case Family::laplace:
    case Family::quartic:
      return family.mean_statistic(eta);
    case Family::gaussian_scale:
    case Family::laplace_scale:
      break;
  }
  return 0.0;  // symmetric
}

}  // namespace

double mean_state(const HeeLayer& layer, double eta) { return mean_of(family_of(layer), eta); }

Matrix<double> natural_parameters(const HeeParameters& p, int layer, std::span<const Matrix<float>> x) {
  const auto l = static_cast<std::size_t>(layer);
  const ExponentialFamily family = family_of(p.layers[l]);
  const std::int64_t n_units = p.layers[l].size;
  if (layer == p.n_latent_layers()) {
    Matrix<double> eta(1, n_units);
    for (std::int64_t u = 0; u < n_units; ++u) eta(0, u) = family.link(p.b[l](0, u));
    return eta;
  }
  const Matrix<float>&above = x[l + 1], &W = p.W[l];
  require(above.cols() == W.cols(), "layer {} has {} units, the state {}", layer + 1, W.cols(), above.cols());
  Matrix<double> eta(above.rows(), n_units);
  std::vector<double> f(static_cast<std::size_t>(above.cols()));
  for (std::int64_t i = 0; i < above.rows(); ++i) {
    for (std::int64_t j = 0; j < above.cols(); ++j)
      f[static_cast<std::size_t>(j)] = drive(p.layers[l + 1], above(i, j));
    for (std::int64_t u = 0; u < n_units; ++u) {
      double a = p.b[l](0, u);
      for (std::size_t j = 0; j < f.size(); ++j) a += W.row(u)[j] * f[j];
      eta(i, u) = std::isfinite(a) ? family.link(a) : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return eta;
}

Matrix<float> mean_given(const HeeParameters& p, int layer, std::span<const Matrix<float>> x) {
  require(layer >= 0 && layer < p.n_latent_layers(), "no layer is above layer {}, of which it could have a mean",
          layer);
  const ExponentialFamily family = family_of(p.layers[static_cast<std::size_t>(layer)]);
  const Matrix<double> eta = natural_parameters(p, layer, x);
  Matrix<float> mean(eta.rows(), eta.cols());
  std::transform(eta.data(), eta.data() + eta.size(), mean.data(), [&](double value) {
    return static_cast<float>(std::isfinite(value) ? mean_of(family, value) : std::numeric_limits<double>::quiet_NaN());
  });
  return mean;
}

HeeReading read_state(const HeeParameters& p, std::span<const Matrix<float>> x) {
  require(x.size() == p.layers.size(), "{} layers of states for a model of {}", x.size(), p.layers.size());
  const std::vector<Matrix<float>> state = finite_chains(x);
  HeeReading reading;
  reading.n_chains = state[0].rows();
  reading.energy = reading.reconstruction = std::numeric_limits<double>::quiet_NaN();
  if (reading.n_chains == 0) return reading;
  const auto n = static_cast<double>(reading.n_chains);
  std::vector<MatrixView<const float>> views(state.begin(), state.end());
  std::vector<double> energies(static_cast<std::size_t>(reading.n_chains));
  hee_energy(p, views, energies);
  reading.energy = std::accumulate(energies.begin(), energies.end(), 0.0) / n;

  const ExponentialFamily family = family_of(p.layers[0]);
  const Matrix<double> eta = natural_parameters(p, 0, state);
  double sum = 0.0;
  for (std::int64_t i = 0; i < eta.rows(); ++i) {
    for (std::int64_t u = 0; u < eta.cols(); ++u) {
      const double error = state[0](i, u) - mean_of(family, eta(i, u));
      sum += error * error;
    }
  }
  reading.reconstruction = sum / (n * static_cast<double>(eta.cols()));
  return reading;
}

}  // namespace tarn
