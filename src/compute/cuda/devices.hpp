// The GPUs of this machine, and the backend on one of them. absent.cpp has the answers of a build without the toolkit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

struct Survey {
  int n_devices = 0;
  bool is_built = false;  ///< whether this build has a CUDA backend
  std::string problem;    ///< why there are none; empty where there are
};

/// Asks the driver; never throws.
Survey survey();
/// A line for each device: name, compute capability, multiprocessors, memory, versions.
std::vector<std::string> device_lines();
/// Throws `Error` where there is no such device or this build has no code for it.
std::unique_ptr<Backend> make_backend(int ordinal, Precision precision);

}  // namespace tarn::cuda
