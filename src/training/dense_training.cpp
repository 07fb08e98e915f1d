#include "dense_training.hpp"

#include <cmath>
#include <numbers>

#include "tarn/core/noise.hpp"

namespace tarn {

DenseNet<float> glorot_net(const std::vector<std::int64_t>& sizes, Nonlinearity phi, std::uint64_t seed,
                           std::uint64_t first_chain) {
  DenseNet<float> net;
  net.phi = phi;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    const auto n_in = sizes[l], n_out = sizes[l + 1];
    Matrix<std::uint32_t> words(n_out, n_in);
    fill_words(seed, Stream::filter_init, first_chain + (static_cast<std::uint64_t>(l) << 32), 0, 1, words);
    const double bound = std::sqrt(6.0 / static_cast<double>(n_in + n_out));
    DenseNet<float>::Layer layer{Matrix<float>(n_out, n_in), Matrix<float>(1, n_out)};
    for (std::int64_t k = 0; k < words.size(); ++k) {
      layer.W.data()[k] = static_cast<float>(bound * (2.0 * uniform_from_word(words.data()[k]) - 1.0));
    }
    net.layers.push_back(std::move(layer));
  }
  net.code = net.layers.size() - 1;
  return net;
}

DenseAdam::DenseAdam(const DenseNet<float>& net, double rate, std::int64_t n_steps) : rate_(rate), n_steps_(n_steps) {
  for (const auto& layer : net.layers) {
    W_.push_back({Matrix<float>(layer.W.rows(), layer.W.cols()), Matrix<float>(layer.W.rows(), layer.W.cols())});
    b_.push_back({Matrix<float>(1, layer.b.cols()), Matrix<float>(1, layer.b.cols())});
  }
}

void DenseAdam::step(DenseNet<float>& net, const DensePass<float>& pass, std::int64_t step) {
  const double share = static_cast<double>(step) / static_cast<double>(n_steps_);
  const double rate = rate_ * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    move(net.layers[l].W, pass.gradient[l].W, W_[l], rate, step + 1);
    move(net.layers[l].b, pass.gradient[l].b, b_[l], rate, step + 1);
  }
}

void DenseAdam::move(Matrix<float>& weights, const Matrix<float>& gradient, Moments& moments, double rate,
                     std::int64_t t) {
  constexpr float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  const auto n = static_cast<double>(t);
  const auto size = static_cast<float>(rate / (1.0 - std::pow(0.9, n)));
  const auto correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(0.999, n)));
#pragma omp parallel for schedule(static) if (weights.size() > 16384)
  for (std::int64_t k = 0; k < weights.size(); ++k) {
    const float d = gradient.data()[k];
    float& a = moments.m.data()[k];
    float& b = moments.v.data()[k];
    a = beta1 * a + (1.0f - beta1) * d;
    b = beta2 * b + (1.0f - beta2) * d * d;
    weights.data()[k] -= size * a / (std::sqrt(b) * correction + epsilon);
  }
}

}  // namespace tarn
