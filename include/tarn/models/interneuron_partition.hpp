// What a unit's interneurons know of its partition function: A(eta) by thermodynamic integration of what they say.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"

namespace tarn {

/// How interneurons are led from where A is known to eta.
struct PartitionPath {
  int n_nodes = 8;             ///< Gauss-Legendre nodes on the way, 1 to 64
  std::int64_t per_unit = 64;  ///< interneurons of a unit, >= 2
  double dt = 0.01;            ///< their step, units of tau_e; > 0
  double settle = 10.0;        ///< time at each node before anything is counted, units of tau_e; >= 0
  double time = 20.0;          ///< time at each node that is averaged; > 0
};

/// Estimates of A(eta), one a unit.
struct PartitionEstimate {
  std::vector<double> log_partition;   ///< `[n_units]`
  std::vector<double> standard_error;  ///< `[n_units]`, from the spread between a unit's interneurons
  std::int64_t n_lost = 0;             ///< interneurons that became non-finite: left out
};

/// ``A(eta) = A(g(0)) + int A'(t) dt``, where ``A'(t) = E[T(e) | t]`` is read from interneurons that run their own Langevin dynamics (the step of
/// inference: exact for `gaussian`, Euler-Maruyama for the others, whose bias is of the order of `dt`) while `t` stands at one node after another
/// between `g(0)` and `eta`. This is the sense in which a circuit "estimates its partition function" (docs/hee.md). Interneuron m of unit i has
/// the noise of chain m (`Stream::interneurons + layer`). `eta` `[n_units]` of `layer`. Throws `Error` for an eta out of the family's range and a path out of
/// its ranges.
PartitionEstimate interneuron_log_partition(const HeeLayer& layer, int layer_number, std::span<const double> eta,
                                            const PartitionPath& path, std::uint64_t seed);

}  // namespace tarn
