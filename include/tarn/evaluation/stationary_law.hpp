// The stationary law of dx = s(x) dt + sqrt(2) dB on the line, by quadrature: no chains, no discretisation error.
#pragma once

#include <optional>
#include <string>

#include "tarn/evaluation/law_1d.hpp"

namespace tarn {

/// Either the law, or why there is none.
struct StationaryLaw {
  std::optional<Law1d> law;
  std::string problem;      ///< one line: why `law` is empty, or a leak far outside it; empty where all is well
  bool left_open = false;   ///< the drift does not pull back from -infinity
  bool right_open = false;  ///< ... from +infinity
  bool resolved = true;     ///< false where the finest grid still moves the distribution function by more than 1e-7

  explicit operator bool() const { return law.has_value(); }
};

/// `p(x)` proportional to `exp(int s)`. The grid grows outward from `centre +- 4 scale` until the log density has
/// fallen by 40 from its largest value; where it does not within 2^20 scales the drift does not confine, and the
/// law cannot be normalised: an explicit result, not an error. Non-finite scores likewise. A drift that confines behind
/// a barrier of 40 but points outward much farther out has a law (for chains that stay), with `problem` and the open
/// side set.
/// Throws `Error` unless scale is positive and finite.
StationaryLaw stationary_law(const BatchFunction1d& score, double centre = 0.0, double scale = 1.0);

/// Distances of a stationary law from a reference.
struct LawDistance {
  double kl = 0.0;  ///< KL(stationary || reference); infinity where there is no stationary law
  double w1 = 0.0;  ///< infinity where there is no stationary law
};
LawDistance distance(const StationaryLaw& learned, const Law1d& reference);

}  // namespace tarn
