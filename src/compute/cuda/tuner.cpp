#include "tuner.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "streams.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"

namespace tarn::cuda {
namespace {

constexpr double least_gain = 1.03;  // what is less may be the clock's doing
constexpr int n_rounds = 5;
constexpr double turn_ms = 0.1;  // of one candidate in one round: events tell half a microsecond
constexpr int most_repeats = 20;
constexpr double far_behind = 2.0;
constexpr double shortest_ms = 1e-6;  // no gain is infinite, whatever a clock says

struct Stopwatch {
  CudaEvent start{true}, stop{true};
};

// One candidate's turn, put into the stream.
void take_turn(Ways& ways, const std::string& way, int repeats, Stopwatch& watch, StreamHandle stream) {
  watch.start.record(stream);
  for (int i = 0; i < repeats; ++i) ways.enqueue(way);
  watch.stop.record(stream);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool is_recording(StreamHandle stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  TARN_CUDA_CHECK(cudaStreamIsCapturing(stream, &status));
  return status != cudaStreamCaptureStatusNone;
}

}  // namespace

std::vector<double> trial_times(Ways& ways, const std::vector<std::string>& candidates, StreamHandle stream) {
  constexpr double never = std::numeric_limits<double>::infinity();
  const std::size_t n = candidates.size();
  std::vector<double> times(n, never);
  std::vector<Stopwatch> watches(n);
  std::vector<std::size_t> able;
  for (std::size_t i = 0; i < n; ++i) {  // the first call loads the kernel
    try {
      ways.enqueue(candidates[i]);
      able.push_back(i);
    } catch (const Error&) {
      if (i == 0) throw;  // it would be taken without measuring
    }
  }
  const auto round = [&](int repeats, auto&& each) {
    for (const std::size_t i : able) take_turn(ways, candidates[i], repeats, watches[i], stream);
    TARN_CUDA_CHECK(cudaStreamSynchronize(stream));
    for (const std::size_t i : able) each(i, double{watches[i].stop.milliseconds_since(watches[i].start)} / repeats);
  };
  round(1, [&](std::size_t i, double ms) { times[i] = ms; });
  const double best = *std::min_element(times.begin(), times.end()), first = times[0];
  std::erase_if(able, [&](std::size_t i) { return i > 0 && times[i] > far_behind * best; });
  const int repeats = static_cast<int>(std::clamp(turn_ms / std::max(first, shortest_ms), 1.0, double{most_repeats}));
  std::vector<std::vector<double>> taken(n);
  for (int r = 0; r < n_rounds; ++r) round(repeats, [&](std::size_t i, double ms) { taken[i].push_back(ms); });
  std::fill(times.begin(), times.end(), never);
  for (const std::size_t i : able) times[i] = median(taken[i]);
  return times;
}

void Tuner::begin(const Tuning& tuning) {
  tuning_ = tuning;
  chosen_.clear();
  is_on_ = true;
}

std::string Tuner::choose(Kind kind, const std::string& key, Ways& ways, StreamHandle stream) {
  if (const auto found = chosen_.find(key); found != chosen_.end()) return found->second.choice.value;
  const Chosen chosen = decide(kind, key, ways, stream);
  if (tuning_.on_choice) tuning_.on_choice(key, chosen.choice, chosen.measured, kind != Kind::kernel);
  return chosen_.emplace(key, chosen).first->second.choice.value;
}

Tuner::Chosen Tuner::decide(Kind kind, const std::string& key, Ways& ways, StreamHandle stream) {
  if (const auto found = tuning_.binding.find(key); found != tuning_.binding.end()) {
    if (ways.is_usable(found->second.value)) return {kind, found->second, false, true};
    if (!tuning_.lenient) {
      fail(
          "{}: the run computed it in a way that is not to be had here; with --allow-inexact another one is chosen, "
          "but "
          "results will not be the same bits",
          key);
    }
    warn("{}: the run computed it in a way that is not to be had here; results will not be the same bits", key);
  }
  if (const auto found = tuning_.known.find(key); found != tuning_.known.end() && ways.is_usable(found->second.value))
    return {kind, found->second};

  const std::vector<std::string> candidates = ways.candidates();
  require(!candidates.empty(), "{}: no way to choose from", key);
  const Chosen unmeasured{kind, {candidates.front()}};
  if (is_recording(stream)) return unmeasured;
  try {
    ways.reserve();
  } catch (const Error&) {  // memory is short; the run itself may still fit
    return unmeasured;
  }
  if (candidates.size() == 1) return {kind, {candidates.front()}, true};
  const std::vector<double> times = trial_times(ways, candidates, stream);
  const auto best = static_cast<std::size_t>(std::min_element(times.begin(), times.end()) - times.begin());
  const double gain = times[0] / std::max(times[best], shortest_ms);
  if (!(gain > least_gain)) return {kind, {candidates.front()}, true};
  return {kind, {candidates[best], std::round(1e3 * gain) / 1e3}, true};
}

TuningSummary Tuner::summary() const {
  TuningSummary s;
  for (const auto& [key, c] : chosen_) {
    const bool is_product = c.kind == Kind::product, is_layer = c.kind == Kind::layer;
    ++(is_product ? s.n_products : is_layer ? s.n_layers : s.n_kernels);
    auto& gains = is_product ? s.product_gains : is_layer ? s.layer_gains : s.kernel_gains;
    if (c.choice.gain > 1.0) gains.push_back(c.choice.gain);
    if (c.measured) ++s.n_measured;
    if (c.bound) ++s.n_bound;
  }
  return s;
}

}  // namespace tarn::cuda
