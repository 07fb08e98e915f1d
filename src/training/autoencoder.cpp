#include "tarn/training/autoencoder.hpp"

#include "dense_training.hpp"
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
  DenseNet<float> net = glorot_net(sizes, fit.phi, seed, dense_chains);
  net.code = fit.hidden.size();
  return net;
}

void train_net(DenseNet<float>& net, MatrixView<const float> x, const AutoencoderFit& fit, std::uint64_t seed,
               const FitObserver& observer) {
  const auto n_steps = x.rows / fit.batch_size * fit.epochs;
  DensePass<float> pass(net, fit.batch_size);
  DenseAdam adam(net, fit.learning_rate, n_steps);
  LossMeter meter(observer, n_steps);
  for_each_batch(x, fit.epochs, fit.batch_size, seed, [&](std::int64_t step, MatrixView<const float> batch) {
    const double loss = loss_and_gradient(net, batch, pass);
    require(std::isfinite(loss), "autoencoder: the loss is {} at step {}; a smaller learning rate may help", loss,
            step);
    adam.step(net, pass, step);
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
