#include "tarn/models/initial_hee.hpp"

#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

Matrix<float> random_directions(std::uint64_t seed, std::uint64_t layer, std::int64_t n_below, std::int64_t n) {
  Matrix<float> columns(n, n_below);
  fill_normals(seed, Stream::weight_init, layer << 32, 0, 1, columns);
  Matrix<float> W(n_below, n);
  for (std::int64_t j = 0; j < n; ++j) {
    double square = 0.0;
    for (std::int64_t i = 0; i < n_below; ++i) square += static_cast<double>(columns(j, i)) * columns(j, i);
    const double scale = square > 0.0 ? 1.0 / std::sqrt(square) : 0.0;
    for (std::int64_t i = 0; i < n_below; ++i) W(i, j) = static_cast<float>(scale * columns(j, i));
  }
  return W;
}

}  // namespace

double inverse_link(const HeeLayer& layer, double eta) {
  switch (layer.family) {
    case Family::laplace: {
      const double bound = 0.9 * layer.parameters.rate;
      if (!(std::abs(eta) < bound)) fail_usage("eta = {} of a laplace layer; allowed: |eta| < {}", eta, bound);
      return bound == 0.0 ? 0.0 : std::atanh(eta / bound);
    }
    case Family::gaussian_scale:
    case Family::laplace_scale: {
      const double above = eta - 0.05;
      if (!(above > 0.0)) fail_usage("eta = {} of a {} layer; allowed: > 0.05", eta, name_of(layer.family));
      return above > 30.0 ? above : std::log(std::expm1(above));
    }
    case Family::gaussian:
    case Family::quartic:
    case Family::rectified:
      break;
  }
  return eta;
}

HeeParameters initial_hee(std::vector<HeeLayer> layers, std::span<const double> eta, std::uint64_t seed) {
  require(layers.size() >= 2 && eta.size() == layers.size(),
          "an hee model needs a natural parameter for each of two or more layers, found {} layers, {} parameters",
          layers.size(), eta.size());
  HeeParameters parameters;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const std::int64_t n = layers[l].size;
    if (n < 1) fail_usage("layer {} has {} units; allowed: 1 or more", l, n);
    Matrix<float> b(1, n);
    std::fill_n(b.data(), n, static_cast<float>(inverse_link(layers[l], eta[l])));
    parameters.b.push_back(std::move(b));
    if (l > 0) parameters.W.push_back(random_directions(seed, l, layers[l - 1].size, n));
  }
  parameters.layers = std::move(layers);
  return parameters;
}

}  // namespace tarn
