#include "product_trial.hpp"

#include <cstdint>

#include "tarn/core/error.hpp"

namespace tarn::cuda {

int alignment(const void* pointer) {
  int bytes = 4;
  while (bytes < 16 && reinterpret_cast<std::uintptr_t>(pointer) % (2 * static_cast<unsigned>(bytes)) == 0) bytes *= 2;
  return bytes;
}

std::string key_of(const Product& p) {
  std::string key =
      fmt::format("product {}{} [{}, {}, {}] {}{} strides {} {} {}", name_of(p.precision), p.is_bf16 ? " of bf16" : "",
                  p.m, p.n, p.k, p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.lda, p.ldb, p.ldc);
  if (p.batch > 1) key += fmt::format(", {} at {} {} {}", p.batch, p.stride_a, p.stride_b, p.stride_c);
  key += fmt::format(", aligned {} {} {}", alignment(p.a), alignment(p.b), alignment(p.c));
  if (p.beta != 0.0f) key += ", added";
  if (p.bias) key += ", bias";
  if (p.relu) key += ", relu";
  return key;
}

void ProductWays::reserve() {
  const Product& p = product_;
  // C is as badly aligned as the one that it stands for: an algorithm must not look faster than it will be.
  const std::int64_t shift = alignment(p.c) < 16 ? alignment(p.c) / std::int64_t{sizeof(float)} : 0;
  const std::int64_t size = (p.batch - 1) * p.stride_c + (p.m - 1) * p.ldc + p.n + shift;
  c_ = DeviceBuffer<float>(size);
  zero_async(c_.data(), size, stream_);
  trial_ = p;
  trial_.c = c_.data() + shift;
}

}  // namespace tarn::cuda
