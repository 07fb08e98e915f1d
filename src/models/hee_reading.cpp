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

HeeReading read_state(const HeeParameters& p, std::span<const Matrix<float>> x) {
  require(x.size() == p.layers.size(), "{} layers of states for a model of {}", x.size(), p.layers.size());
  std::vector<bool> finite;
  HeeReading reading;
  for (std::int64_t i = 0; i < x[0].rows(); ++i) {
    finite.push_back(finite_row(x, i));
    reading.n_chains += finite.back();
  }
  if (reading.n_chains == 0) {
    reading.energy = reading.reconstruction = std::numeric_limits<double>::quiet_NaN();
    return reading;
  }
  for (int l = 0; l <= p.n_latent_layers(); ++l) {
    const Matrix<float>& state = x[static_cast<std::size_t>(l)];
    const ExponentialFamily family = family_of(p.layers[static_cast<std::size_t>(l)]);
    const Matrix<double> eta = natural_parameters(p, l, x);
    const bool shared = eta.rows() == 1;  // at the top all chains have the same
    std::vector<double> log_partitions;
    for (std::int64_t u = 0; shared && u < eta.cols(); ++u) log_partitions.push_back(family.log_partition(eta(0, u)));
    for (std::int64_t i = 0; i < state.rows(); ++i) {
      if (!finite[static_cast<std::size_t>(i)]) continue;
      for (std::int64_t u = 0; u < state.cols(); ++u) {
        const double given = eta(shared ? 0 : i, u);
        const double A = shared ? log_partitions[static_cast<std::size_t>(u)] : family.log_partition(given);
        reading.energy += A - given * family.statistic(state(i, u)) - family.log_base(state(i, u));
        if (l > 0) continue;
        const double error = state(i, u) - mean_of(family, given);
        reading.reconstruction += error * error / static_cast<double>(state.cols());
      }
    }
  }
  reading.energy /= static_cast<double>(reading.n_chains);
  reading.reconstruction /= static_cast<double>(reading.n_chains);
  return reading;
}

}  // namespace tarn
