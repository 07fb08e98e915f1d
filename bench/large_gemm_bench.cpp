// The products of the large-D path on one core: ours, OpenBLAS and (where oneDNN was found) oneDNN with weights packed
// once, bias and relu included where a step has them. Rates are taken from CPU time, so that a shared machine disturbs
// them less; compare only within one run.
//
//   large_gemm_bench --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true
//       --benchmark_report_aggregates_only=true
//
// OpenBLAS chooses its kernels by CPU model, and versions older than the CPU fall back to SSE: run it once more with
// OPENBLAS_CORETYPE=SKYLAKEX for what it could do.
#include <benchmark/benchmark.h>
#include <cblas.h>

#include <algorithm>
#include <vector>

#include "gemm.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

#if defined(TARN_BENCH_ONEDNN)
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#endif

extern "C" void openblas_set_num_threads(int);

namespace {

using namespace tarn;

// What a step multiplies. Rows are chains or the batch.
enum Shape : std::int64_t {
  inputs,    // phi(x W_in^T + b): [rows, D] x [D, N]
  outputs,   // a W_out^T: [rows, N] x [N, D]
  gradient,  // a^T delta: [N, rows] x [rows, D]
};

struct Problem {
  std::int64_t rows, D, N;
  Matrix<float> x, weights, b, result;

  explicit Problem(const benchmark::State& state)
      : rows(state.range(1)),
        D(state.range(2)),
        N(state.range(3)),
        x(std::max(rows, D), std::max(N, rows)),
        weights(N, D),
        b(1, N),
        result(std::max(rows, N), std::max(N, D)) {
    fill_normals(1, Stream::evaluation, 0, 0, 1, x);
    fill_normals(1, Stream::evaluation, 0, 1, 1, weights);
    fill_normals(1, Stream::evaluation, 0, 2, 1, b);
  }
};

void report(benchmark::State& state, const Problem& p) {
  const double flops = 2e-9 * static_cast<double>(p.rows * p.D * p.N) * static_cast<double>(state.iterations());
  state.counters["gflop_per_s"] = benchmark::Counter(flops, benchmark::Counter::kIsRate);
}

void ours(benchmark::State& state) {
  Problem p(state);
  cpu::PanelProduct q;
  q.n_columns = state.range(0) == gradient ? p.D : p.rows;
  q.in = p.x.data();
  q.out = p.result.data();
  q.weights = p.weights.data();
  if (state.range(0) == inputs) {
    q.n_rows = p.N;
    q.n_k = q.weight_row = p.D;
    q.bias = p.b.data();
    q.epilogue = cpu::Epilogue::activate;
  } else if (state.range(0) == outputs) {
    q.n_rows = p.D;
    q.n_k = q.weight_row = p.N;
  } else {
    q.n_rows = p.N;
    q.n_k = p.rows;
    q.weights = p.x.data();
    q.weight_row = q.k_block = cpu::panel_lanes;
    q.weight_block = p.N * cpu::panel_lanes;
    q.in = p.weights.data();
    q.in_row = q.out_row = cpu::round_up(p.D, 16);
    q.in_panel = q.out_panel = cpu::panel_lanes;
  }
  if (state.range(0) != gradient) {
    q.in_panel = q.n_k * cpu::panel_lanes;
    q.out_panel = q.n_rows * cpu::panel_lanes;
  }
  const auto product = cpu::gemm_kernels(current_isa()).product;
  for (auto _ : state) {
    product(q);
    benchmark::ClobberMemory();
  }
  report(state, p);
}

void openblas(benchmark::State& state) {
  openblas_set_num_threads(1);
  Problem p(state);
  const auto rows = static_cast<int>(p.rows), D = static_cast<int>(p.D), N = static_cast<int>(p.N);
  for (auto _ : state) {
    if (state.range(0) == inputs) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, N, D, 1, p.x.data(), D, p.weights.data(), D, 0,
                  p.result.data(), N);
      for (std::int64_t i = 0; i < p.rows; ++i) {
        float* row = p.result.data() + i * p.N;
        for (std::int64_t j = 0; j < p.N; ++j) row[j] = std::max(row[j] + p.b.data()[j], 0.0f);
      }
    } else if (state.range(0) == outputs) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, D, N, 1, p.x.data(), N, p.weights.data(), D, 0,
                  p.result.data(), D);
    } else {
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, N, D, rows, 1, p.x.data(), N, p.weights.data(), D, 0,
                  p.result.data(), D);
    }
    benchmark::ClobberMemory();
  }
  report(state, p);
}

#if defined(TARN_BENCH_ONEDNN)
void onednn(benchmark::State& state) {
  openblas_set_num_threads(1);  // and with it OpenMP, which oneDNN uses
  using namespace dnnl;
  using tag = memory::format_tag;
  Problem p(state);
  const engine cpu_engine(engine::kind::cpu, 0);
  stream work(cpu_engine);
  const auto f32 = memory::data_type::f32;
  // a [m, k] times w [k, n]; weights are constant while sampling, so w may lie as the library likes; in a gradient
  // both change
  const bool is_inputs = state.range(0) == inputs, is_gradient = state.range(0) == gradient;
  const memory::dim m = is_gradient ? p.N : p.rows,
                    k = is_inputs     ? p.D
                        : is_gradient ? p.rows
                                      : p.N,
                    n = is_inputs ? p.N : p.D;
  const memory::desc a({m, k}, f32, is_gradient ? tag::ba : tag::ab), c({m, n}, f32, tag::ab),
      bias({1, n}, f32, tag::ab);
  const memory::desc w({k, n}, f32, is_gradient ? tag::ab : tag::any);
  primitive_attr attributes;
  post_ops ops;
  ops.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
  if (is_inputs) attributes.set_post_ops(ops);
  const auto d = is_inputs ? matmul::desc(a, w, bias, c) : matmul::desc(a, w, c);
  const matmul::primitive_desc pd(d, attributes, cpu_engine);
  memory am(a, cpu_engine, p.x.data()), cm(c, cpu_engine, p.result.data()), bm(bias, cpu_engine, p.b.data());
  const memory::desc plain({k, n}, f32, is_inputs ? tag::ba : tag::ab);
  memory user(plain, cpu_engine, p.weights.data()), packed = user;
  if (!is_gradient) {
    packed = memory(pd.weights_desc(), cpu_engine);
    reorder(user, packed).execute(work, user, packed);
  }
  const matmul product(pd);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, am}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, cm}};
  if (is_inputs) arguments.insert({DNNL_ARG_BIAS, bm});
  for (auto _ : state) {
    product.execute(work, arguments);
    work.wait();
  }
  report(state, p);
}
#endif

void sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"shape", "rows", "D", "N"});
  for (const std::int64_t shape : {inputs, outputs, gradient}) {
    for (const std::int64_t rows : {256, 64}) {
      if (shape != gradient || rows == 64) b->Args({shape, rows, 300, 2000});
    }
    b->Args({shape, 128, 100, 4000});
  }
}

}  // namespace

BENCHMARK(ours)->Apply(sizes);
BENCHMARK(openblas)->Apply(sizes);
#if defined(TARN_BENCH_ONEDNN)
BENCHMARK(onednn)->Apply(sizes);
#endif

BENCHMARK_MAIN();
