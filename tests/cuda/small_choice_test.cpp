// Which fused kernel runs for how many chains: on an H200 with 132 multiprocessors, where all of them were measured, one within 5 % of the
// fastest (bench/results/2026-11-26-h200.json).
#include <gtest/gtest.h>

#include "compute/large_reference.hpp"
#include "cuda/device.hpp"
#include "small_chains.hpp"

namespace tarn {
namespace {

struct Choice {
  Nonlinearity phi;
  std::int64_t D, U, N, n;
  cuda::SmallVariant expected;  // lanes, chains a thread, threads a block
};

TEST(SmallChoice, IsAmongTheFastestMeasured) {
  TARN_NEEDS_DEVICE();  // keeps the weights
  using enum Nonlinearity;
  const Choice choices[] = {
      {relu, 1, 0, 1000, 1000, {32, 1, 256}},
      {relu, 1, 0, 1000, 5000, {8, 4, 128}},
      {relu, 1, 0, 1000, 20000, {8, 4, 128}},
      {relu, 1, 0, 1000, 50000, {8, 4, 256}},
      {relu, 1, 0, 1000, 270336, {1, 4, 512}},
      {relu, 1, 0, 1000, 1081344, {1, 8, 512}},
      {relu, 2, 0, 1000, 1000, {32, 1, 256}},
      {relu, 2, 0, 1000, 5000, {8, 4, 128}},
      {relu, 2, 0, 1000, 20000, {8, 4, 128}},
      {relu, 2, 0, 1000, 50000, {8, 4, 256}},
      {relu, 2, 0, 1000, 270336, {1, 4, 512}},
      {relu, 2, 0, 1000, 1081344, {1, 4, 512}},
      {relu, 3, 0, 1000, 1000, {32, 1, 256}},
      {relu, 5, 0, 1000, 1000, {32, 1, 256}},
      {relu, 5, 0, 1000, 50000, {1, 2, 256}},
      {relu, 5, 0, 1000, 270336, {1, 2, 256}},
      // 8 outputs were measured, by the kernels that 12 to 16 have
      {relu, 12, 0, 1000, 1000, {32, 1, 256}},
      {relu, 12, 0, 1000, 50000, {1, 1, 256}},
      {relu, 12, 0, 1000, 270336, {1, 1, 256}},
      {relu, 16, 0, 1000, 1000, {32, 1, 256}},
      {relu, 16, 0, 1000, 50000, {1, 1, 256}},
      {relu, 16, 0, 1000, 270336, {1, 1, 256}},
      {relu, 16, 16, 1000, 270336, {1, 1, 256}},
      {relu, 16, 0, 20000, 50000, {1, 2, 256}},
      {tanh, 1, 0, 1000, 270336, {1, 4, 512}},
      {softplus, 1, 0, 1000, 270336, {1, 4, 512}},
      {sigmoid, 1, 0, 1000, 270336, {1, 4, 512}},
      // These with other blocks than were measured: the same lanes and chains are the fastest with 256.
      {leaky_relu, 1, 0, 1000, 270336, {1, 4, 512}},
      {relu, 3, 0, 1000, 50000, {8, 2, 512}},
      {relu, 3, 0, 1000, 270336, {1, 2, 512}},
      {relu, 2, 2, 1000, 270336, {1, 2, 512}},
  };
  cuda::DeviceInfo h200;
  h200.n_multiprocessors = 132;
  h200.shared_bytes_a_block = 227 * 1024;
  const cuda::CudaStream stream;
  for (const Choice& c : choices) {
    const test::LargeCase net(c.phi, c.D, c.U, c.N);
    const cuda::SmallDeviceNetwork network(net.view(), stream.handle());
    const cuda::SmallVariant found = cuda::choose_small_variant(network, c.n, h200);
    EXPECT_EQ(found, c.expected) << name_of(c.phi) << " D " << c.D << " U " << c.U << " N " << c.N << ", " << c.n
                                 << " chains: " << found.lanes << " lanes, " << found.chains
                                 << " chains a thread, blocks of " << found.block;
  }
}

TEST(SmallChoice, ExistsForEveryNumberOfChains) {
  TARN_NEEDS_DEVICE();
  const test::LargeCase net(Nonlinearity::softplus, 4, 3, 50);
  const cuda::CudaStream stream;
  const cuda::SmallDeviceNetwork network(net.view(), stream.handle());
  cuda::DeviceInfo small;
  small.n_multiprocessors = 1;
  small.shared_bytes_a_block = 256;
  for (std::int64_t n = 1; n <= std::int64_t{1} << 40; n *= 4)
    EXPECT_GT(cuda::choose_small_variant(network, n, small).block, 0) << n;
}

}  // namespace
}  // namespace tarn
