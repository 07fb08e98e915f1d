// What a training session must remember to go on exactly where it stopped.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tarn/core/matrix.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn {

struct DsmParameters;

/// Everything that the next step depends on beside the batch: parameters, optimiser moments, running mean. A session
/// that is restored takes the same steps, bit for bit, on the same device and instruction set.
struct TrainingState {
  std::map<std::string, Matrix<float>> arrays;  ///< `weights.W_in` `[N, D+U]`, `first_moment.b` `[1, N]`, ...
  std::int64_t n_updates = 0;                   ///< of the optimiser since its moments were zero

  /// Throws `Error` unless there is such an array of this shape.
  const Matrix<float>& at(const std::string& name, std::int64_t rows, std::int64_t cols) const;

  /// Arrays of the shape of a network's parameters: `<what>.W_in`, `<what>.b`, `<what>.V`, and `<what>.A` where there is one.
  void put(const std::string& what, const DsmParameters& parameters);
  /// Those arrays in the shape of `like`. Throws `Error` where they do not fit.
  DsmParameters get(const std::string& what, const DsmParameters& like) const;
};

}  // namespace tarn
