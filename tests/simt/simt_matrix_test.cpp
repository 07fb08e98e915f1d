// Matrix instructions and copies into shared memory, against what the PTX manual says of them: which lane holds what, how operands are rounded,
// and when a copy is there.
#include <bit>
#include <cmath>
#include <numeric>

#include "machine_fixture.hpp"
#include "warpgroup.cuh"

namespace simt::test {
namespace {

using namespace tarn::cuda;
using tarn::Precision;
using testing::HasSubstr;

class Matrices : public Machine {};

// Lane l gets word l % 4 of row l / 4 of each matrix, whose rows lie where lanes 8 i to 8 i + 7 say.
__global__ void load_kernel(const unsigned* rows, unsigned* out) {
  TARN_SHARED(unsigned, shared, 128);
  for (unsigned i = threadIdx.x; i < 128; i += 32) shared[i] = rows[i];
  __syncthreads();
  unsigned r[4];
  load_matrices(r, shared + 4 * (31 - threadIdx.x));  // row of lane l: row 31 - l
  for (int i = 0; i < 4; ++i) out[4 * threadIdx.x + i] = r[i];
}
TEST_F(Matrices, LoadsGiveEachLaneAWordOfEachMatrix) {
  std::vector<unsigned> rows(128);
  std::iota(rows.begin(), rows.end(), 0u);
  unsigned* out = device<unsigned>(128);
  launch(load_kernel, config(1, 32), device(rows), out);
  const std::vector<unsigned> found = host(out, 128);
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(found[4 * lane + i], 4 * (31 - (8 * i + lane / 4)) + lane % 4);
  }
}

// A [16, K] and B [8, K] in memory, C = A B^T by one instruction.
template <Precision type>
__global__ void multiply_kernel(const float* A, const float* B, float* C) {
  constexpr unsigned K = type == Precision::bf16 ? 16 : 8, pair = K / 8;
  const unsigned lane = threadIdx.x, g = lane / 4, t = lane % 4;
  const auto word = [&](const float* m, unsigned row, unsigned w) {
    const float* at = m + row * K + pair * w;
    return type == Precision::bf16 ? bf16_pair(at[0], at[1]) : tf32_bits(at[0]);
  };
  const unsigned a[4] = {word(A, g, t), word(A, g + 8, t), word(A, g, t + 4), word(A, g + 8, t + 4)};
  float c[4] = {0.5f, 0.5f, 0.5f, 0.5f};
  multiply<type>(c, a, word(B, g, t), word(B, g, t + 4));
  for (unsigned i = 0; i < 4; ++i) C[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = c[i];
}
template <Precision type>
void expect_products(const std::vector<float>& A, const std::vector<float>& B, const std::vector<float>& C,
                     std::size_t columns, float first) {
  constexpr std::size_t K = type == Precision::bf16 ? 16 : 8;
  for (std::size_t i = 0; i < A.size() / K; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      float sum = first;
      for (std::size_t k = 0; k < K; ++k) sum += A[i * K + k] * B[j * K + k];
      ASSERT_EQ(C[i * columns + j], sum) << i << ", " << j;
    }
  }
}
std::vector<float> whole_numbers(std::size_t n, unsigned seed) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>((i * 2654435761u + seed) >> 7 & 15u) - 8.0f;
  return values;
}
TEST_F(Matrices, AWarpMultipliesItsFragments) {
  const auto run = [&]<Precision type>() {
    constexpr std::size_t K = type == Precision::bf16 ? 16 : 8;
    const std::vector<float> A = whole_numbers(16 * K, 1), B = whole_numbers(8 * K, 2);
    float* C = device<float>(128);
    launch(multiply_kernel<type>, config(1, 32), device(A), device(B), C);
    expect_products<type>(A, B, host(C, 128), 8, 0.5f);
  };
  run.operator()<Precision::bf16>();
  run.operator()<Precision::tf32>();
}

// A [64, K] and B [n, K] as 16-byte columns in shared memory, one k-step, and A once more from registers: C = 2 A B^T.
template <Precision type, int n>
__global__ void warpgroup_kernel(const float* A, const float* B, float* C) {
  constexpr unsigned K = type == Precision::bf16 ? 16 : 8, pair = K / 8;
  TARN_SHARED(unsigned, a_columns, 64 * 8);
  TARN_SHARED(unsigned, b_columns, n * 8);
  const auto word = [&](const float* m, unsigned row, unsigned w) {
    const float* at = m + row * K + pair * w;
    return type == Precision::bf16 ? bf16_pair(at[0], at[1]) : tf32_bits(at[0]);
  };
  const auto put = [&](const float* m, unsigned* to, unsigned rows) {
    for (unsigned i = threadIdx.x; i < rows * 8; i += 128) {
      const unsigned row = i / 8, w = i % 8;
      to[(w / 4 * rows + row) * 4 + w % 4] = word(m, row, w);
    }
  };
  put(A, a_columns, 64);
  put(B, b_columns, n);
  publish_to_multiplications();
  __syncthreads();
  const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, row = threadIdx.x / 32 * 16 + g;
  const SharedMatrix a = shared_matrix(a_columns, 64), b = shared_matrix(b_columns, n);
  const unsigned fragment[4] = {word(A, row, t), word(A, row + 8, t), word(A, row, t + 4), word(A, row + 8, t + 4)};
  float c[n / 2] = {};
  begin_multiplying();
  Warpgroup<type, n>::shared(c, part(a, 64, 0, 0), part(b, n, 0, 0));
  Warpgroup<type, n>::registers(c, fragment, b);
  end_group();
  wait_for_groups<0>();
  for (unsigned j = 0; j < n / 8; ++j) {
    for (unsigned i = 0; i < 4; ++i) C[(row + 8 * (i / 2)) * n + 8 * j + 2 * t + i % 2] = 0.5f * c[4 * j + i];
  }
}
TEST_F(Matrices, FourWarpsMultiplyWhatLiesInSharedMemory) {
  const auto run = [&]<Precision type, int n>() {
    constexpr std::size_t K = type == Precision::bf16 ? 16 : 8;
    const std::vector<float> A = whole_numbers(64 * K, 3), B = whole_numbers(n * K, 4);
    float* C = device<float>(64 * n);
    launch(warpgroup_kernel<type, n>, config(1, 128), device(A), device(B), C);
    expect_products<type>(A, B, host(C, 64 * n), n, 0.0f);
  };
  run.operator()<Precision::bf16, 32>();
  run.operator()<Precision::bf16, 80>();
  run.operator()<Precision::tf32, 32>();
}

TEST_F(Matrices, OperandsAreRoundedAsTheMachineDoes) {
  const auto bf16 = [](float a) { return std::bit_cast<float>(bf16_pair(0.0f, a) & 0xffff0000u); };
  EXPECT_EQ(bf16(1.0f + 0x1p-8f), 1.0f);  // ties to even
  EXPECT_EQ(bf16(1.0f + 0x1.8p-7f), 1.0f + 0x1p-6f);
  EXPECT_EQ(bf16(1.0f + 0x1.01p-8f), 1.0f + 0x1p-7f);
  EXPECT_EQ(bf16(3.4e38f), INFINITY);
  EXPECT_TRUE(std::isnan(bf16(NAN)));
  const auto tf32 = [](float a) { return std::bit_cast<float>(tf32_bits(a)); };
  EXPECT_EQ(tf32(1.0f + 0x1p-11f), 1.0f + 0x1p-10f);  // ties away from 0
  EXPECT_EQ(tf32(-1.0f - 0x1p-11f), -1.0f - 0x1p-10f);
  EXPECT_EQ(tf32(1.0f + 0x1.fp-12f), 1.0f);
  EXPECT_TRUE(std::isnan(tf32(NAN)));
  EXPECT_EQ(bf16_pair_of_positive_parts(-1.0f, 2.0f), bf16_pair(0.0f, 2.0f));
}

// `waits` false: the mistake that tests must notice.
template <bool waits>
__global__ void copy_kernel(const float* from, float* out) {
  TARN_SHARED(float, tile, 64);
  TARN_SHARED(TileBarrier, barrier, 1);
  if (threadIdx.x == 0) begin_barrier(barrier);
  __syncthreads();
  for (unsigned round = 0; round < 3; ++round) {
    if (threadIdx.x < 32) copy_tile(barrier, tile, from + 64 * round, 256);
    if (waits) wait_for_tile(barrier, round);
    out[64 * round + threadIdx.x] = tile[threadIdx.x];
    __syncthreads();
  }
}
TEST_F(Matrices, ACopyIsThereOnceItWasWaitedFor) {
  std::vector<float> from(192);
  std::iota(from.begin(), from.end(), 1.0f);
  for (const std::uint64_t order : {0, 1, 2, 3}) {
    set_order(order);
    float* out = device<float>(192);
    launch(copy_kernel<true>, config(1, 64), device(from), out);
    EXPECT_EQ(host(out, 192), from);
  }
  set_order(0);
  float* out = device<float>(192);
  launch(copy_kernel<false>, config(1, 64), device(from), out);
  EXPECT_TRUE(std::isnan(host(out, 192)[5]));
}

__global__ void forgotten_copy_kernel() {
  TARN_SHARED(TileBarrier, barrier, 1);
  if (threadIdx.x == 0) begin_barrier(barrier);
  __syncthreads();
  wait_for_tile(barrier, 0);
}
TEST_F(Matrices, WaitingForACopyThatNobodyMakesIsFoundOut) {
  for (const unsigned n_threads : {1u, 40u}) {
    launch(forgotten_copy_kernel, config(1, n_threads));
    EXPECT_THAT(fault_of([&] { synchronize(); }), HasSubstr("for what nobody does"));
    abandon_work();
  }
}

}  // namespace
}  // namespace simt::test
