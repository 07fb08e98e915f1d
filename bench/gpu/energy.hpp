// Energy that work on a GPU takes, by the counter that its driver keeps. What cannot be known is null in the results, never 0.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace tarn::bench {

/// NVML, which comes with the driver: `libnvidia-ml.so.1`, or what the variable TARN_NVML names (tests put another in its place).
std::string nvml_library();

/// `nvmlDeviceGetTotalEnergyConsumption` (Volta and later) of one GPU: what the whole board has used, other programs' work included, since its driver
/// was loaded. The driver renews the number every 20 to 100 ms. The library is opened at run time; nothing throws where it or the counter is missing.
class EnergyCounter {
 public:
  /// `pci_bus_id` as `cudaDeviceGetPCIBusId` writes it: ordinals of CUDA and of NVML differ.
  explicit EnergyCounter(const std::string& pci_bus_id, const std::string& library = nvml_library());
  EnergyCounter(EnergyCounter&& other) noexcept = default;
  EnergyCounter& operator=(EnergyCounter&& other) noexcept = default;
  ~EnergyCounter();

  /// The counter, or nothing from the first failure on.
  std::optional<double> joules();
  /// Why there is no number; empty while there is.
  const std::string& failure() const { return failure_; }

 private:
  struct Library;
  std::unique_ptr<Library> library_;
  std::string failure_;
};

/// What a stretch of work took. Empty where it is not known.
struct Energy {
  std::optional<double> joules_per_unit, watts;
};

/// Readings of a counter that stands still most of the time. A reading that differs from the one before it marks a renewal; what counts is
/// what lies between the first renewal and the last. A renewal is noticed with the next reading only, so that each end is uncertain by the work between two readings.
class EnergyWindow {
 public:
  /// `joules` was read `seconds` after the start with `units` of work done, all three since any fixed point and in order of time. A reading that is missing, or
  /// lower than the one before (the driver was loaded anew), spoils the window.
  void add(double seconds, std::optional<double> joules, double units);
  bool is_spoilt() const { return spoilt_; }
  /// Between the first renewal and the last; 0 before there are two.
  double seconds() const { return last_ && first_ ? last_->seconds - first_->seconds : 0.0; }
  Energy result() const;

 private:
  struct Reading {
    double seconds, joules, units;
  };
  std::optional<Reading> latest_, first_, last_;
  bool spoilt_ = false;
};

/// The energy of work on one GPU, beside the power that it draws when idle.
class EnergyMeter {
 public:
  /// Takes as long as one window, with nothing to do, for the idle power: the device must be at rest, and its context made.
  explicit EnergyMeter(const std::string& pci_bus_id, double window_seconds = 1.0,
                       const std::string& library = nvml_library());

  /// Runs `work`, which must return only when the device is done with its `units` (chain-steps, say), again and again, three times at least, until the window is full. Not
  /// at all where there is no counter. A call should take 1 to 50 ms: readings lie between calls.
  template <class Work>
  Energy measure(double units, Work&& work) {
    EnergyWindow window;
    double done = 0.0;
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    window.add(0.0, counter_.joules(), 0.0);
    const auto has_time = [&](int n_calls) {
      return n_calls < fewest_calls || elapsed() < 2.0 * window_seconds_ + 0.5;
    };
    for (int n = 0; !window.is_spoilt() && window.seconds() < window_seconds_ && has_time(n); ++n) {
      work();
      done += units;
      const std::optional<double> joules = counter_.joules();
      window.add(elapsed(), joules, done);
    }
    return window.result();
  }

  /// `"joules_per_NAME": ..., "watts": ..., "idle_watts": ...` of such work, for a line of JSON.
  template <class Work>
  std::string fields(const std::string& name, double units, Work&& work) {
    return text(name, measure(units, std::forward<Work>(work)));
  }
  std::string text(const std::string& name, const Energy& energy) const;
  /// A line of JSON that says what the device draws when idle, or why nothing is known.
  std::string idle_line() const;

 private:
  static constexpr int fewest_calls = 3;  ///< between which the counter moves twice, however slow the device
  EnergyCounter counter_;
  double window_seconds_;
  Energy idle_;
};

}  // namespace tarn::bench
