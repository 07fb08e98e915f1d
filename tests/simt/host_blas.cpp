// Products by the host's BLAS in the device's place (src/compute/cuda/blas.hpp): queued in the stream like any kernel. Three algorithms, which differ in the
// order of their sums, stand for a library's many.
#include <cblas.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "blas.hpp"
#include "device_memory.hpp"
#include "product_trial.hpp"
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

/// The order of a sum over k: from the first to the last, from the last to the first, or in two halves, each by itself. The first is what is taken
/// without measuring.
enum class Algorithm { forward, backward, halves };
constexpr std::string_view algorithm_names[] = {"forward", "backward", "halves"};

std::optional<Algorithm> algorithm_of(const std::string& name) {
  const auto* found = std::find(std::begin(algorithm_names), std::end(algorithm_names), name);
  if (found == std::end(algorithm_names)) return std::nullopt;
  return static_cast<Algorithm>(found - std::begin(algorithm_names));
}

// An operand with the order of k turned round, in `memory`; k runs over rows or over columns.
const float* turned(const float* from, std::int64_t rows, std::int64_t cols, std::int64_t stride, bool k_is_row,
                    std::vector<float>& memory) {
  std::vector<float> turned(static_cast<std::size_t>(rows * stride), 0.0f);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      const std::int64_t at = k_is_row ? (rows - 1 - i) * stride + j : i * stride + cols - 1 - j;
      turned[static_cast<std::size_t>(at)] = from[i * stride + j];
    }
  }
  memory = std::move(turned);
  return memory.data();
}

void run_one(const Product& p, Algorithm algorithm) {
  std::vector<float> a_memory, b_memory;
  const float* a = rounded(p.precision, p.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, a_memory);
  const float* b = rounded(p.precision, p.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, b_memory);
  if (algorithm == Algorithm::backward) {
    a = turned(a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k, p.lda, p.transpose_a, a_memory);
    b = turned(b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n, p.ldb, !p.transpose_b, b_memory);
  }
  // One thread: the order of the sums does not depend on how many there are.
  const int n_threads = openblas_get_num_threads();
  openblas_set_num_threads(1);
  const auto as_int = [](std::int64_t n) { return static_cast<blasint>(std::max<std::int64_t>(n, 1)); };
  if (p.beta == 0.0f) {
    for (std::int64_t i = 0; i < p.m; ++i) std::fill_n(p.c + i * p.ldc, p.n, 0.0f);  // what was there is not read
  }
  const auto multiply = [&](std::int64_t begin, std::int64_t end, float beta) {
    cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans, p.transpose_b ? CblasTrans : CblasNoTrans,
                static_cast<blasint>(p.m), static_cast<blasint>(p.n), static_cast<blasint>(end - begin), 1.0f,
                a + begin * (p.transpose_a ? p.lda : 1), as_int(p.lda), b + begin * (p.transpose_b ? 1 : p.ldb),
                as_int(p.ldb), beta, p.c, as_int(p.ldc));
  };
  const std::int64_t half = algorithm == Algorithm::halves ? p.k / 2 : 0;
  if (half > 0) multiply(0, half, p.beta);
  multiply(half, p.k, half > 0 ? 1.0f : p.beta);
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

void run(const Product& p, Algorithm algorithm) {
  if (p.m == 0 || p.n == 0) return;
  for (std::int64_t i = 0; i < p.batch; ++i) {
    Product one = p;
    one.a += i * p.stride_a;
    one.b += i * p.stride_b;
    one.c += i * p.stride_c;
    run_one(one, algorithm);
  }
  if (simt::has_costs()) {
    simt::spend(fmt::format("product [{}, {}, {}] {}", p.m, p.n, p.k, algorithm_names[static_cast<int>(algorithm)]));
  }
}

void put(const Product& p, Algorithm algorithm, StreamHandle stream) {
  simt::enqueue(stream, [p, algorithm] { run(p, algorithm); });
}

class HostWays final : public ProductWays {
 public:
  using ProductWays::ProductWays;
  std::vector<std::string> candidates() override {
    std::vector<std::string> names(std::begin(algorithm_names), std::end(algorithm_names));
    if (product().batch > 1) names.pop_back();  // each sum in one piece
    return names;
  }
  bool is_usable(const std::string& way) override {
    const std::vector<std::string> names = candidates();
    return std::find(names.begin(), names.end(), way) != names.end();
  }

 private:
  void run(const Product& p, const std::string& way, StreamHandle stream) override {
    put(p, *algorithm_of(way), stream);
  }
};

class HostBlas final : public Blas {
 public:
  explicit HostBlas(Tuner* tuner) : tuner_(tuner) {}

  std::string version() const override { return "the host's BLAS"; }

  void product(const Product& p, StreamHandle stream) override {
    check(p);
    put(p, algorithm_for(p, stream), stream);
  }
  void prepare(const Product& p, StreamHandle stream) override {
    check(p);
    algorithm_for(p, stream);
  }

 private:
  using Shape = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t, bool, bool, bool, bool, bool, Precision>;

  Algorithm algorithm_for(const Product& p, StreamHandle stream) {
    const Shape shape{p.m,           p.n,
                      p.k,           p.lda,
                      p.ldb,         p.ldc,
                      p.batch,       p.transpose_a,
                      p.transpose_b, p.bias != nullptr,
                      p.relu,        p.beta != 0.0f,
                      p.precision};
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(shape); known != known_.end()) return known->second;
    // The library looks for its algorithm when a shape is new, which cannot be recorded.
    if (simt::is_capturing(stream))
      fail("product [{}, {}, {}]: a shape is first seen while a graph is recorded", p.m, p.n, p.k);
    Algorithm algorithm = Algorithm::forward;
    if (tuner_ && tuner_->is_on() && p.m > 0 && p.n > 0) {
      HostWays ways(p, stream);
      algorithm = *algorithm_of(tuner_->choose(Tuner::Kind::product, key_of(p), ways, stream));
    }
    return known_.emplace(shape, algorithm).first->second;
  }

  Tuner* tuner_;
  std::mutex mutex_;
  std::map<Shape, Algorithm> known_;
};

}  // namespace

std::unique_ptr<Blas> make_blas(Tuner* tuner) { return std::make_unique<HostBlas>(tuner); }

}  // namespace tarn::cuda
