// The local rule's step on the weights of a hierarchical model.
#pragma once

#include <cstdint>

#include "adam_step.hpp"
#include "handles.hpp"

namespace tarn::cuda {

/// One array of parameters, `n` elements on the device. `first`, `second` and `largest` may be null where the rule does not use them.
struct HeeLearnCall {
  const float* sums = nullptr;  ///< of the rule's products over all chain-steps
  float* values = nullptr;
  float *first = nullptr, *second = nullptr, *largest = nullptr;
  std::int64_t n = 0;
  float share = 0.0f;  ///< 1 / chain-steps
  bool uses_adam = false;
  float rate = 0.0f;  ///< plain: `values += rate share sums`
  AdamStep adam;      ///< else: a step up the mean `share sums`
};
/// Asynchronous; the CPU's bits for the same sums.
void launch_hee_learn(const HeeLearnCall& call, StreamHandle stream);

/// Scales the first `n_cols` columns of `W` `[n_rows, stride]` to norm 1; those that are zero stay so. Asynchronous.
void launch_normalise_columns(float* W, std::int64_t n_rows, std::int64_t n_cols, std::int64_t stride,
                              StreamHandle stream);

}  // namespace tarn::cuda
