// What /proc tells of the machine: for people, never for results.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "run_end.hpp"
#include "tarn/core/progress.hpp"

namespace tarn {
namespace {

// The value of the first line "KEY : VALUE" of /proc/cpuinfo; "" where there is none.
std::string cpuinfo(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

}  // namespace

std::string host_description() {
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN), pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  const std::string model = cpuinfo("model name");
  return fmt::format("{}, {} logical cores, {:.0f} GiB of memory", model.empty() ? "unknown processor" : model, cores,
                     static_cast<double>(pages) * static_cast<double>(size) / (1 << 30));
}

double nominal_peak(int n_threads, Isa isa) {
  const double mhz = std::strtod(cpuinfo("cpu MHz").c_str(), nullptr);
  const double lanes = isa == Isa::v4 ? 16.0 : isa == Isa::v3 ? 8.0 : 0.0;
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  return 1e6 * mhz * lanes * 2.0 * 2.0 * static_cast<double>(std::min<long>(n_threads, cores));
}

}  // namespace tarn
