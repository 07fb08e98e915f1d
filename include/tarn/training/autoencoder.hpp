// Training of the autoencoder filter.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tarn/data/autoencoder.hpp"

namespace tarn {

/// Called now and then in a fit: steps done, steps in all, and the mean loss since the last call.
using FitObserver = std::function<void(std::int64_t done, std::int64_t n_steps, double loss)>;

struct AutoencoderFit {
  std::int64_t code_size = 100;           ///< D
  std::vector<std::int64_t> hidden{512};  ///< units of the encoder's hidden layers; the decoder has them in reverse
  Nonlinearity phi = Nonlinearity::relu;  ///< relu or tanh
  std::int64_t epochs = 20;               ///< 0 leaves the initial weights
  std::int64_t batch_size = 128;          ///< at most n; a last partial batch is left out
  double learning_rate = 1e-3;            ///< of Adam (betas 0.9 and 0.999), falling to 0 along a cosine
};

/// An autoencoder of rows `x` `[n, P]` that minimises `1/2 E |z - decode(encode(z))|^2`, `z = (x - mean) / scale`;
/// `scale` is the root of the mean variance of the features. Initial weights are uniform in
/// `+-sqrt(6 / (n_in + n_out))` (Glorot, Bengio 2010), biases 0. A pure function of its arguments for any number of
/// threads; between machines it agrees to what rounding in training makes of it. Throws `UsageError` for settings out of
/// range, `Error` for data that are not finite or all the same and where the loss ceases to be finite.
AutoencoderFilter fit_autoencoder(MatrixView<const float> x, const AutoencoderFit& fit, std::uint64_t seed,
                                  const FitObserver& observer = {});

}  // namespace tarn
