// How near the small-D step comes to the rate at which this machine issues vector instructions: a relu neuron with D outputs costs D
// multiply-adds into it, one maximum, and D multiply-adds out of it, and nothing else could be left out.
// usage: issue_limit_bench [ROUNDS]; one JSON line a case, medians of rounds in which limit and step take turns.
#include <fmt/format.h>
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;

#if defined(__AVX512F__)
constexpr int lanes = 16;
using Vector = __m512;
Vector constant(float v) { return _mm512_set1_ps(v); }
Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
Vector maximum(Vector a, Vector b) { return _mm512_max_ps(a, b); }
#elif defined(__AVX2__) && defined(__FMA__)
constexpr int lanes = 8;
using Vector = __m256;
Vector constant(float v) { return _mm256_set1_ps(v); }
Vector multiply_add(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
Vector maximum(Vector a, Vector b) { return _mm256_max_ps(a, b); }
#else
constexpr int lanes = 0;
#endif

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// Instructions a second of all cores: one maximum in `2 D + 1`, the rest multiply-adds, all independent of their neighbours.
double instructions_per_second(int D) {
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
  constexpr std::int64_t repeats = 2'000'000;
  constexpr int chains = 12;  // enough to hide the latency of four cycles on two ports
  const double seconds = seconds_of([&] {
#pragma omp parallel
    {
      Vector factor = constant(1.0f), zero = constant(0.0f);  // nothing shrinks to denormals, which are slow
      asm volatile("" : "+v"(factor), "+v"(zero));            // and the compiler does not know it
      // twelve variables, not an array, which would be kept in memory
      Vector a = factor, b = factor, c = factor, d = factor, e = factor, f = factor, g = factor, h = factor, i = factor,
             j = factor, k = factor, l = factor;
      const auto all = [&](const auto& once) __attribute__((always_inline)) {
        once(a), once(b), once(c), once(d), once(e), once(f), once(g), once(h), once(i), once(j), once(k), once(l);
      };
      for (std::int64_t r = 0; r < repeats; ++r) {
        all([&](Vector & v) __attribute__((always_inline)) { v = maximum(v, zero); });
        for (int n = 0; n < 2 * D; ++n)
          all([&](Vector & v) __attribute__((always_inline)) { v = multiply_add(v, factor, zero); });
        all([&](Vector & v) __attribute__((always_inline)) { asm volatile("" : "+v"(v)); });
      }
    }
  });
  return static_cast<double>(repeats * chains * (2 * D + 1)) * omp_get_max_threads() / seconds;
#else
  (void)D;
  return 0.0;
#endif
}

}  // namespace

int main(int argc, char** argv) {
  if (lanes == 0) {
    fmt::print(stderr, "issue_limit_bench: needs AVX2 with FMA, or AVX-512\n");
    return 1;
  }
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 9;
  constexpr std::int64_t N = 1000, B = 8192, n_steps = 200;
  const auto backend = make_cpu_backend();
  for (const int D : {1, 2}) {
    Matrix<float> W_in(N, D), b(1, N), W_out(D, N), x(B, D);
    std::uint64_t step = 0;
    for (Matrix<float>* m : {&W_in, &b, &W_out}) fill_normals(1, Stream::weight_init, 0, step++, 1, *m);
    for (std::int64_t i = 0; i < W_out.size(); ++i) W_out.data()[i] *= 1e-3f;
    fill_normals(3, Stream::initial_law, 0, 0, 1, x);
    const auto network = backend->prepare({D, 0, N, Nonlinearity::relu, W_in.data(), b.data(), W_out.data()});
    std::vector<std::int64_t> bad(static_cast<std::size_t>(B), -1);
    LangevinSteps steps;
    steps.dt = 1e-4f;
    steps.seed = 1;
    steps.n_steps = n_steps;
    std::vector<double> limits, rates, shares;
    for (int i = 0; i < rounds; ++i) {
      limits.push_back(instructions_per_second(D) * lanes / static_cast<double>(N * (2 * D + 1)));
      rates.push_back(static_cast<double>(B * n_steps) / seconds_of([&] {
                        backend->advance(*network, steps, {x, {}, {}, bad.data()});
                      }));
      steps.first_step += static_cast<std::uint64_t>(n_steps);
      shares.push_back(rates.back() / limits.back());
    }
    fmt::print(
        R"({{"what":"issue_limit","D":{},"N":{},"B":{},"limit":{:.4g},"rate":{:.4g},"share":{:.3f},"device":"{}"}})"
        "\n",
        D, N, B, median(limits), median(rates), median(shares), backend->description());
  }
  return 0;
}
