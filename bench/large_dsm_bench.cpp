// Time of one training step of the large-D path, batch and noise included, by size and number of threads.
#include <benchmark/benchmark.h>

#include <vector>

#include "large_session.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;

// Rows of a resident data set, as an image set gives them.
class TableSource final : public BatchSource {
 public:
  explicit TableSource(std::int64_t D) : data_(4096, D) { fill_normals(1, Stream::synthetic_data, 0, 0, 1, data_); }
  std::int64_t n_columns() const override { return data_.cols(); }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 1000; }
  void fill(std::int64_t first_step, std::int64_t, MatrixView<float> out) override {
    for (std::int64_t i = 0; i < out.rows; ++i) {
      const std::int64_t datum = (first_step * 7919 + i * 104729) % data_.rows();
      std::copy_n(data_.row(datum), out.cols, out.row(i));
    }
  }

 private:
  Matrix<float> data_;
};

void train(benchmark::State& state) {
  const std::int64_t D = state.range(0), N = state.range(1), B = state.range(2), n_steps = N > 10000 ? 4 : 20;
  DsmParameters p;
  p.n_outputs = D;
  p.W_in = Matrix<float>(N, D);
  p.b = Matrix<float>(1, N);
  p.V = Matrix<float>(D, N);
  fill_normals(1, Stream::weight_init, 0, 0, 1, p.W_in);
  fill_normals(1, Stream::weight_init, 0, 1, 1, p.V);
  for (std::int64_t i = 0; i < p.W_in.size(); ++i) p.W_in.data()[i] *= 0.1f;
  for (std::int64_t i = 0; i < p.V.size(); ++i) p.V.data()[i] /= static_cast<float>(N);
  OptimizerSettings optimizer;
  optimizer.weight_decay = 1e-4;
  optimizer.ema = state.range(4) != 0 ? 0.999 : 0.0;
  DsmLevel level;
  level.sigma = 0.1;
  TableSource source(D);
  const auto session = cpu::make_large_session(p, optimizer, static_cast<int>(state.range(3)));
  const std::vector<float> rates(static_cast<std::size_t>(n_steps), 5e-4f);
  std::vector<DsmLoss> losses(rates.size());
  std::int64_t step = 0;
  for (auto _ : state) {
    session->run(source, level, B, 3, step, rates, losses);
    step += n_steps;
  }
  const auto steps = static_cast<double>(state.iterations() * n_steps);
  state.counters["steps_per_s"] = benchmark::Counter(steps, benchmark::Counter::kIsRate);
  state.counters["gflop_per_s"] =
      benchmark::Counter(steps * 10e-9 * static_cast<double>(N * D * B), benchmark::Counter::kIsRate);
  state.counters["ms_per_step"] =
      benchmark::Counter(steps * 1e-3, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

}  // namespace

BENCHMARK(train)
    ->ArgNames({"D", "N", "B", "threads", "ema"})
    ->Args({100, 4000, 128, 2, 0})
    ->Args({300, 2000, 64, 1, 0})
    ->Args({300, 2000, 64, 2, 0})
    ->Args({300, 20000, 64, 2, 0})
    ->Args({300, 2000, 64, 2, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
