// How the rate of chains grows and falls with their number, the number of neurons, and the dimension: through the backend's public interface, as a run
// takes them, by the clock on the wall. JSON lines {"scaling": "chains"|"N"|"D", ...}, each the median of five calls. Under a minute on an H100.
// usage: gpu_scaling_bench [small]        small: hundreds of chains and neurons, for machines without a GPU, where times mean nothing
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench_network.hpp"
#include "measure.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::bench {
namespace {

// A call that is timed also fetches 8 bytes a chain: it is long, so that these do not count.
struct Effort {
  int repeats = 5;
  double seconds_a_call = 0.06;
  std::int64_t fewest_steps = 16;  // a recording and what is around it
};
constexpr Precision fp32 = Precision::fp32, tf32 = Precision::tf32, bf16 = Precision::bf16;

struct Point {
  const char* curve;
  std::int64_t D, N, chains;
  Precision precision = fp32;
};

// One backend for each precision, made when it is first asked for.
class Backends {
 public:
  Backend& of(Precision precision) {
    std::unique_ptr<Backend>& backend = made_[precision];
    if (!backend) backend = make_backend("cuda", 0, precision);
    return *backend;
  }

 private:
  std::map<Precision, std::unique_ptr<Backend>> made_;
};

void measure(const Point& p, Backend& backend, const Effort& effort) {
  const BenchNetwork host(p.D, p.N, static_cast<float>(0.5 / std::sqrt(static_cast<double>(p.D))));
  const auto network = backend.prepare(host.view);
  Matrix<float> x(p.chains, p.D);
  std::vector<std::int64_t> bad(static_cast<std::size_t>(p.chains), -1);
  ReservoirBlock block;
  block.chains.x = x;
  block.chains.first_bad_step = bad.data();
  const auto chains = backend.hold(host.view, block);
  block.chains.x = {};  // from here on only first bad steps are fetched
  LangevinSteps steps;
  steps.dt = 1e-4f;
  const auto seconds = [&](std::int64_t n_steps) {
    steps.n_steps = n_steps;
    const auto start = std::chrono::steady_clock::now();
    chains->advance(*network, steps);
    chains->store(block);  // waits
    steps.first_step += static_cast<std::uint64_t>(n_steps);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const std::int64_t few = effort.fewest_steps;
  seconds(few);
  const double once = seconds(few) / static_cast<double>(few);
  const auto n_steps = std::clamp<std::int64_t>(static_cast<std::int64_t>(effort.seconds_a_call / once), few, 20000);
  std::vector<double> times;
  for (int i = 0; i < effort.repeats; ++i) times.push_back(seconds(n_steps) / static_cast<double>(n_steps));
  if (std::any_of(bad.begin(), bad.end(), [](std::int64_t step) { return step >= 0; })) fail("chains were lost");
  const double step = median(times);
  fmt::print(
      "{{\"scaling\": \"{}\", \"D\": {}, \"N\": {}, \"chains\": {}, \"precision\": \"{}\", \"steps\": {}, \"step_us\": "
      "{:.4g}, "
      "\"chain_steps_per_s\": {:.4g}, \"tflop_per_s\": {:.4g}, \"path\": \"{}\"}}\n",
      p.curve, p.D, p.N, p.chains, name_of(p.precision), n_steps, 1e6 * step, static_cast<double>(p.chains) / step,
      4e-12 * static_cast<double>(p.chains) * static_cast<double>(p.N * p.D) / step, backend.path(host.view, false));
  std::fflush(stdout);
}

std::vector<Point> points() {
  std::vector<Point> all;
  for (const std::int64_t n : {1000, 3000, 10000, 30000, 100000, 300000, 1000000}) {
    for (const std::int64_t D : {1, 2}) all.push_back({"chains", D, 1000, n});
    for (const Precision precision : {fp32, bf16}) all.push_back({"chains", 300, 2000, n, precision});
  }
  for (const std::int64_t N : {100, 300, 1000, 3000, 10000, 20000}) {
    all.push_back({"N", 1, N, 270336});
    for (const Precision precision : {fp32, tf32, bf16}) all.push_back({"N", 300, N, 16384, precision});
  }
  for (const std::int64_t D : {1, 2, 3, 4, 6, 8, 12, 16}) all.push_back({"D", D, 1000, 270336});
  for (const std::int64_t D : {32, 64, 100, 150, 200, 300, 450, 600})
    for (const Precision precision : {fp32, tf32, bf16}) all.push_back({"D", D, 4000, 16384, precision});
  return all;
}

// Kept in shape: what is split over lanes or tiles stays so.
Point reduced(Point p) {
  p.chains = std::min<std::int64_t>(p.chains / 1000 + 1, 40);
  p.N = std::max<std::int64_t>(p.N / 100, 8);
  if (p.D > 16) p.D = std::max<std::int64_t>(p.D / 8, 17);
  return p;
}

}  // namespace
}  // namespace tarn::bench

int main(int argc, char** argv) try {
  using namespace tarn::bench;
  const bool is_small = argc > 1 && std::string(argv[1]) == "small";
  const Effort effort = is_small ? Effort{1, 0.002, 2} : Effort{};
  Backends backends;
  fmt::print("{{\"device\": \"{}\"}}\n", backends.of(fp32).description());
  for (const Point& p : points()) measure(is_small ? reduced(p) : p, backends.of(p.precision), effort);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "scaling_bench: {}\n", error.what());
  return 1;
}
