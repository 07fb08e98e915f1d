#include "energy.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace tarn::bench {
namespace {

std::string json_number(const std::optional<double>& value) { return value ? fmt::format("{:.5g}", *value) : "null"; }

}  // namespace

std::string nvml_library() {
  const char* const named = std::getenv("TARN_NVML");
  return named ? named : "libnvidia-ml.so.1";
}

// The few functions that are used, as nvml.h declares them; 0 is success, a device an opaque pointer.
struct EnergyCounter::Library {
  void* handle = nullptr;
  bool is_initialised = false;
  void* device = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*handle_by_bus)(const char*, void**) = nullptr;
  int (*total_energy)(void*, unsigned long long*) = nullptr;  // millijoules
  const char* (*error_string)(int) = nullptr;

  ~Library() {
    if (is_initialised) shutdown();
    if (handle) dlclose(handle);
  }
  /// Empty, or what went wrong.
  std::string open(const std::string& name, const std::string& pci_bus_id) {
    handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) return dlerror();
    std::string missing;
    const auto find = [&](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, symbol));
      if (!function && missing.empty()) missing = fmt::format("{} has no {}", name, symbol);
    };
    find(init, "nvmlInit_v2");
    find(shutdown, "nvmlShutdown");
    find(handle_by_bus, "nvmlDeviceGetHandleByPciBusId_v2");
    find(total_energy, "nvmlDeviceGetTotalEnergyConsumption");
    find(error_string, "nvmlErrorString");
    if (!missing.empty()) return missing;
    if (const int code = init(); code != 0) return said("nvmlInit_v2", code);
    is_initialised = true;
    if (const int code = handle_by_bus(pci_bus_id.c_str(), &device); code != 0)
      return said(fmt::format("nvmlDeviceGetHandleByPciBusId_v2({})", pci_bus_id), code);
    return {};
  }
  std::string said(const std::string& call, int code) const { return fmt::format("{}: {}", call, error_string(code)); }
};

EnergyCounter::EnergyCounter(const std::string& pci_bus_id, const std::string& library)
    : library_(std::make_unique<Library>()) {
  failure_ = library_->open(library, pci_bus_id);
}

EnergyCounter::~EnergyCounter() = default;

std::optional<double> EnergyCounter::joules() {
  if (!failure_.empty()) return std::nullopt;
  unsigned long long millijoules = 0;
  if (const int code = library_->total_energy(library_->device, &millijoules); code != 0) {
    failure_ = library_->said("nvmlDeviceGetTotalEnergyConsumption", code);
    return std::nullopt;
  }
  return 1e-3 * static_cast<double>(millijoules);
}

void EnergyWindow::add(double seconds, std::optional<double> joules, double units) {
  if (spoilt_) return;
  if (!joules || (latest_ && *joules < latest_->joules)) {
    spoilt_ = true;
    return;
  }
  const Reading now{seconds, *joules, units};
  if (latest_ && now.joules > latest_->joules) (first_ ? last_ : first_) = now;
  latest_ = now;
}

Energy EnergyWindow::result() const {
  Energy energy;
  if (spoilt_ || !last_) return energy;
  const double joules = last_->joules - first_->joules, units = last_->units - first_->units;
  if (seconds() > 0.0) energy.watts = joules / seconds();
  if (units > 0.0) energy.joules_per_unit = joules / units;
  return energy;
}

EnergyMeter::EnergyMeter(const std::string& pci_bus_id, double window_seconds, const std::string& library)
    : counter_(pci_bus_id, library), window_seconds_(window_seconds) {
  idle_ = measure(0.0, [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
}

std::string EnergyMeter::text(const std::string& name, const Energy& energy) const {
  return fmt::format(R"("joules_per_{}": {}, "watts": {}, "idle_watts": {})", name, json_number(energy.joules_per_unit),
                     json_number(energy.watts), json_number(idle_.watts));
}

std::string EnergyMeter::idle_line() const {
  std::string why = counter_.failure();
  if (why.empty() && !idle_.watts) why = "the counter does not move";
  std::replace_if(
      why.begin(), why.end(), [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' '; },
      '\'');
  return fmt::format(R"({{"bench": "idle", "watts": {}, "why_not": {}}})", json_number(idle_.watts),
                     why.empty() ? "null" : fmt::format("\"{}\"", why));
}

}  // namespace tarn::bench
