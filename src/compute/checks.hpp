// Shapes and ranges that every backend asks for alike. All throw `Error`.
#pragma once

#include <cmath>

#include "tarn/compute/backend.hpp"
#include "tarn/core/error.hpp"

namespace tarn {

inline void check_network(const NetworkView& n) {
  require(n.n_outputs > 0 && n.n_inputs >= 0 && n.n_neurons > 0,
          "network: needs D > 0, U >= 0, N > 0, found D = {}, U = {}, N = {}", n.n_outputs, n.n_inputs, n.n_neurons);
  require(n.W_in && n.b && n.W_out, "network: W_in, b and W_out are required");
}

inline void check_steps(const LangevinSteps& steps) {
  require(steps.dt > 0.0f && steps.n_steps >= 0, "dt must be above 0 and steps not negative, found {} and {}", steps.dt,
          steps.n_steps);
  require(steps.bound > 0.0f, "the bound must be above 0, found {}", steps.bound);
  require(steps.integrator != Integrator::baoab || (steps.friction > 0.0f && std::isfinite(steps.friction)),
          "the friction of a momentum must be above 0 and finite, found {}", steps.friction);
}

inline void check_chains(const NetworkView& n, const ChainBlock& block) {
  const std::int64_t B = block.x.rows;
  require(block.x.cols == n.n_outputs, "chains have {} outputs, the network {}", block.x.cols, n.n_outputs);
  require(n.n_inputs == 0 || (block.u.rows == B && block.u.cols == n.n_inputs),
          "inputs must be [{}, {}], found [{}, {}]", B, n.n_inputs, block.u.rows, block.u.cols);
  require(!block.clamp.data || (block.clamp.rows == B && block.clamp.cols == n.n_outputs),
          "clamp must be [{}, {}], found [{}, {}]", B, n.n_outputs, block.clamp.rows, block.clamp.cols);
  require(block.first_bad_step != nullptr, "a block of chains needs first_bad_step");
  require(!block.v.data || (block.v.rows == B && block.v.cols == n.n_outputs), "v must be [{}, {}], found [{}, {}]", B,
          n.n_outputs, block.v.rows, block.v.cols);
}

inline void check_reservoir(const NetworkView& n, const ReservoirBlock& block) {
  check_chains(n, block.chains);
  require(!n.c, "reservoir mode: sampler-only networks have no reservoir");
  require(block.r.rows == block.chains.x.rows && block.r.cols == n.n_neurons,
          "reservoir mode: r must be [{}, {}], found [{}, {}]", block.chains.x.rows, n.n_neurons, block.r.rows,
          block.r.cols);
  require(block.P.rows == n.n_neurons && block.P.cols == n.n_outputs,
          "reservoir mode: P must be [{}, {}], found [{}, {}]", n.n_neurons, n.n_outputs, block.P.rows, block.P.cols);
  require(!block.private_noise.data || (block.private_noise.rows == 1 && block.private_noise.cols == n.n_neurons),
          "reservoir mode: private noise must be [1, {}], found [{}, {}]", n.n_neurons, block.private_noise.rows,
          block.private_noise.cols);
}

/// That the block carries what the steps need.
inline void check_momentum(const LangevinSteps& steps, const ChainBlock& block) {
  require(steps.integrator != Integrator::baoab || block.v.data, "baoab needs a momentum v for each output");
}
inline void check_no_momentum(const LangevinSteps& steps) {
  require(steps.integrator != Integrator::baoab,
          "reservoir mode has no momentum; allowed: euler_maruyama, leimkuhler_matthews");
}

/// Of a block that a backend takes in.
inline void check_held(const NetworkView& n, const ReservoirBlock& block) {
  if (block.r.data) {
    check_reservoir(n, block);
  } else {
    check_chains(n, block.chains);
  }
}

inline void check_points(const NetworkView& n, MatrixView<const float> points, MatrixView<const float> out) {
  require(points.cols == n.n_outputs + n.n_inputs && out.rows == points.rows && out.cols == n.n_outputs,
          "drift: points [{}, {}] and result [{}, {}] do not fit D = {}, U = {}", points.rows, points.cols, out.rows,
          out.cols, n.n_outputs, n.n_inputs);
}

}  // namespace tarn
