// How output noise reaches the reservoir.
#pragma once

#include "tarn/core/matrix.hpp"

namespace tarn {

/// `P = W_out^T (W_out W_out^T)^-1` `[N, D]`, so that `W_out P = I`: noise `xi P^T` on the neurons is isotropic noise
/// on the outputs. Worked out in double by Cholesky. `W_out` is `[D, N]`. Throws `Error` where the rows of `W_out` are
/// linearly dependent, or so nearly that the reciprocal condition number of `W_out W_out^T`, its rows scaled to unit
/// norm, is below 1e-12.
Matrix<float> pseudo_inverse(MatrixView<const float> W_out);

}  // namespace tarn
