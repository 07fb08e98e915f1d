// Where chains start. Every start is a pure function of (seed, chain): stream `initial_law`.
#pragma once

#include <cstdint>

#include "tarn/compute/network_view.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

enum class InitialKind : std::uint8_t { uniform, normal, data, file };
enum class InitialSpace : std::uint8_t { x, r };

/// Law of the initial state. In space `r` each neuron starts on its own and `x = r W_out^T`.
struct InitialLaw {
  InitialKind kind = InitialKind::normal;
  InitialSpace space = InitialSpace::x;
  double low = -2.0, high = 2.0;    ///< uniform
  double standard_deviation = 1.0;  ///< normal, >= 0
  MatrixView<const float>
      rows{};  ///< data: `[n, >= D]`, each chain takes a row at random; file: row = global chain number
};

/// Starts of chains `first_chain ...`, written to `x` `[n_chains, D]`, and, where `r.data` is not null, the neurons' state to `r`
/// `[n_chains, N]` (space r: as drawn; space x: the smallest `r` with `r W_out^T = x`, through `P` `[N, D]`).
/// Throws `Error` where the given rows do not fit.
void draw_initial_state(const InitialLaw& law, const NetworkView& network, std::uint64_t seed,
                        std::uint64_t first_chain, MatrixView<float> x, MatrixView<float> r = {},
                        MatrixView<const float> P = {});

/// The momentum of chains at rest, standard normals, written to `v` `[n_chains, D]`: those of stream `dynamics_second` at the step with which
/// the chains begin.
void draw_initial_momentum(std::uint64_t seed, std::uint64_t first_chain, std::uint64_t first_step,
                           MatrixView<float> v);

/// How far out chains start: a norm that next to none of them exceeds (six standard deviations of each output, or the ends of a bounded
/// law), so that a bound can leave room for it. Depends on law and weights alone.
double initial_reach(const InitialLaw& law, const NetworkView& network);

}  // namespace tarn
