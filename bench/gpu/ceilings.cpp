#include "ceilings.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <string>
#include <vector>

#include "measure.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::bench {
using namespace cuda;
namespace {

constexpr int repeats = 7;

// Normals cut to bf16, of four thousand in no order.
DeviceBuffer<std::uint16_t> random_bf16(std::int64_t n, const Context& context) {
  Matrix<float> m(1, 4096);
  fill_normals(1, Stream::evaluation, 0, 6, 1, m);
  std::vector<std::uint16_t> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(m.data()[i * 2654435761u >> 16 & 4095]) >> 16);
  DeviceBuffer<std::uint16_t> buffer(n);
  copy_async(buffer.data(), values.data(), n, context.stream.handle());
  context.stream.synchronize();
  return buffer;
}

}  // namespace

DeviceBuffer<float> device_normals(std::int64_t rows, std::int64_t cols, std::uint64_t which, float scale,
                                   const Context& context) {
  const std::int64_t made = std::min<std::int64_t>(rows, 512);
  Matrix<float> m(made, cols);
  fill_normals(1, Stream::evaluation, 0, which, 1, m);
  for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] *= scale;
  DeviceBuffer<float> buffer(rows * cols);
  for (std::int64_t i = 0; i < rows; i += made)
    copy_async(buffer.data() + i * cols, m.data(), std::min(made, rows - i) * cols, context.stream.handle());
  context.stream.synchronize();
  return buffer;
}

double product_seconds(cuda::Context& context, std::int64_t m, std::int64_t n, std::int64_t k, bool hidden,
                       Precision precision) {
  const DeviceBuffer<float> a = device_normals(m, k, 0, 1.0f, context), b = device_normals(n, k, 1, 1.0f, context),
                            bias = device_normals(1, n, 2, 1.0f, context);
  DeviceBuffer<float> c(m * n);
  Product p;
  p.m = m;
  p.n = n;
  p.k = k;
  p.a = a.data();
  p.lda = k;
  p.b = b.data();
  p.ldb = k;
  p.transpose_b = true;
  p.c = c.data();
  p.ldc = n;
  p.precision = precision;
  DeviceBuffer<std::uint16_t> a16, b16;  // bf16, as a product of nothing else would have it
  if (precision == Precision::bf16) {
    a16 = random_bf16(m * k, context);
    b16 = random_bf16(n * k, context);
    p.a = reinterpret_cast<const float*>(a16.data());
    p.b = reinterpret_cast<const float*>(b16.data());
    p.is_bf16 = true;
  }
  if (hidden) {
    p.bias = bias.data();
    p.relu = true;
  }
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const int calls = static_cast<int>(std::clamp(1e12 / flops, 1.0, 64.0));
  const double seconds =
      device_seconds(context, repeats, calls, [&] { context.blas->product(p, context.stream.handle()); });
  std::printf(
      "{\"bench\": \"gemm\", \"precision\": \"%s\", \"m\": %lld, \"n\": %lld, \"k\": %lld, \"ms\": %.4f, "
      "\"tflop_per_s\": %.2f}\n",
      std::string(name_of(precision)).c_str(), static_cast<long long>(m), static_cast<long long>(n),
      static_cast<long long>(k), 1e3 * seconds, 1e-12 * flops / seconds);
  return seconds;
}

double square_rate(cuda::Context& context, std::int64_t n, Precision precision) {
  return 2.0 * static_cast<double>(n * n * n) / product_seconds(context, n, n, n, false, precision);
}

double copy_rate(cuda::Context& context, std::int64_t n) {
  DeviceBuffer<float> from(n), to(n);
  zero_async(from.data(), n, context.stream.handle());
  const double seconds = device_seconds(context, repeats, 4,
                                        [&] { copy_async<float>(to.data(), from.data(), n, context.stream.handle()); });
  const double rate = 8.0 * static_cast<double>(n) / seconds;
  std::printf("{\"bench\": \"copy\", \"bytes\": %lld, \"ms\": %.4f, \"gb_per_s\": %.1f}\n",
              static_cast<long long>(4 * n), 1e3 * seconds, 1e-9 * rate);
  return rate;
}

}  // namespace tarn::bench
