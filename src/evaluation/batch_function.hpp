// Calls a batch function in pieces, so that a wide network's activations stay small.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "tarn/evaluation/law_1d.hpp"

namespace tarn {

inline std::vector<double> evaluate(const BatchFunction1d& function, std::span<const double> x) {
  constexpr std::size_t piece = 4096;
  std::vector<double> values(x.size());
  for (std::size_t begin = 0; begin < x.size(); begin += piece) {
    const std::size_t n = std::min(piece, x.size() - begin);
    function(x.subspan(begin, n), std::span(values).subspan(begin, n));
  }
  return values;
}

}  // namespace tarn
