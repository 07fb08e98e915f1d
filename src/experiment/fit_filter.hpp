// The [filter] table put to work; private to the preparation of data.
#pragma once

#include <memory>
#include <string>

#include "tarn/data/filter.hpp"
#include "tarn/experiment/config.hpp"

namespace tarn {

struct FittedFilter {
  std::shared_ptr<const Filter> filter;
  Matrix<float> codes;      ///< the data in filter space `[n, D]`
  std::string description;  ///< ", PCA to D = 100 (91.5 % of the variance)"; "" for none
};

/// Fits the filter to rows `x` `[n, P]` (scaled datum by datum) and maps them. `features` `[n, D]` are those of kind
/// "features", else empty. Throws `UsageError` or `Error`.
FittedFilter fit_filter(const FilterConfig& config, std::uint64_t seed, Matrix<float> x, Matrix<float> features);

/// Whether the filter's outputs have a size of their own, whatever the size of the data.
bool has_own_size(const FilterConfig& config);

}  // namespace tarn
