// Chain-steps a second of the large-D path, noise included, by size, mode and number of threads.
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "bench_network.hpp"
#include "large_langevin.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;

LangevinSteps steps_of(std::int64_t n) {
  LangevinSteps s;
  s.dt = 1e-4f;
  s.n_steps = n;
  return s;
}

void report(benchmark::State& state, std::int64_t chain_steps, double flops_each) {
  const auto total = static_cast<double>(state.iterations()) * static_cast<double>(chain_steps);
  state.counters["chain_steps_per_s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["gflop_per_s"] = benchmark::Counter(total * flops_each * 1e-9, benchmark::Counter::kIsRate);
}

void output_mode(benchmark::State& state) {
  const std::int64_t D = state.range(0), N = state.range(1), B = state.range(2), n_steps = N > 10000 ? 1 : 5;
  const bench::BenchNetwork net(D, N, 0.1f);
  const cpu::LargeNetwork prepared(net.view);
  Matrix<float> x(B, D);
  fill_normals(2, Stream::initial_law, 0, 0, 1, x);
  std::vector<std::int64_t> bad(static_cast<std::size_t>(B), -1);
  ChainBlock block;
  block.x = x;
  block.first_bad_step = bad.data();
  for (auto _ : state) cpu::advance_large(prepared, steps_of(n_steps), block, static_cast<int>(state.range(3)));
  report(state, B * n_steps, 4.0 * static_cast<double>(N * D));
}

void reservoir_mode(benchmark::State& state) {
  const std::int64_t D = state.range(0), N = state.range(1), B = state.range(2), n_steps = 5;
  const bench::BenchNetwork net(D, N, 0.1f);
  const cpu::LargeNetwork prepared(net.view);
  Matrix<float> x(B, D), r(B, N), P(N, D);
  fill_normals(2, Stream::initial_law, 0, 0, 1, r);
  fill_normals(2, Stream::initial_law, 0, 1, 1, P);
  std::vector<std::int64_t> bad(static_cast<std::size_t>(B), -1);
  ReservoirBlock block;
  block.chains.x = x;
  block.chains.first_bad_step = bad.data();
  block.r = r;
  block.P = P;
  for (auto _ : state)
    cpu::advance_reservoir_large(prepared, steps_of(n_steps), block, static_cast<int>(state.range(3)));
  report(state, B * n_steps, 6.0 * static_cast<double>(N * D));
}

}  // namespace

BENCHMARK(output_mode)
    ->ArgNames({"D", "N", "B", "threads"})
    ->Args({300, 2000, 1024, 1})
    ->Args({300, 2000, 1024, 2})
    ->Args({300, 20000, 1024, 2})
    ->Args({100, 4000, 1024, 2})
    ->Args({300, 20000, 100, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(reservoir_mode)
    ->ArgNames({"D", "N", "B", "threads"})
    ->Args({300, 2000, 1024, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
