// Where draws go: the seam between the chain engine and files.
#pragma once

#include <cstdint>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// One recorded draw of a block of chains.
struct DrawBlock {
  std::int64_t first_chain = 0;      ///< global number of row 0
  std::int64_t draw = 0;             ///< index of the kept draw, from 0
  std::int64_t step = 0;             ///< chain-steps taken before this draw
  double time = 0.0;                 ///< integrated time, in units of tau
  MatrixView<const float> x;         ///< `[n_chains, D]`, scaled filter space; NaN rows are quarantined chains
  MatrixView<const float> activity;  ///< `[n_chains, n_recorded]` reservoir recordings, or empty
};

/// Receives draws in order of `draw` for a given block of chains; blocks follow one another. Not called concurrently.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void take(const DrawBlock& block) = 0;
};

}  // namespace tarn
