// Persistent contrastive divergence (Tieleman 2008) for energy-based models: particles follow the model from one batch to the next, and
// stand for its law in the gradient of the log likelihood (docs/rivals.md).
#pragma once

#include <cstdint>
#include <memory>

#include "tarn/models/trainable.hpp"

namespace tarn {

struct ContrastiveSettings {
  std::int64_t n_particles = 0;  ///< > 0
  std::int64_t n_steps = 1;  ///< > 0, between two updates: sweeps of block Gibbs sampling (rbm), Langevin steps (ebm)
  double dt = 0.0;           ///< of a Langevin step, > 0 for an ebm
  std::int64_t renewed = 0;  ///< particles, 0 to all, that restart at data before each batch, in turn
};

/// Training of `initial`, an rbm or an ebm, on the host; a step is the same bits on any number of threads. Of the level that `run` is
/// given nothing counts, and losses hold the mean square reconstruction error an output as `loss` and the gap between the mean free
/// energies of data and particles as `excess`. Particles begin (and restart) at rows of the batch plus s times normals. Noise:
/// `Stream::particles` and `Stream::particle_units`, chain = particle, step = training step * (n_steps + 1) + step of the particles,
/// of which number 0 is for restarts. Throws `UsageError` for settings out of range, and `Error` from `run` where particles are not
/// finite, naming the step.
std::unique_ptr<TrainableModel> make_contrastive(const SamplingNetwork& initial, const OptimizerSettings& optimizer,
                                                 const ContrastiveSettings& settings);

}  // namespace tarn
