// Choices by measurement, as they pass between the backend that makes them and the files that keep them.
#pragma once

#include <map>
#include <string>

namespace tarn {

/// One of several ways to the same result.
struct Choice {
  std::string value;  ///< as the backend that made it reads it
  double gain = 1.0;  ///< times as fast as what is taken without measuring, when it was measured
  bool operator==(const Choice&) const = default;
};
/// By texts that name operation and sizes.
using Choices = std::map<std::string, Choice>;

}  // namespace tarn
