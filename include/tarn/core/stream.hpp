// The permanent layout of random numbers: every number is f(seed, stream, chain, step, component).
#pragma once

#include <cstdint>

namespace tarn {

/// What a random number is for. The values are part of the file format of the noise: they never change, new ones are appended.
enum class Stream : std::uint16_t {
  dynamics = 0,         ///< Langevin noise of the chains
  dynamics_second = 1,  ///< second noise of the dynamics (adaptation)
  initial_law = 2,      ///< where chains start
  training_noise = 3,   ///< denoising score matching: chain = row in the batch, step = training step
  synthetic_data = 4,   ///< draws of synthetic targets: chain = number of the draw, step = 0
  batch_order = 5,      ///< permutations of the data set: chain = datum, step = epoch
  weight_init = 6,    ///< initial weights: chain = neuron, step 0 its incoming weights and bias, 1 its outgoing weights
  confinement = 7,    ///< confinement points: chain = row, step = training step
  evaluation = 8,     ///< bootstrap and other evaluation
  filter_init = 9,    ///< filters before they are trained: chain = layer and unit, or atom; step = 0
  filter_order = 10,  ///< order of the data while a filter is trained: chain = datum, step = epoch
  patches = 11,       ///< places of image patches: chain = number of the patch, step = 0
  annealing = 12,     ///< momenta and acceptance of annealed importance sampling: chain = chain, step = temperature
  particles =
      13,  ///< contrastive divergence: chain = particle, step = training step * (steps between updates + 1) + step
  particle_units = 14,  ///< ... hidden units of its Gibbs sweeps, likewise; from chain 2^47 on of annealing
  half_step = 15,       ///< chains run once more with half their step: step 0 momentum, from 1 on the shorter steps
  interneurons = 16,    ///< 16 + l: interneurons of layer l
  ancestral = 64,       ///< 64 + l: ancestral draws of layer l
};

/// Components that one step of a chain occupies in its subsequence: 1, 2, or the next multiple of 4 of `n_components`,
/// so that a step never straddles a Philox block of four 32-bit words.
constexpr std::int64_t step_stride(std::int64_t n_components) {
  return n_components <= 2 ? (n_components < 1 ? 1 : n_components) : (n_components + 3) / 4 * 4;
}

}  // namespace tarn
