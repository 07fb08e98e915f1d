// Matrix products on the device, of float32 matrices. cuBLASLt does them (blas_lt.cpp); where kernels run on the CPU a BLAS takes its place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "handles.hpp"
#include "tarn/core/precision.hpp"

namespace tarn::cuda {

/// `C = epilogue(op(A) op(B) + beta C + bias)`, row-major, on the device. Op is the identity or transposition; leading dimensions are
/// distances between rows as stored. C overlaps neither A nor B.
struct Product {
  std::int64_t m = 0, n = 0, k = 0;  ///< C is `[m, n]`, the sum runs over `k`
  const float* a = nullptr;          ///< `[m, k]`, or `[k, m]` where `transpose_a`
  std::int64_t lda = 0;
  bool transpose_a = false;
  const float* b = nullptr;  ///< `[k, n]`, or `[n, k]` where `transpose_b`
  std::int64_t ldb = 0;
  bool transpose_b = false;
  float* c = nullptr;
  std::int64_t ldc = 0;
  float beta = 0.0f;                      ///< 0: C is only written
  const float* bias = nullptr;            ///< `[n]`, or null
  bool relu = false;                      ///< `max(0, .)` of the result
  Precision precision = Precision::fp32;  ///< what A and B are rounded to; sums are float32
  /// So many products of one shape at once, their operands these distances (in floats) apart; each sum then runs in one piece.
  std::int64_t batch = 1, stride_a = 0, stride_b = 0, stride_c = 0;
  bool is_bf16 = false;  ///< whether `a` and `b` hold bf16 numbers, for measurements of what the device can do
};

class Tuner;

class Blas {
 public:
  virtual ~Blas() = default;
  /// Name and version of the library: its algorithms are those of this version.
  virtual std::string version() const = 0;
  /// Asynchronous. The same bits for the same call on the same device. May be recorded into a graph once a call of the
  /// same shape was made before. Throws `Error`. Waits for the stream where a new shape's algorithm is measured.
  virtual void product(const Product& product, StreamHandle stream) = 0;
  /// Chooses how products like this one are done, as the first of them would, and multiplies nothing but trials.
  virtual void prepare(const Product& product, StreamHandle stream) = 0;
};

/// `tuner` chooses the algorithm of a new shape where it is on, and must outlive the products; else, or where there is none, the library's first is
/// taken. Throws `Error` where the library is not to be had.
std::unique_ptr<Blas> make_blas(Tuner* tuner = nullptr);

}  // namespace tarn::cuda
