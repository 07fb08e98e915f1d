// Principal component analysis.
#pragma once

#include <cstdint>

#include "tarn/core/matrix.hpp"
#include "tarn/data/filter.hpp"

namespace tarn {

/// The `n_components` directions of largest variance of rows `x` `[n, P]`. Variances are those of the given rows
/// (divided by n). In each vector the entry of largest magnitude is positive. Covariance and eigenvectors are computed
/// in double; the result does not depend on the number of threads. Where n < P the n x n matrix of products is
/// decomposed instead. Throws `UsageError` unless 1 <= n_components <= min(P, n - 1), `Error` where the data hold
/// values that are not finite or where n < P and the data span fewer directions than asked for.
PcaFilter fit_pca(MatrixView<const float> x, std::int64_t n_components);

}  // namespace tarn
