// How the space a network lives in relates to the space its data come in.
#pragma once

#include <vector>

namespace tarn {

/// How scaled filter space relates to filter space: `scaled = (filtered - shift) / scale`.
struct AffineScaling {
  std::vector<double> shift;  ///< `[D]`; empty means zero
  double scale = 1.0;         ///< > 0
  bool operator==(const AffineScaling&) const = default;
};

}  // namespace tarn
