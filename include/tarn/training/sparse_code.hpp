// Dictionary learning: the atoms of the sparse code filter.
#pragma once

#include <cstdint>

#include "tarn/data/sparse_code.hpp"
#include "tarn/training/autoencoder.hpp"

namespace tarn {

struct SparseCodeFit {
  std::int64_t atoms = 3136;  ///< K; may be more than P
  LassoSettings lasso;
  std::int64_t epochs = 5;        ///< 0 leaves the initial atoms
  std::int64_t batch_size = 256;  ///< at most n; a last partial batch is left out
};

/// Atoms A `[K, P]` of norm 1 that lower `E min_a 1/2 |x - a A|^2 + lambda |a|_1` over rows `x` `[n, P]` (Olshausen,
/// Field 1996), by turns: codes of a batch with the atoms as they are (`solve_lasso`), then a gradient step on the atoms
/// with the codes as they are,
///
///     A <- A + codes^T (x - codes A) / M,   M the largest eigenvalue of codes^T codes,
///
/// and each atom back to norm 1. Initial atoms are independent directions, uniform on the sphere. A pure function of its
/// arguments for any number of threads. Throws `UsageError` for settings out of range, `Error` for data that are not
/// finite or all zero.
SparseCodeFilter fit_sparse_code(MatrixView<const float> x, const SparseCodeFit& fit, std::uint64_t seed,
                                 const FitObserver& observer = {});

}  // namespace tarn
