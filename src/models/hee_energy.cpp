#include "tarn/models/hee_energy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"

namespace tarn {

HeeEnergy::HeeEnergy(const HeeParameters& parameters) : parameters_(parameters) {
  for (const HeeLayer& layer : parameters.layers) families_.emplace_back(layer.family, layer.parameters);
  for (const Matrix<float>& W : parameters.W) {
    Matrix<float> turned(W.cols(), W.rows());
    for (std::int64_t i = 0; i < W.rows(); ++i) {
      for (std::int64_t j = 0; j < W.cols(); ++j) turned(j, i) = W(i, j);
    }
    columns_.push_back(std::move(turned));
  }
  const Matrix<float>& b = parameters.b.back();
  for (std::int64_t u = 0; u < b.size(); ++u) top_.push_back(families_.back().link(b.data()[u]));
}

void HeeEnergy::rows(std::span<const Matrix<float>> x, std::span<float> energy) const {
  const std::size_t n_layers = parameters_.layers.size();
  require(x.size() == n_layers, "energy: {} layers of states for a model of {}", x.size(), n_layers);
  for (std::size_t l = 0; l < n_layers; ++l) {
    require(x[l].rows() == std::ssize(energy) && x[l].cols() == parameters_.layers[l].size,
            "energy: layer {} is {} x {}, needed are {} x {}", l, x[l].rows(), x[l].cols(), energy.size(),
            parameters_.layers[l].size);
  }
#pragma omp parallel for
  for (std::int64_t i = 0; i < std::ssize(energy); ++i) {
    double sum = 0.0;
    bool well = true;
    std::vector<float> a;
    for (std::size_t l = 0; l < n_layers; ++l) {
      const bool is_top = l + 1 == n_layers;
      const ExponentialFamily& family = families_[l];
      const auto n_units = static_cast<std::size_t>(parameters_.layers[l].size);
      const float* const state = x[l].row(i);
      well = well && std::all_of(state, state + n_units, [](float v) { return std::isfinite(v); });
      if (!well) break;
      if (!is_top) {
        a.assign(parameters_.b[l].data(), parameters_.b[l].data() + n_units);
        const HeeLayer& above = parameters_.layers[l + 1];
        for (std::int64_t j = 0; j < above.size; ++j) {
          float f = x[l + 1](i, j);
          if (above.nonlinearity) dispatch(*above.nonlinearity, [&](auto phi) { f = activate<phi.value>(f); });
          const float* const column = columns_[l].row(j);
          for (std::size_t u = 0; u < n_units; ++u) a[u] += f * column[u];
        }
      }
      for (std::size_t u = 0; u < n_units; ++u) {
        if (!is_top && !std::isfinite(a[u])) {
          well = false;
          break;
        }
        const double eta = is_top ? top_[u] : family.link(static_cast<double>(a[u])), at = state[u];
        sum -= eta * family.statistic(at) + family.log_base(at);
        if (!is_top) sum += family.log_partition(eta);
      }
    }
    energy[static_cast<std::size_t>(i)] =
        well && std::isfinite(sum) ? static_cast<float>(sum) : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace tarn
