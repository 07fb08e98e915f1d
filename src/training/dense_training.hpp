// How dense networks start and descend: Glorot's initial weights, and Adam with a rate that falls along a cosine.
#pragma once

#include <cstdint>
#include <vector>

#include "dense_net.hpp"

namespace tarn {

/// Layers of `sizes` `[n_layers + 1]` units: weights uniform in `+-sqrt(6 / (n_in + n_out))` (Glorot, Bengio 2010), biases 0. Drawn from
/// `Stream::filter_init`, chains `first_chain + (layer << 32) + unit`. The last layer counts as the code.
DenseNet<float> glorot_net(const std::vector<std::int64_t>& sizes, Nonlinearity phi, std::uint64_t seed,
                           std::uint64_t first_chain);

/// Adam (Kingma, Ba 2015; betas 0.9 and 0.999) on all layers, the rate falling from `rate` to 0 over `n_steps`.
class DenseAdam {
 public:
  DenseAdam(const DenseNet<float>& net, double rate, std::int64_t n_steps);
  /// Step number `step`, counted from 0, by the gradient in `pass`.
  void step(DenseNet<float>& net, const DensePass<float>& pass, std::int64_t step);

 private:
  struct Moments {
    Matrix<float> m, v;
  };
  static void move(Matrix<float>& weights, const Matrix<float>& gradient, Moments& moments, double rate,
                   std::int64_t t);

  double rate_;
  std::int64_t n_steps_;
  std::vector<Moments> W_, b_;
};

}  // namespace tarn
