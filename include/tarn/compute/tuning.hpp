// Choice by measurement: which of several ways to the same result is the fastest on this device and for these sizes (docs/gpu.md).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tarn/core/choice.hpp"

namespace tarn {

/// What a backend is told when it is to choose by measurement.
struct Tuning {
  /// Choices that were measured before on such a device. One that cannot be used is measured anew.
  Choices known;
  /// Choices that results were rounded by so far: used, whatever `known` says. One that cannot be used is an `Error`, or, with `lenient`, is measured
  /// anew with a warning.
  Choices binding;
  bool lenient = false;
  /// Called with each choice before its first use, maybe while work is recorded. `measured`: just now. `rounds`: other choices would round otherwise, so that a run that goes on must
  /// be given this one.
  std::function<void(const std::string& key, const Choice& choice, bool measured, bool rounds)> on_choice;
};

/// What was chosen since `Backend::tune`.
struct TuningSummary {
  std::int64_t n_products = 0, n_layers = 0,
               n_kernels = 0;  ///< shapes of products; of products with what follows them; of small networks' chains
  std::int64_t n_measured = 0, n_bound = 0;                      ///< of all: just now; as `Tuning::binding` said
  std::vector<double> product_gains, layer_gains, kernel_gains;  ///< where it is another way than without measuring
};

}  // namespace tarn
