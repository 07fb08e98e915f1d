#include "tarn/compute/backend.hpp"

#include "tarn/core/error.hpp"

namespace tarn {

std::unique_ptr<Backend> make_backend(const std::string& device, int n_threads) {
  if (device == "auto" || device == "cpu") return make_cpu_backend(n_threads);
  if (device == "cuda" || device.starts_with("cuda:"))
    fail("device \"{}\": this build has no CUDA backend; use --device cpu", device);
  fail_usage("device \"{}\" is unknown; allowed: auto, cpu, cuda, cuda:K", device);
}

}  // namespace tarn
