#include "tarn/training/autoencoder.hpp"

#include <numbers>

#include "dense_net.hpp"
#include "fit_tools.hpp"

namespace tarn {
namespace {

void check(MatrixView<const float> x, const AutoencoderFit& fit) {
  if (x.rows < 2 || x.cols < 1)
    fail_usage("autoencoder: data are [{}, {}]; at least two rows are needed", x.rows, x.cols);
  if (fit.code_size < 1) fail_usage("autoencoder: a code of {} values; allowed: >= 1", fit.code_size);
  for (const auto n : fit.hidden) {
    if (n < 1) fail_usage("autoencoder: a hidden layer of {} units; allowed: >= 1", n);
  }
  if (fit.phi != Nonlinearity::relu && fit.phi != Nonlinearity::tanh) {
    fail_usage("autoencoder: nonlinearity {}; allowed: relu, tanh", name_of(fit.phi));
  }
  if (!(std::isfinite(fit.learning_rate) && fit.learning_rate > 0.0)) {
    fail_usage("autoencoder: learning rate {}; allowed: > 0", fit.learning_rate);
  }
  check_batches(fit.epochs, fit.batch_size, x.rows, "autoencoder");
}

DenseNet<float> initial_net(std::int64_t P, const AutoencoderFit& fit, std::uint64_t seed) {
  std::vector<std::int64_t> sizes{P};
  sizes.insert(sizes.end(), fit.hidden.begin(), fit.hidden.end());
  sizes.push_back(fit.code_size);
  sizes.insert(sizes.end(), fit.hidden.rbegin(), fit.hidden.rend());
  sizes.push_back(P);
  DenseNet<float> net;
  net.code = fit.hidden.size();
  net.phi = fit.phi;
  for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
    const auto n_in = sizes[l], n_out = sizes[l + 1];
    Matrix<std::uint32_t> words(n_out, n_in);
    fill_words(seed, Stream::filter_init, dense_chains + (static_cast<std::uint64_t>(l) << 32), 0, 1, words);
    const double bound = std::sqrt(6.0 / static_cast<double>(n_in + n_out));
    DenseNet<float>::Layer layer{Matrix<float>(n_out, n_in), Matrix<float>(1, n_out)};
    for (std::int64_t k = 0; k < words.size(); ++k) {
      layer.W.data()[k] = static_cast<float>(bound * (2.0 * uniform_from_word(words.data()[k]) - 1.0));
    }
    net.layers.push_back(std::move(layer));
  }
  return net;
}

// Adam (Kingma, Ba 2015) on one matrix.
struct Moments {
  Matrix<float> m, v;
  explicit Moments(const Matrix<float>& of) : m(of.rows(), of.cols()), v(of.rows(), of.cols()) {}

  void step(Matrix<float>& weights, const Matrix<float>& gradient, double rate, std::int64_t t) {
    constexpr float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
    const auto n = static_cast<double>(t);
    const auto size = static_cast<float>(rate / (1.0 - std::pow(0.9, n)));
    const auto correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(0.999, n)));
#pragma omp parallel for schedule(static) if (weights.size() > 16384)
    for (std::int64_t k = 0; k < weights.size(); ++k) {
      const float d = gradient.data()[k];
      float& a = m.data()[k];
      float& b = v.data()[k];
      a = beta1 * a + (1.0f - beta1) * d;
      b = beta2 * b + (1.0f - beta2) * d * d;
      weights.data()[k] -= size * a / (std::sqrt(b) * correction + epsilon);
    }
  }
};

void train_net(DenseNet<float>& net, MatrixView<const float> x, const AutoencoderFit& fit, std::uint64_t seed,
               const FitObserver& observer) {
  const auto n_steps = x.rows / fit.batch_size * fit.epochs;
  DensePass<float> pass(net, fit.batch_size);
  std::vector<Moments> W, b;
  for (const auto& layer : net.layers) {
    W.emplace_back(layer.W);
    b.emplace_back(layer.b);
  }
  LossMeter meter(observer, n_steps);
  for_each_batch(x, fit.epochs, fit.batch_size, seed, [&](std::int64_t step, MatrixView<const float> batch) {
    const double loss = loss_and_gradient(net, batch, pass);
    require(std::isfinite(loss), "autoencoder: the loss is {} at step {}; a smaller learning rate may help", loss,
            step);
    const double share = static_cast<double>(step) / static_cast<double>(n_steps);
    const double rate = fit.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * share));
    for (std::size_t l = 0; l < net.layers.size(); ++l) {
      W[l].step(net.layers[l].W, pass.gradient[l].W, rate, step + 1);
      b[l].step(net.layers[l].b, pass.gradient[l].b, rate, step + 1);
    }
    meter.add(step, loss);
  });
}

}  // namespace

AutoencoderFilter fit_autoencoder(MatrixView<const float> x, const AutoencoderFit& fit, std::uint64_t seed,
                                  const FitObserver& observer) {
  check(x, fit);
  const auto mean = finite_means(x, "autoencoder");
  double variance = 0.0;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) variance += std::pow(x(i, j) - mean[static_cast<std::size_t>(j)], 2);
  }
  const double scale = std::sqrt(variance / static_cast<double>(x.size()));
  require(std::isfinite(scale) && scale > 0.0, "autoencoder: all {} rows of the data are the same", x.rows);
  const auto inverse = static_cast<float>(1.0 / scale);
  Matrix<float> scaled(x.rows, x.cols);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) {
      scaled(i, j) = (x(i, j) - static_cast<float>(mean[static_cast<std::size_t>(j)])) * inverse;
    }
  }
  auto net = initial_net(x.cols, fit, seed);
  train_net(net, scaled, fit, seed, observer);

  std::vector<DenseLayer> encoder, decoder;
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    const auto& b = net.layers[l].b;
    (l <= net.code ? encoder : decoder)
        .push_back({std::move(net.layers[l].W), std::vector<float>(b.data(), b.data() + b.size())});
  }
  return {{mean.begin(), mean.end()}, scale, fit.phi, std::move(encoder), std::move(decoder)};
}

}  // namespace tarn
