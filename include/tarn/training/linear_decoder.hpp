// The linear way back from features that were computed elsewhere.
#pragma once

#include "tarn/data/feature_filter.hpp"

namespace tarn {

/// Decoder `[D, P]` and offset `[P]` that minimise `sum |x - (y B + b)|^2 + ridge |B|^2` over rows of features `y`
/// `[n, D]` and data `x` `[n, P]`. `ridge` is 1e-6 times the mean squared size of a centred feature, summed over rows:
/// enough for features that are linear combinations of one another. Normal equations in double, solved by Cholesky;
/// the result does not depend on the number of threads. Throws `Error` where there are fewer than two rows, rows
/// disagree, a value is not finite, or all rows of features are the same.
FeatureFilter fit_linear_decoder(MatrixView<const float> y, MatrixView<const float> x);

}  // namespace tarn
