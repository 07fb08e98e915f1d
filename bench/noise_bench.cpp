// Normals a second on one core: every instruction set of this machine, several component counts, written to a buffer
// that stays in the second-level cache. Names are normals/ISA/D:..., items are normals.
//
//   noise_bench --benchmark_out=bench/results/noise.json --benchmark_out_format=json
//
// Medians of repetitions, since the machine may be shared. `words` measures Philox alone, without the transform.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tarn/core/isa.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;

constexpr std::int64_t buffer_size = 1 << 16;  // 256 KiB

struct Shape {
  std::int64_t n_chains, n_components;
};

void fill(MatrixView<float> out, std::uint64_t step, std::int64_t n_steps) {
  fill_normals(3407, Stream::dynamics, 0, step, n_steps, out);
}
void fill(MatrixView<std::uint32_t> out, std::uint64_t step, std::int64_t n_steps) {
  fill_words(3407, Stream::dynamics, 0, step, n_steps, out);
}

template <class T>
void run(benchmark::State& state, Isa isa, Shape shape) {
  use_isa(std::string(name_of(isa)));
  const std::int64_t n_steps = buffer_size / (shape.n_chains * shape.n_components);
  Matrix<T> out(n_steps * shape.n_chains, shape.n_components);
  std::uint64_t step = 0;
  for (auto _ : state) {
    fill(out.view(), step, n_steps);
    step += static_cast<std::uint64_t>(n_steps);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * out.size());
}

template <class T>
void add(const char* kind, Isa isa, Shape shape) {
  const std::string name = std::string(kind) + "/" + std::string(name_of(isa)) +
                           "/D:" + std::to_string(shape.n_components) + "/chains:" + std::to_string(shape.n_chains);
  benchmark::RegisterBenchmark(name.c_str(), run<T>, isa, shape)
      ->Repetitions(9)
      ->ReportAggregatesOnly()
      ->MinTime(0.1)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  for (Isa isa : available_isas()) {
    for (Shape shape : {Shape{1024, 1}, Shape{1024, 2}, Shape{1024, 3}, Shape{1024, 4}, Shape{128, 100},
                        Shape{128, 300}, Shape{1, 1}, Shape{1, 3}}) {
      add<float>("normals", isa, shape);
    }
    add<std::uint32_t>("words", isa, {1024, 1});
    add<std::uint32_t>("words", isa, {128, 100});
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
