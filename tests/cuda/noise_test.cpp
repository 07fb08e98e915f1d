// Noise made on the device is the CPU's, bit by bit, and nothing is written beside it.
#include "noise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/memory.hpp"
#include "cuda/streams.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

struct Place {
  std::uint64_t seed, first_chain, first_step;
  Stream stream;
};
constexpr Place places[] = {
    {7, 0, 0, Stream::dynamics},
    {0xfedcba9876543210u, max_chains - 400, 5, Stream::training_noise},  // the last chains of a stream
    {1, 0xfffffff0u, 0x3fffffff3u, Stream::interneurons},                // lower halves of both counters overflow
};

template <class T>
void expect_same(const Place& at, std::int64_t n_steps, std::int64_t n_chains, std::int64_t D, T guard) {
  SCOPED_TRACE(::testing::Message() << "seed " << at.seed << " steps " << n_steps << " chains " << n_chains << " D "
                                    << D);
  constexpr bool normals = std::is_same_v<T, float>;
  Matrix<T> expected(n_steps * n_chains, D);
  if constexpr (normals)
    fill_normals(at.seed, at.stream, at.first_chain, at.first_step, n_steps, expected);
  else
    fill_words(at.seed, at.stream, at.first_chain, at.first_step, n_steps, expected);

  constexpr std::int64_t zone = 8;
  std::vector<T> found(static_cast<std::size_t>(expected.size() + 2 * zone), guard);
  const cuda::CudaStream stream;
  cuda::DeviceBuffer<T> out(static_cast<std::int64_t>(found.size()));
  cuda::copy_async(out.data(), found.data(), out.size(), stream.handle());
  const auto launch = [&] {
    if constexpr (normals)
      return cuda::launch_fill_normals;
    else
      return cuda::launch_fill_words;
  }();
  launch(at.seed, at.stream, at.first_chain, at.first_step, n_steps, n_chains, D, out.data() + zone, stream.handle());
  cuda::copy_async(found.data(), out.data(), out.size(), stream.handle());
  stream.synchronize();
  const auto bits = [](T value) { return std::bit_cast<std::uint32_t>(value); };
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(bits(found[static_cast<std::size_t>(zone + i)]), bits(expected.data()[i]))
        << "step " << i / D / n_chains << " chain " << i / D % n_chains << " component " << i % D;
  }
  for (std::int64_t i = 0; i < zone; ++i) {
    ASSERT_EQ(found[static_cast<std::size_t>(i)], guard) << "written before the first value";
    ASSERT_EQ(found[found.size() - 1 - static_cast<std::size_t>(i)], guard) << "written behind the last value";
  }
}

TEST(NoiseOnDevice, IsTheCpusBitByBit) {
  TARN_NEEDS_DEVICE();
  for (const Place& at : places) {
    for (const std::int64_t D : {1, 2, 3, 4, 5, 31, 33, 257}) {
      for (const std::int64_t n_chains : {1, 31, 257}) {
        for (const std::int64_t n_steps : {1, 2, 7}) {
          if (D * n_chains > 10000 && n_steps == 7) continue;
          expect_same<float>(at, n_steps, n_chains, D, 7.0f);
          expect_same<std::uint32_t>(at, n_steps, n_chains, D, 7u);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(NoiseOnDevice, OfNothingIsNothing) {
  TARN_NEEDS_DEVICE();
  const cuda::CudaStream stream;
  cuda::launch_fill_normals(1, Stream::dynamics, 0, 0, 0, 5, 3, nullptr, stream.handle());
  cuda::launch_fill_normals(1, Stream::dynamics, 0, 0, 5, 0, 3, nullptr, stream.handle());
  stream.synchronize();
}

}  // namespace
}  // namespace tarn
