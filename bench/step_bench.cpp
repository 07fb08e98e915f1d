// Chain-steps and training steps a second, at the sizes of docs/performance.md: one JSON line a case, medians of repeated runs.
// usage: step_bench step|train D:N:B ...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;

struct Case {
  std::int64_t D = 0, N = 0, B = 0;
};

double seconds_of(const std::function<void()>& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Median of at least five runs, more until two seconds have passed; the first two are for warming up.
double median_seconds(const std::function<void()>& f) {
  f();
  f();
  std::vector<double> times;
  double sum = 0.0;
  while (times.size() < 5 || (sum < 2.0 && times.size() < 25)) {
    times.push_back(seconds_of(f));
    sum += times.back();
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

DsmParameters weights(const Case& c) {
  DsmParameters p;
  p.n_outputs = c.D;
  p.W_in = Matrix<float>(c.N, c.D);
  p.b = Matrix<float>(1, c.N);
  p.V = Matrix<float>(c.D, c.N);
  std::uint64_t step = 0;
  for (Matrix<float>* m : {&p.W_in, &p.b, &p.V}) fill_normals(1, Stream::weight_init, 0, step++, 1, *m);
  for (std::int64_t i = 0; i < p.W_in.size(); ++i) p.W_in.data()[i] *= 0.1f;
  for (std::int64_t i = 0; i < p.b.size(); ++i) p.b.data()[i] *= 0.1f;
  for (std::int64_t i = 0; i < p.V.size(); ++i) p.V.data()[i] /= static_cast<float>(c.N);
  return p;
}

// Fixed data, so that the arithmetic of the step is what is timed.
class FixedRows final : public BatchSource {
 public:
  explicit FixedRows(const Case& c) : rows_(4096, c.D) { fill_normals(2, Stream::synthetic_data, 0, 0, 1, rows_); }
  std::int64_t n_columns() const override { return rows_.cols(); }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override { return rows_.rows() / batch_size; }
  void fill(std::int64_t first_step, std::int64_t, MatrixView<float> out) override {
    for (std::int64_t i = 0; i < out.rows; ++i)
      std::copy_n(rows_.row((first_step + i) % rows_.rows()), out.cols, out.row(i));
  }

 private:
  Matrix<float> rows_;
};

void report(const char* what, const Case& c, double seconds, double rate, const Backend& backend) {
  fmt::print(R"({{"what":"{}","peer":"tarn","D":{},"N":{},"B":{},"seconds":{:.6g},"rate":{:.6g},"device":"{}"}})"
             "\n",
             what, c.D, c.N, c.B, seconds, rate, backend.description());
  std::fflush(stdout);
}

void bench_step(Backend& backend, const Case& c) {
  const DsmParameters p = weights(c);
  const auto network = backend.prepare({c.D, 0, c.N, Nonlinearity::relu, p.W_in.data(), p.b.data(), p.V.data()});
  Matrix<float> x(c.B, c.D);
  fill_normals(3, Stream::initial_law, 0, 0, 1, x);
  std::vector<std::int64_t> bad(static_cast<std::size_t>(c.B), -1);
  LangevinSteps steps;
  steps.dt = 1e-4f;
  steps.seed = 1;
  steps.n_steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(2e10 / static_cast<double>(4 * c.D * c.N * c.B)));
  const double seconds = median_seconds([&] {
    backend.advance(*network, steps, {x, {}, {}, bad.data()});
    steps.first_step += static_cast<std::uint64_t>(steps.n_steps);
  });
  report("step", c, seconds, static_cast<double>(c.B * steps.n_steps) / seconds, backend);
}

void bench_train(Backend& backend, const Case& c) {
  OptimizerSettings optimizer;
  optimizer.weight_decay = 1e-4;
  const auto session = backend.make_dsm_session(weights(c), optimizer);
  FixedRows rows(c);
  DsmLevel level;
  level.sigma = 0.1;
  const auto n =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(2e10 / static_cast<double>(10 * c.B * c.N * c.D)), 3, 2000);
  const std::vector<float> rates(static_cast<std::size_t>(n), 5e-4f);
  std::vector<DsmLoss> losses(static_cast<std::size_t>(n));
  std::int64_t step = 0;
  const double seconds = median_seconds([&] {
    session->run(rows, level, c.B, 1, step, rates, losses);
    step += n;
  });
  report("train", c, seconds / static_cast<double>(n), static_cast<double>(n) / seconds, backend);
}

}  // namespace

int main(int argc, char** argv) {
  const auto backend = make_cpu_backend();
  for (int i = 2; i < argc; ++i) {
    Case c;
    long long D = 0, N = 0, B = 0;
    if (std::sscanf(argv[i], "%lld:%lld:%lld", &D, &N, &B) != 3 || D < 1 || N < 1 || B < 1) {
      fmt::print(stderr, "step_bench: \"{}\" is not D:N:B\n", argv[i]);
      return 2;
    }
    c.D = D;
    c.N = N;
    c.B = B;
    if (std::strcmp(argv[1], "train") == 0) {
      bench_train(*backend, c);
    } else {
      bench_step(*backend, c);
    }
  }
  return argc < 3 ? 2 : 0;
}
