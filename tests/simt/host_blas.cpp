// Products by the host's BLAS in the device's place (src/compute/cuda/blas.hpp): queued in the stream like any kernel.
#include <cblas.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <tuple>
#include <vector>

#include "blas.hpp"
#include "device_memory.hpp"
#include "simt.hpp"
#include "tarn/core/error.hpp"
#include "tensor.cuh"

namespace tarn::cuda {
namespace {

void check(const Product& p) {
  require(!p.is_bf16, "product: bf16 in memory is not emulated");
  require(p.m >= 0 && p.n >= 0 && p.k >= 0, "product [{}, {}, {}]", p.m, p.n, p.k);
  require(p.lda >= (p.transpose_a ? p.m : p.k), "product: lda = {} is too small for A of [{}, {}]", p.lda, p.m, p.k);
  require(p.ldb >= (p.transpose_b ? p.k : p.n), "product: ldb = {} is too small for B of [{}, {}]", p.ldb, p.k, p.n);
  require(p.ldc >= p.n, "product: ldc = {} is too small for C of [{}, {}]", p.ldc, p.m, p.n);
  require(p.batch >= 1 && p.stride_a % 4 == 0 && p.stride_b % 4 == 0 && p.stride_c % 4 == 0,
          "product: {} products, {}, {} and {} floats apart", p.batch, p.stride_a, p.stride_b, p.stride_c);
  for (const float* operand : {p.a, p.b, static_cast<const float*>(p.c), p.bias})
    require(simt::is_device_pointer(operand), "product: an operand is no memory of the device");
}

// An operand `[rows, cols]` as it is multiplied. In `memory` where it is rounded.
const float* rounded(Precision precision, const float* from, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     std::vector<float>& memory) {
  if (precision == Precision::fp32) return from;
  memory.assign(static_cast<std::size_t>(rows * stride), 0.0f);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      const float a = from[i * stride + j];
      const unsigned bits = precision == Precision::bf16 ? bf16_bits(a) << 16 : tf32_bits(a);
      memory[static_cast<std::size_t>(i * stride + j)] = std::bit_cast<float>(bits);
    }
  }
  return memory.data();
}

void run_one(const Product& p) {
  std::vector<float> a_memory, b_memory;
  const float* const a =
      rounded(p.precision, p.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, a_memory);
  const float* const b =
      rounded(p.precision, p.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, b_memory);
  // One thread: the order of the sums does not depend on how many there are.
  const int n_threads = openblas_get_num_threads();
  openblas_set_num_threads(1);
  const auto as_int = [](std::int64_t n) { return static_cast<blasint>(std::max<std::int64_t>(n, 1)); };
  if (p.beta == 0.0f) {
    for (std::int64_t i = 0; i < p.m; ++i) std::fill_n(p.c + i * p.ldc, p.n, 0.0f);  // what was there is not read
  }
  cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans, p.transpose_b ? CblasTrans : CblasNoTrans,
              static_cast<blasint>(p.m), static_cast<blasint>(p.n), static_cast<blasint>(p.k), 1.0f, a, as_int(p.lda),
              b, as_int(p.ldb), p.beta, p.c, as_int(p.ldc));
  openblas_set_num_threads(n_threads);
  if (!p.bias && !p.relu) return;
  for (std::int64_t i = 0; i < p.m; ++i) {
    for (std::int64_t j = 0; j < p.n; ++j) {
      float& c = p.c[i * p.ldc + j];
      if (p.bias) c += p.bias[j];
      if (p.relu) c = c > 0.0f || c != c ? c : 0.0f;
    }
  }
}

void run(const Product& p) {
  if (p.m == 0 || p.n == 0) return;
  for (std::int64_t i = 0; i < p.batch; ++i) {
    Product one = p;
    one.a += i * p.stride_a;
    one.b += i * p.stride_b;
    one.c += i * p.stride_c;
    run_one(one);
  }
}

class HostBlas final : public Blas {
 public:
  void product(const Product& p, StreamHandle stream) override {
    check(p);
    // The library looks for its algorithm when a shape is new, which cannot be recorded.
    const Shape shape{p.m,           p.n,
                      p.k,           p.lda,
                      p.ldb,         p.ldc,
                      p.batch,       p.transpose_a,
                      p.transpose_b, p.bias != nullptr,
                      p.relu,        p.beta != 0.0f,
                      p.precision};
    {
      const std::lock_guard lock(mutex_);
      if (known_.insert(shape).second && simt::is_capturing(stream))
        fail("product [{}, {}, {}]: a shape is first seen while a graph is recorded", p.m, p.n, p.k);
    }
    simt::enqueue(stream, [p] { run(p); });
  }

 private:
  using Shape = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t, bool, bool, bool, bool, bool, Precision>;
  std::mutex mutex_;
  std::set<Shape> known_;
};

}  // namespace

std::unique_ptr<Blas> make_blas() { return std::make_unique<HostBlas>(); }

}  // namespace tarn::cuda
