// The learned score in the units of the data.
#pragma once

#include "tarn/compute/backend.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// The score of `network` at `points` `[n, D+U]`, in filter space before scaling: with `x' = (x - shift) / scale`,
/// inputs as they are, the result is `s(x') / scale` `[n, D]`, the gradient by `x` of the log density that the network
/// learned. A point that is not finite gives a result that is not finite. Works in blocks: beside the result, memory
/// does not grow with n. Throws `Error` where the points have other than D + U columns.
Matrix<float> score_in_data_units(Backend& backend, const SamplingNetwork& network, MatrixView<const float> points);

}  // namespace tarn
