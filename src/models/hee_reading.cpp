#include "tarn/models/hee_reading.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"

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

}  // namespace

double mean_state(const HeeLayer& layer, double eta) {
  switch (layer.family) {
    case Family::gaussian:
      return eta;
    case Family::rectified:  // T = x / s^2
      return layer.parameters.s * layer.parameters.s *
             ExponentialFamily(layer.family, layer.parameters).mean_statistic(eta);
    case Family::laplace:
    case Family::quartic:
      return ExponentialFamily(layer.family, layer.parameters).mean_statistic(eta);
    case Family::gaussian_scale:
    case Family::laplace_scale:
      break;
  }
  return 0.0;  // symmetric
}

Matrix<double> natural_parameters(const HeeParameters& p, int layer, std::span<const Matrix<float>> x) {
  const auto l = static_cast<std::size_t>(layer);
  const ExponentialFamily family(p.layers[l].family, p.layers[l].parameters);
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

HeeReading read_state(const HeeParameters& p, std::span<const Matrix<float>> x) {
  require(x.size() == p.layers.size(), "{} layers of states for a model of {}", x.size(), p.layers.size());
  HeeReading reading;
  std::vector<Matrix<double>> eta;
  for (int l = 0; l <= p.n_latent_layers(); ++l) eta.push_back(natural_parameters(p, l, x));
  for (std::int64_t i = 0; i < x[0].rows(); ++i) {
    if (!finite_row(x, i)) continue;
    ++reading.n_chains;
    for (std::size_t l = 0; l < p.layers.size(); ++l) {
      const ExponentialFamily family(p.layers[l].family, p.layers[l].parameters);
      const double* given = eta[l].row(eta[l].rows() == 1 ? 0 : i);
      for (std::int64_t u = 0; u < p.layers[l].size; ++u) {
        reading.energy -= family.log_density(x[l](i, u), given[u]);
        if (l > 0) continue;
        const double error = x[0](i, u) - mean_state(p.layers[0], given[u]);
        reading.reconstruction += error * error / static_cast<double>(p.layers[0].size);
      }
    }
  }
  const double n =
      reading.n_chains > 0 ? static_cast<double>(reading.n_chains) : std::numeric_limits<double>::quiet_NaN();
  reading.energy /= n;
  reading.reconstruction /= n;
  return reading;
}

}  // namespace tarn
