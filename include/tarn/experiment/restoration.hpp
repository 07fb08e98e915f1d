// E[x_0 | y] by chains of the latents, from measurements y of x_0: inpainting and denoising (docs/hee.md, section 9).
#pragma once

#include <cstdint>

#include "tarn/compute/hee.hpp"
#include "tarn/models/measured_hee.hpp"

namespace tarn {

struct RestorationPlan {
  HeeDynamics dynamics;
  std::int64_t chains_per_datum = 4;  ///< >= 1
  std::int64_t n_steps = 1000;        ///< of a chain, >= 2; averages are over the second half
  float spread = 0.0f;                ///< standard deviation of the latents at the start
  std::uint64_t seed = 0;
  std::uint64_t first_chain = 0;  ///< of all that are run with this seed
};

struct Restored {
  Matrix<float> mean;      ///< `[n, n_0]` `E[x_0 | y]`, averaged over the chains of a datum; NaN where all are lost
  Matrix<float> of_chain;  ///< `[n * chains_per_datum, n_0]` the same of each chain
  Matrix<float> draw;      ///< `[n, n_0]` `E[x_0 | latents, y]` at the last state of a datum's first chain
  std::int64_t n_lost = 0;
  float dt = 0.0f;  ///< that was taken: the plan's, or a shorter one where the noise of y asks for it
};

/// Chains for measurements y `[n, m]`. The result does not depend on the number of threads.
Restored restore(Backend& backend, const MeasuredHee& measured, const RestorationPlan& plan, MatrixView<const float> y);

}  // namespace tarn
