// What the backend says where the device's memory is short. Built for the emulator alone: the memory of a real device cannot be limited.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cuda/device.hpp"
#include "message_of.hpp"
#include "sampling/networks.hpp"
#include "simt.hpp"

namespace tarn {
namespace {

using test::message_of;

TEST(CudaMemory, TrainingThatDoesNotFitIsRefusedInOneLine) {
  const auto cuda = test::cuda_backend();
  std::int64_t n = 1 << 20;
  DsmParameters p;
  p.n_outputs = 1;
  p.W_in = Matrix<float>(n, 1);
  p.b = Matrix<float>(1, n);
  p.V = Matrix<float>(1, n);
  simt::set_memory_limit(std::size_t{40} << 20);
  EXPECT_THAT(message_of([&] { cuda->make_dsm_session(p, {}); }), testing::HasSubstr("training needs"));
  const test::Prepared network(*cuda, test::some_network(Nonlinearity::relu, 2, 0, 5));
  EXPECT_THAT(message_of([&] { cuda->chain_memory(network.network->view(), 10, false); }),
              testing::HasSubstr("are free"));
  std::vector<std::int64_t> bad(1 << 22, -1);
  Matrix<float> x(1 << 22, 2);
  LangevinSteps steps;
  steps.dt = 0.1f;
  steps.n_steps = 1;
  EXPECT_THAT(message_of([&] {
                cuda->advance(*network.network, steps, {x, {}, {}, bad.data()});
              }),
              testing::HasSubstr("out of memory"));
  simt::set_memory_limit(0);
}

}  // namespace
}  // namespace tarn
