#include "tarn/compute/backend.hpp"

#include <algorithm>
#include <charconv>

#include "cuda/devices.hpp"
#include "tarn/compute/hee.hpp"
#include "tarn/compute/tuning.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

// K of "cuda:K"; 0 for "cuda".
int ordinal_of(const std::string& device) {
  if (device == "cuda") return 0;
  int ordinal = -1;
  const char *begin = device.data() + 5, *end = device.data() + device.size();
  const auto read = std::from_chars(begin, end, ordinal);
  if (read.ec != std::errc{} || read.ptr != end || ordinal < 0)
    fail_usage("device \"{}\": K in cuda:K must be a number from 0 on", device);
  return ordinal;
}

}  // namespace

std::unique_ptr<Backend> make_backend(const std::string& device, int n_threads, Precision precision) {
  const auto on_cpu = [&](const std::string& why) {
    if (precision != Precision::fp32) {
      fail_usage("precision \"{}\" is computed on a GPU only{}; use a GPU (--device cuda) or run.precision = \"fp32\"",
                 name_of(precision), why.empty() ? "" : fmt::format(", and there is none here ({})", why));
    }
    return make_cpu_backend(n_threads, "", why);
  };
  if (device == "cpu") return on_cpu("");
  if (device == "auto") {
    const cuda::Survey found = cuda::survey();
    std::string why = found.is_built ? found.problem : "";
    if (found.n_devices > 0) {
      try {
        return cuda::make_backend(0, precision);
      } catch (const Error& error) {
        why = error.what();
      }
    }
    return on_cpu(why);
  }
  if (device == "cuda" || device.starts_with("cuda:")) return cuda::make_backend(ordinal_of(device), precision);
  fail_usage("device \"{}\" is unknown; allowed: auto, cpu, cuda, cuda:K", device);
}

ChainMemory Backend::chain_memory(const NetworkView&, std::int64_t n_chains, bool) const { return {0, 0, n_chains}; }

std::int64_t Backend::steps_a_call(const NetworkView& n, std::int64_t n_chains, bool) const {
  const double work =
      4.0 * static_cast<double>(n.n_neurons * (n.n_outputs + n.n_inputs)) * static_cast<double>(n_chains);
  return static_cast<std::int64_t>(std::clamp(2e10 / work, 1.0, 1e6));
}

std::unique_ptr<HeeSession> Backend::make_hee_session(const HeeParameters&, const HeeOptimizer&) {
  fail("hierarchical models do not run on \"{}\" yet; use --device cpu", name());
}

void Backend::capture_profile() {
  fail_usage("--profile limits what a GPU profiler captures, but this computes on \"{}\"; use --device cuda", name());
}

void Backend::tune(const Tuning&) {}
TuningSummary Backend::tuned() const { return {}; }

std::vector<std::string> describe_gpus() {
  if (std::vector<std::string> lines = cuda::device_lines(); !lines.empty()) return lines;
  return {"cuda    " + cuda::survey().problem};
}

}  // namespace tarn
