// Threads, barriers, collectives, shared memory: right kernels run as on the machine, broken ones are found out.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "machine_fixture.hpp"

namespace simt::test {
namespace {

using tarn::cuda::launch;
using tarn::cuda::LaunchConfig;
using testing::HasSubstr;

constexpr unsigned n_sum = 256;

// The sum of a block's values, by halves. `with_barrier` false: the mistake that tests must notice.
template <bool with_barrier>
__global__ void sum_kernel(const float* __restrict__ x, float* __restrict__ out) {
  TARN_SHARED(float, sums, n_sum);
  const unsigned t = threadIdx.x;
  sums[t] = x[blockIdx.x * n_sum + t];
  __syncthreads();
  for (unsigned half = n_sum / 2; half > 0; half /= 2) {
    if (t < half) sums[t] += sums[t + half];
    if (with_barrier) __syncthreads();
  }
  if (t == 0) out[blockIdx.x] = sums[0];
}

class Kernels : public Machine {
 protected:
  std::vector<float> sums(bool with_barrier, std::uint64_t order) {
    set_order(order);
    std::vector<float> x(4 * n_sum);
    std::iota(x.begin(), x.end(), 1.0f);
    float* out = device<float>(4);
    launch(with_barrier ? sum_kernel<true> : sum_kernel<false>, config(4, n_sum), device(x), out);
    return host(out, 4);
  }
};

TEST_F(Kernels, AMissingBarrierShowsAsResultsThatDependOnTheOrder) {
  const std::vector<float> expected = sums(true, 0);
  EXPECT_EQ(expected, (std::vector<float>{32896, 98432, 163968, 229504}));
  std::set<std::vector<float>> right, broken;
  for (std::uint64_t order = 0; order < 6; ++order) {
    right.insert(sums(true, order));
    broken.insert(sums(false, order));
  }
  EXPECT_EQ(right.size(), 1u);
  EXPECT_GT(broken.size(), 3u);
}

__global__ void order_kernel(unsigned* order, unsigned* next) {
  order[atomicAdd(next, 1u)] = blockIdx.x * blockDim.x + threadIdx.x;
}
TEST_F(Kernels, ThreadsAndBlocksRunInOrderOrShuffledBySeed) {
  const auto run = [&](std::uint64_t seed) {
    set_order(seed);
    unsigned *order = device<unsigned>(96), *next = device<unsigned>(1);
    cudaMemsetAsync(next, 0, 4, stream_);
    launch(order_kernel, config(3, 32), order, next);
    return host(order, 96);
  };
  std::vector<unsigned> natural(96);
  std::iota(natural.begin(), natural.end(), 0u);
  EXPECT_EQ(run(0), natural);
  std::vector<unsigned> one = run(1), two = run(2);
  EXPECT_NE(one, natural);
  EXPECT_NE(one, two);
  EXPECT_EQ(run(1), one);
  std::sort(one.begin(), one.end());
  EXPECT_EQ(one, natural);
}

__global__ void index_kernel(uint3* threads, dim3* sizes, int n) {
  const int i = static_cast<int>((threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x);
  if (i < n) threads[i] = threadIdx;
  __syncthreads();
  if (i == 0) sizes[blockIdx.y] = dim3(gridDim.x, gridDim.y, blockIdx.y);
}
TEST_F(Kernels, BuiltInVariablesOfThreeDimensions) {
  uint3* threads = device<uint3>(24);
  dim3* sizes = device<dim3>(2);
  launch(index_kernel, LaunchConfig{dim3(1, 2), dim3(4, 3, 2), 0, stream_}, threads, sizes, 24);
  const auto found = host(threads, 24);
  for (unsigned i = 0; i < 24; ++i) {
    EXPECT_EQ(found[i].x, i % 4);
    EXPECT_EQ(found[i].y, i / 4 % 3);
    EXPECT_EQ(found[i].z, i / 12);
  }
  EXPECT_EQ(host(sizes, 2)[1].z, 1u);
}

__global__ void warp_kernel(int* out) {
  const unsigned all = 0xffffffffu;
  const int lane = static_cast<int>(threadIdx.x % 32), value = static_cast<int>(threadIdx.x) * 10;
  int* mine = out + threadIdx.x * 10;
  mine[0] = __shfl_sync(all, value, 3);
  mine[1] = __shfl_xor_sync(all, value, 5);
  mine[2] = __shfl_down_sync(all, value, 30);
  mine[3] = __shfl_up_sync(all, value, 1);
  mine[4] = static_cast<int>(__ballot_sync(all, lane % 3 == 0));
  mine[5] = __any_sync(all, threadIdx.x == 40);
  mine[6] = __all_sync(all, threadIdx.x < 32);
  mine[7] = __shfl_sync(all, value, 1, 8);
  const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;  // two meetings at a time
  mine[8] = __shfl_xor_sync(half, value, 1);
  double sum = value;
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(all, sum, step);
  __syncwarp();
  mine[9] = static_cast<int>(sum);
}
TEST_F(Kernels, ShufflesAndVotes) {
  for (const std::uint64_t order : {0, 5, 6}) {
    set_order(order);
    int* out = device<int>(640);
    launch(warp_kernel, config(1, 64), out);
    const auto found = host(out, 640);
    unsigned thirds = 0;
    for (unsigned lane = 0; lane < 32; lane += 3) thirds |= 1u << lane;
    for (int t = 0; t < 64; ++t) {
      const int first = t / 32 * 32, lane = t % 32;
      const int* mine = found.data() + t * 10;
      EXPECT_EQ(mine[0], (first + 3) * 10);
      EXPECT_EQ(mine[1], (first + (lane ^ 5)) * 10);
      EXPECT_EQ(mine[2], (lane + 30 < 32 ? t + 30 : t) * 10);
      EXPECT_EQ(mine[3], (lane > 0 ? t - 1 : t) * 10);
      EXPECT_EQ(static_cast<unsigned>(mine[4]), thirds);
      EXPECT_EQ(mine[5], first == 32);
      EXPECT_EQ(mine[6], first == 0);
      EXPECT_EQ(mine[7], (t / 8 * 8 + 1) * 10);
      EXPECT_EQ(mine[8], (t ^ 1) * 10);
      EXPECT_EQ(mine[9], 10 * (32 * first + 496));
    }
  }
}

__global__ void count_kernel(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  const int count = __syncthreads_count(t % 3 == 0), either = __syncthreads_or(t == 7), all = __syncthreads_and(t < 50);
  if (t == 49) out[0] = count, out[1] = either, out[2] = all;
}
TEST_F(Kernels, BarriersThatCount) {
  int* out = device<int>(3);
  launch(count_kernel, config(1, 50), out);
  EXPECT_EQ(host(out, 3), (std::vector<int>{17, 1, 1}));
}

__global__ void leaving_kernel(int n, float* out) {
  if (static_cast<int>(threadIdx.x) >= n) return;  // the guard that a kernel with barriers must not have
  __syncthreads();
  out[threadIdx.x] = 1.0f;
}
TEST_F(Kernels, LeavingBeforeABarrierIsAFault) {
  float* out = device<float>(32);
  launch(leaving_kernel, config(2, 32), 32, out);
  EXPECT_EQ(fault_of([&] { synchronize(); }), "no fault");
  launch(leaving_kernel, config(2, 32), 31, out);
  const std::string fault = fault_of([&] { synchronize(); });
  EXPECT_THAT(fault, HasSubstr("leaving_kernel"));
  EXPECT_THAT(
      fault,
      HasSubstr("block (0, 0, 0): thread (31, 0, 0) has left the kernel while thread (0, 0, 0) waits at the barrier"));
  EXPECT_THAT(fault, HasSubstr("simt_kernel_test.cpp:"));
  EXPECT_EQ(sums(true, 0)[0], 32896.0f);  // the machine works on
}

__global__ void two_barriers_kernel() {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
TEST_F(Kernels, DifferentBarriersAreAFault) {
  launch(two_barriers_kernel, config(1, 32));
  EXPECT_THAT(fault_of([&] { synchronize(); }), HasSubstr("threads wait at different barriers"));
}

__global__ void lanes_kernel(int mistake, int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  if (mistake == 1 && lane == 5) return;
  if (mistake == 2 && lane == 5) __syncthreads();
  const unsigned mask = mistake == 3 && lane == 5 ? 0xffu : mistake == 4 ? 0xffffffdfu : 0xffffffffu;
  out[lane] = __shfl_xor_sync(mask, lane, 1);
  if (mistake == 2 && lane != 5) __syncthreads();
}
TEST_F(Kernels, MissingLanesAreAFault) {
  int* out = device<int>(32);
  const auto fault = [&](int mistake, unsigned block = 32) {
    return fault_of([&] {
      launch(lanes_kernel, config(1, block), mistake, out);
      synchronize();
    });
  };
  EXPECT_EQ(fault(0), "no fault");
  EXPECT_THAT(fault(1), HasSubstr("waits in __shfl_xor_sync in lanes_kernel"));
  EXPECT_THAT(fault(1), HasSubstr("for lane 5, which has left the kernel"));
  EXPECT_THAT(fault(2), HasSubstr("for lane 5, which waits at the barrier"));
  EXPECT_THAT(fault(3), HasSubstr("for lane 5, which is there with another mask, 0x000000ff, not 0xffffffff"));
  EXPECT_THAT(fault(4), HasSubstr("thread (5, 0, 0) calls __shfl_xor_sync"));
  EXPECT_THAT(fault(4), HasSubstr("with a mask without itself"));
  EXPECT_THAT(fault(0, 20), HasSubstr("a mask that names lanes beyond the block"));
}

// Whoever forgets the bounds check writes behind the array.
__global__ void scale_kernel(float* x, int n, bool checks) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (!checks || i < n) x[i] = 2.0f;
}
TEST_F(Kernels, AMissingBoundsCheckHitsTheGuards) {
  for (const int n : {1, 31, 33, 257}) {
    float* x = device<float>(static_cast<std::size_t>(n));
    launch(scale_kernel, config(2, 256), x, n, true);
    EXPECT_EQ(host(x, static_cast<std::size_t>(n)).back(), 2.0f);
    EXPECT_CAUGHT((launch(scale_kernel, config(2, 256), x, n, false), synchronize()),
                  "device memory of " + std::to_string(4 * n) + " bytes was written at byte " + std::to_string(4 * n) +
                      ", beyond its end");
  }
  float* x = device<float>(8);
  EXPECT_THAT(fault_of([&] { launch(scale_kernel, config(1, 2), x - 2, 0, false); }),
              HasSubstr("argument 1 points to no memory of the device"));
}

__global__ void shared_kernel(int first, int second, float* out) {
  TARN_SHARED(float, tile, 33);
  TARN_SHARED(double, other, 8);
  TARN_DYNAMIC_SHARED(float, rest);
  if (threadIdx.x == 0) {
    float* a = tile;  // an index that the compiler cannot check
    a[first] = 1.0f;
    rest[second] = 3.0f;
    out[0] = tile[1];
    out[1] = static_cast<float>(other[7]);
    out[2] = rest[1];
  }
  __syncthreads();
  if (threadIdx.x == 1) out[3] = tile[0];
}
TEST_F(Kernels, SharedMemoryIsNanAtFirstAndGuarded) {
  float* out = device<float>(4);
  launch(shared_kernel, config(2, 32, 40), 0, 0, out);
  const auto found = host(out, 4);
  EXPECT_TRUE(std::isnan(found[0]) && std::isnan(found[1]) && std::isnan(found[2]));
  EXPECT_EQ(found[3], 1.0f);
  EXPECT_CAUGHT((launch(shared_kernel, config(1, 32, 40), 33, 0, out), synchronize()),
                "shared array tile in shared_kernel was overrun");
  EXPECT_CAUGHT((launch(shared_kernel, config(1, 32, 40), 0, 10, out), synchronize()),
                "dynamic shared memory was overrun: byte 40 of 40");
  EXPECT_CAUGHT((launch(shared_kernel, config(1, 32, 40), 0, -1, out), synchronize()),
                "memory before dynamic shared memory");
}

__global__ void greedy_kernel(float* out) {
  TARN_SHARED(float, tile, 48 * 256);
  tile[threadIdx.x] = 1.0f;
  TARN_SHARED(float, more, 1);
  more[0] = 2.0f;
  out[0] = tile[0] + more[0];
}
TEST_F(Kernels, LimitsOfALaunch) {
  float* out = device<float>(4);
  const auto refused = [&](LaunchConfig c) { return fault_of([&] { launch(shared_kernel, c, 0, 0, out); }); };
  EXPECT_THAT(refused(config(0, 32)), HasSubstr("a grid of 0 x 1 x 1 blocks"));
  EXPECT_THAT(refused(config(1, 1025)), HasSubstr("blocks of 1025 x 1 x 1 threads"));
  EXPECT_THAT(refused(config(1, 0)), HasSubstr("blocks of 0"));
  EXPECT_THAT(refused(config(1, 32, 227 * 1024 + 4)), HasSubstr("dynamic shared memory; at most 232448"));
  EXPECT_EQ(refused(config(1, 32, 220 * 1024)), "no fault");
  synchronize();
  float on_the_host = 0.0f;
  EXPECT_THAT(fault_of([&] { launch(scale_kernel, config(1, 1), &on_the_host, 1, true); }),
              HasSubstr("argument 1 points to no memory"));
  launch(greedy_kernel, config(1, 32), out);
  EXPECT_THAT(fault_of([&] { synchronize(); }), HasSubstr("array more in greedy_kernel: 49156 bytes of static"));
  // up to 48 KiB of dynamic memory no more is asked for, and static arrays take their part of it
  launch(shared_kernel, config(1, 32, 48 * 1024), 0, 0, out);
  EXPECT_THAT(fault_of([&] { synchronize(); }), HasSubstr("at most 49152 and 49152 together"));
}

__global__ void atomic_kernel(int* counts, float* sum, unsigned long long* most) {
  atomicAdd(counts + threadIdx.x % 4, 1);
  atomicAdd(sum, 0.5f);
  atomicMax(most, static_cast<unsigned long long>(threadIdx.x) << 33);
}
TEST_F(Kernels, Atomics) {
  int* counts = device(std::vector<int>(4));
  float* sum = device(std::vector<float>{1.0f});
  auto* most = device(std::vector<unsigned long long>{3});
  launch(atomic_kernel, config(2, 64), counts, sum, most);
  EXPECT_EQ(host(counts, 4), (std::vector<int>(4, 32)));
  EXPECT_EQ(host(sum, 1)[0], 65.0f);
  EXPECT_EQ(host(most, 1)[0], 63ull << 33);
}

__global__ void philox_kernel(std::uint32_t* out) {
  std::uint32_t c[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
  tarn::cuda::philox_block(c, 0x299f31d0a4093822);
  for (int i = 0; i < 4; ++i) out[i] = c[i];
}
TEST_F(Kernels, PhiloxGivesTheWordsOfThePaper) {
  auto* out = device<std::uint32_t>(4);
  launch(philox_kernel, config(1, 1), out);
  EXPECT_EQ(host(out, 4), (std::vector<std::uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// Every block adds its number to what all blocks brought in the round before. mistake 1: nobody waits; 2: a block leaves early.
__global__ void round_kernel(int mistake, int rounds, unsigned* arrived, float* values, float* out) {
  TARN_SHARED(float, mine, 1);
  if (threadIdx.x == 0) mine[0] = static_cast<float>(blockIdx.x + 1);
  __syncthreads();
  for (int round = 0; round < rounds; ++round) {
    if (mistake == 2 && round == 1 && blockIdx.x == 1) return;
    float* const now = values + round % 2 * gridDim.x;
    if (threadIdx.x == 0) now[blockIdx.x] = mine[0];
    tarn::cuda::grid_arrive(arrived);
    if (mistake != 1) tarn::cuda::grid_wait(arrived, static_cast<unsigned>(round + 1) * gridDim.x);
    float sum = 0.0f;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += tarn::cuda::load_from_grid(now + b);
    __syncthreads();
    if (threadIdx.x == 0) mine[0] = sum + static_cast<float>(blockIdx.x + 1);
    __syncthreads();
  }
  if (threadIdx.x == 0) out[blockIdx.x] = mine[0];
}
TEST_F(Kernels, BlocksOfACooperativeLaunchWaitForOneAnother) {
  const auto run = [&](int mistake, std::uint64_t order, unsigned blocks = 3, bool cooperative = true) {
    set_order(order);
    unsigned* arrived = device(std::vector<unsigned>{0});
    float *values = device<float>(2 * blocks), *out = device<float>(blocks);
    LaunchConfig c = config(blocks, 64);
    c.cooperative = cooperative;
    launch(round_kernel, c, mistake, 3, arrived, values, out);
    return host(out, blocks);
  };
  // 1 2 3, sum 6; 7 8 9, sum 24; 25 26 27, sum 78
  for (std::uint64_t order = 0; order < 4; ++order) EXPECT_EQ(run(0, order), (std::vector<float>{79, 80, 81}));
  const auto hurried = run(1, 0);
  EXPECT_TRUE(std::isnan(hurried[0])) << "read before others wrote";
  EXPECT_THAT(fault_of([&] { run(2, 0); }), HasSubstr("waits for other blocks, which wait too or have ended"));
  EXPECT_THAT(fault_of([&] { run(0, 0, 3, false); }), HasSubstr("needs a cooperative launch"));
  EXPECT_THAT(fault_of([&] { run(0, 0, 5); }), HasSubstr("a cooperative launch of 5 blocks; at most 4 run at a time"));
  EXPECT_EQ(run(0, 0), (std::vector<float>{79, 80, 81})) << "after faults";
}

TEST_F(Kernels, ManyLargeBlocks) {
  const std::int64_t before = kernels_run();
  float* x = device<float>(1 << 20);
  launch(scale_kernel, config(1024, 1024), x, 1 << 20, true);
  for (const float v : host(x, 1 << 20)) ASSERT_EQ(v, 2.0f);
  EXPECT_EQ(kernels_run(), before + 1);
}

}  // namespace
}  // namespace simt::test
