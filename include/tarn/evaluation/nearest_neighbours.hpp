// Whether draws lie where data lie, and whether they lie everywhere: four shares by nearest neighbours.
#pragma once

#include <cstdint>

#include "tarn/evaluation/kernel_distances.hpp"

namespace tarn {

/// With B(z) the closed ball around z that reaches to its k-th nearest neighbour in its own set:
struct NeighbourShares {
  double precision = 0.0;  ///< share of draws in any ball of the data (Kynkaanniemi et al. 2019)
  double recall = 0.0;     ///< share of the data in any ball of the draws
  double density =
      0.0;  ///< mean number of the data's balls that a draw lies in, over k (Naeem et al. 2020): may exceed 1
  double coverage = 0.0;  ///< share of the data whose ball holds a draw
};

/// `distances`: x are the draws `[n]`, y the data `[m]`. Between two sets of n rows of one law the expected coverage is
/// `1 - (n - 1)...(n - k) / ((2n - 1)...(2n - k))`, 0.97 for k = 5, and the expected density 1. NaN where either set has no more than k rows.
/// Throws `Error` for k < 1.
NeighbourShares neighbour_shares(const PairDistances& distances, std::int64_t k = 5);

}  // namespace tarn
