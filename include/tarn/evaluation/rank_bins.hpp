// Where draws rank among all of them: what rank plots are made of.
#pragma once

#include <cstdint>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// For each of `draws` `[n_chains, n_draws]`, finite all of them, the bin of its rank among all: rank 0 ... n - 1 in ascending order, ties in order
/// of place, into `n_bins` bins of ranks as even as can be. Rank plots (Vehtari et al. 2021, section 4.3) are histograms of a chain's bins.
Matrix<int> rank_bins(const Matrix<float>& draws, std::int64_t n_bins);

}  // namespace tarn
