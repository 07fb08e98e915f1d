// A skew-symmetric J that is trained in with a network ("fast sampling" of arXiv 2308.11809): the circuit's own drift is
// f = -x + phi([x u] W_in^T + b) W_out^T and its score s = f M^T, M = (I + J)^-1. Derivation in docs/models.md.
#pragma once

#include "tarn/core/matrix.hpp"

namespace tarn {

/// `J = strength (A - A^T) / |A - A^T|_F` `[D, D]`, skew-symmetric and of Frobenius norm `strength`; zero where `A` is symmetric.
Matrix<double> skew_of(MatrixView<const float> A, double strength);

/// An `A` with `skew_of(A, |J|_F) = J` whose entries are of the size of standard normals, so that one learning rate suits it and
/// the weights. `J` must be skew-symmetric and not zero.
Matrix<float> parameters_of_skew(const Matrix<double>& J);

/// `(I + J)^-1` `[D, D]`, which exists for every skew-symmetric `J`.
Matrix<double> circuit_to_score(const Matrix<double>& J);

/// The other way: `J = M^-1 - I`. Throws `Error` unless that is skew-symmetric to 1e-4 of its largest entry.
Matrix<double> skew_of_map(MatrixView<const float> M);

/// `d loss / d A` `[D, D]` from `dJ = d loss / d J` `[D, D]`, any matrix: `-(e M)^T s` summed over the batch, for `e = d loss / d s`.
Matrix<float> skew_gradient(MatrixView<const float> A, double strength, const Matrix<double>& dJ);

}  // namespace tarn
