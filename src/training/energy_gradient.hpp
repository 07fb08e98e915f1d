// Gradients of the log likelihood of an energy-based model, and the steps by which particles follow it. Host, float32; products are cut
// into blocks that do not depend on the number of threads, so neither do results.
#pragma once

#include <cstdint>

#include "tarn/core/matrix.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::energy {

/// Derivatives in the shape of the parameters.
struct Gradient {
  Matrix<float> W, b, a, v;  ///< v: empty for an rbm
};

/// What a step tells of itself.
struct GradientReading {
  double gap = 0.0;             ///< mean F over the data less mean F over the particles
  double reconstruction = 0.0;  ///< mean over data and outputs of (x - a - phi(u) diag(v) W)^2
};

/// Room for batches and particles of one size.
class GradientRoom {
 public:
  /// Gradient of `mean F(data) - mean F(particles)`, the rise of the log likelihood with its sign turned (docs/rivals.md, section 2):
  ///     dF/dW_j = -v_j phi(u_j) x / s^2,  dF/db_j = -v_j phi(u_j),  dF/da = -(x - a) / s^2,  dF/dv_j = -Phi(u_j).
  /// `data` `[B, D]`, `particles` `[n, D]`.
  GradientReading compute(const SamplingNetwork& network, MatrixView<const float> data,
                          MatrixView<const float> particles, Gradient& gradient);

 private:
  // Adds sign times the mean of dF over rows to the gradient and returns the mean of F.
  double add(const SamplingNetwork& network, MatrixView<const float> x, double sign, Gradient& gradient);
  double reconstruction_error(const SamplingNetwork& network, MatrixView<const float> x);

  Matrix<float> u_, rate_, potential_, back_;
};

/// `u = x W^T / s^2 + b` for rows `x`; `u` `[n, N]`.
void unit_inputs(const SamplingNetwork& network, MatrixView<const float> x, MatrixView<float> u);

/// Which noise a step of the particles takes: row i has that of chain i at `step` of the streams `particles` and `particle_units`.
struct ParticleNoise {
  std::uint64_t seed = 0, step = 0;
};

/// Moves particles `x` `[n, D]` by the model's own dynamics.
class ParticleRoom {
 public:
  /// A sweep of block Gibbs sampling (rbm): h_j ~ Bernoulli(sigmoid(u_j)), then x ~ N(a + h W, s^2).
  void gibbs(const SamplingNetwork& network, ParticleNoise noise, MatrixView<float> x);
  /// A step of Langevin dynamics, x += dt score + sqrt(2 dt) xi.
  void langevin(const SamplingNetwork& network, double dt, ParticleNoise noise, MatrixView<float> x);

 private:
  void make_room(const SamplingNetwork& network, std::int64_t n);
  // h W with rows h = `u_` as it is now.
  void push(const SamplingNetwork& network);

  Matrix<float> u_, pushed_, normals_;
  Matrix<std::uint32_t> words_;
};

}  // namespace tarn::energy
