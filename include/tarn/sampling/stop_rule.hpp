// When chains have run for long enough: a rule on their live diagnostics.
#pragma once

#include <string>
#include <vector>

#include "tarn/sampling/live_diagnostics.hpp"

namespace tarn {

/// "rhat < 1.01 and ess > 400": comparisons by < or > of a diagnostic with a number, all of which must hold. The diagnostics are those of
/// the worst quantity that is watched: `rhat`, `nested_rhat`, `ess`, and `mcse`, the Monte-Carlo error of the mean in standard deviations.
struct StopRule {
  struct Condition {
    std::string diagnostic;
    bool below = false;  ///< the diagnostic must be below `limit`, else above it
    double limit = 0.0;
  };
  std::vector<Condition> conditions;

  /// False without a condition, and where a diagnostic that it names is NaN.
  bool holds(const LiveDiagnostics& diagnostics) const;
  bool empty() const { return conditions.empty(); }
};

/// Whether live diagnostics are judged after these looks: wherever halves are halves to the look, without a rule after 8, 16, 32, ... only.
bool is_judged(const WatchClock& clock, const StopRule& rule);

/// An empty text is an empty rule. Throws `UsageError`: what must stand where, and what was found.
StopRule parse_stop_rule(const std::string& text);

}  // namespace tarn
