#include "tarn/models/hee_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/activations.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn {
namespace {

/// Natural parameters of a layer from the layer above it, row by row, in double.
class Conditional {
 public:
  /// Of layer `l` given layer `l + 1`, or of the top layer given nothing.
  Conditional(const HeeParameters& p, int l)
      : family_(p.layers[static_cast<std::size_t>(l)].family, p.layers[static_cast<std::size_t>(l)].parameters),
        bias_(p.b[static_cast<std::size_t>(l)]) {
    if (l == p.n_latent_layers()) return;
    nonlinearity_ = p.layers[static_cast<std::size_t>(l + 1)].nonlinearity;
    const Matrix<float>& W = p.W[static_cast<std::size_t>(l)];
    transposed_ = Matrix<double>(W.cols(), W.rows());  // so that the inner loop runs over independent sums
    for (std::int64_t i = 0; i < W.rows(); ++i) {
      for (std::int64_t j = 0; j < W.cols(); ++j) transposed_(j, i) = static_cast<double>(W(i, j));
    }
  }
  const ExponentialFamily& family() const { return family_; }

  /// eta `[n_l]` from one row of the layer above (ignored at the top).
  void eta(const float* above, std::span<double> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(bias_(0, static_cast<std::int64_t>(i)));
    for (std::int64_t j = 0; j < transposed_.rows(); ++j) {
      const auto drive = static_cast<double>(activity(above[j]));
      const double* weights = transposed_.row(j);
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += drive * weights[i];
    }
    for (double& value : out) value = family_.link(value);
  }

 private:
  ExponentialFamily family_;
  const Matrix<float>& bias_;
  std::optional<Nonlinearity> nonlinearity_;
  Matrix<double> transposed_;

  float activity(float x) const {
    if (!nonlinearity_) return x;
    return dispatch(*nonlinearity_, [x](auto phi) { return activate<phi()>(x); });
  }
};

}  // namespace

void hee_energy(const HeeParameters& parameters, std::span<const MatrixView<const float>> x, std::span<double> out) {
  check_hee_parameters(parameters);
  require(x.size() == parameters.layers.size(), "energy: states of {} layers for a model of {}", x.size(),
          parameters.layers.size());
  std::fill(out.begin(), out.end(), 0.0);
  for (int l = parameters.n_latent_layers(); l >= 0; --l) {
    const auto layer = static_cast<std::size_t>(l);
    require(x[layer].rows == static_cast<std::int64_t>(out.size()) && x[layer].cols == parameters.layers[layer].size,
            "energy: layer {} is {} x {}, should be {} x {}", l, x[layer].rows, x[layer].cols, out.size(),
            parameters.layers[layer].size);
    const Conditional conditional(parameters, l);
    const ExponentialFamily& family = conditional.family();
    const auto n_units = static_cast<std::size_t>(parameters.layers[layer].size);
    const auto term = [&](float state, double eta, double log_partition) {
      return log_partition - eta * family.statistic(state) - family.log_base(state);
    };
    if (l == parameters.n_latent_layers()) {  // one eta, one log partition for all rows
      std::vector<double> eta(n_units), log_partition(n_units);
      conditional.eta(nullptr, eta);
      for (std::size_t i = 0; i < n_units; ++i) log_partition[i] = family.log_partition(eta[i]);
      for (std::size_t row = 0; row < out.size(); ++row) {
        const float* state = x[layer].row(static_cast<std::int64_t>(row));
        for (std::size_t i = 0; i < n_units; ++i) out[row] += term(state[i], eta[i], log_partition[i]);
      }
      continue;
    }
    const std::size_t work = out.size() * n_units;
#pragma omp parallel if (work > 10000)  // else waking threads takes longer
    {
      std::vector<double> eta(n_units);
#pragma omp for
      for (std::int64_t row = 0; row < std::ssize(out); ++row) {
        conditional.eta(x[layer + 1].row(row), eta);
        const float* state = x[layer].row(row);
        double& sum = out[static_cast<std::size_t>(row)];
        for (std::size_t i = 0; i < n_units; ++i)
          sum += std::isfinite(eta[i]) ? term(state[i], eta[i], family.log_partition(eta[i])) : std::nan("");
      }
    }
  }
}

std::vector<Matrix<float>> draw_ancestral(const HeeParameters& parameters, std::uint64_t seed,
                                          std::uint64_t first_chain, std::uint64_t draw, std::int64_t n_chains) {
  check_hee_parameters(parameters);
  require(n_chains >= 0 && first_chain <= max_chains - static_cast<std::uint64_t>(n_chains),
          "ancestral draws: chain numbers must stay below 2^48, found {} chains from {}", n_chains, first_chain);
  std::vector<Matrix<float>> x(parameters.layers.size());
  for (int l = parameters.n_latent_layers(); l >= 0; --l) {
    const auto layer = static_cast<std::size_t>(l);
    const std::int64_t size = parameters.layers[layer].size, n_words = size * ExponentialFamily::words_per_draw;
    require(draw < ~std::uint64_t{0} / static_cast<std::uint64_t>(n_words) - 1,
            "ancestral draws: draw {} of {} units is beyond the noise", draw, size);
    const Stream stream = stream_of_layer(Stream::ancestral, l);
    const Conditional conditional(parameters, l);
    std::vector<double> eta(static_cast<std::size_t>(size));
    x[layer] = Matrix<float>(n_chains, size);
    for (std::int64_t row = 0; row < n_chains; ++row) {
      conditional.eta(l < parameters.n_latent_layers() ? x[layer + 1].row(row) : nullptr, eta);
      for (std::int64_t i = 0; i < size; ++i) {
        WordSequence words(seed, stream, first_chain + static_cast<std::uint64_t>(row), draw, n_words,
                           i * ExponentialFamily::words_per_draw);
        x[layer](row, i) = static_cast<float>(conditional.family().draw(eta[static_cast<std::size_t>(i)], words));
      }
    }
  }
  return x;
}

}  // namespace tarn
