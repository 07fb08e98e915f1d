// Watches the weights in training: a gradient that is not finite spoils them for good, but need not show in the loss.
#pragma once

#include <cstdint>
#include <string>

#include "tarn/models/sampling_network.hpp"

namespace tarn {

class WeightWatch {
 public:
  /// Whether all weights are finite after `step` steps; remembers their norms where they are.
  bool check(const SamplingNetwork& network, std::int64_t step);
  /// "weights at step 512: |W_in| = 3.1, |b| = 1.2, |W_out| = 8.4", as they were when they last were finite; before the first
  /// check a text that says so.
  const std::string& last_norms() const { return last_norms_; }
  /// "W_in holds 3 of 64 values that are not finite", of the check that failed.
  const std::string& fault() const { return fault_; }

 private:
  std::string last_norms_ = "no step ended with finite weights";
  std::string fault_;
};

}  // namespace tarn
