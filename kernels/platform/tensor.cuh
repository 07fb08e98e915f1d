// Matrix instructions of a warp, operands in shared memory, and copies into shared memory that somebody waits for later: one function an
// instruction. This file is the GPU's; tests/simt/platform/tensor.cuh computes the same on the CPU, fragment by fragment.
//
// Fragments, as the instructions have them. Lane = 4 g + t. An accumulator of 16 rows by 8 columns: c[0..1] are row g, columns 2t and 2t + 1,
// c[2..3] row g + 8. An A operand of one k-step (16 bf16 or 8 tf32 columns, 32 bytes): a[0] row g, a[1] row g + 8, both at the k of
// 4-byte word t; a[2], a[3] the same rows at word t + 4. A B operand: b0 column g at word t, b1 at word t + 4.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "tarn/core/precision.hpp"

namespace tarn::cuda {

__device__ __forceinline__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

/// Two numbers rounded to bf16, nearest even; `low` in the lower half.
__device__ __forceinline__ unsigned bf16_pair(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
/// The same of `max(0, .)`; NaN stays NaN.
__device__ __forceinline__ unsigned bf16_pair_of_positive_parts(float low, float high) {
  unsigned pair;
  asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
/// Rounded to tf32 (10 bits behind the point), nearest, ties away from 0, as float32 bits.
__device__ __forceinline__ unsigned tf32_bits(float a) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(a));
  return bits;
}

// What the special function unit offers: good enough for operands that are rounded anyway.
/// Within 2^-10.9 of tanh(a), relative.
__device__ __forceinline__ float quick_tanh(float a) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(a));
  return y;
}
/// 2^a within 2^-22, relative.
__device__ __forceinline__ float quick_exp2(float a) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(a));
  return y;
}
/// log2(a) within 2^-21, relative, or absolute near 1.
__device__ __forceinline__ float quick_log2(float a) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(a));
  return y;
}
/// 1 / a within 2^-23, relative.
__device__ __forceinline__ float quick_reciprocal(float a) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(a));
  return y;
}

/// `ldmatrix`: four matrices of 8 rows by 16 bytes; lane l brings the address of row l % 8 of matrix l / 8, and gets of each matrix word t of
/// row g. All lanes together.
__device__ __forceinline__ void load_matrices(unsigned (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/// `mma`: c += a b^T over one k-step, 16 rows by 8 columns, for operands of type `type`. All lanes together.
template <Precision type>
__device__ __forceinline__ void multiply(float* c, const unsigned* a, unsigned b0, unsigned b1) {
  if constexpr (type == Precision::bf16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, "
        "%2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
        "%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

/// A barrier in shared memory that opens when the bytes of a copy are there. It serves one copy after another, counted from 0.
using TileBarrier = std::uint64_t;

/// Before the first use, by one thread; the block's barrier after it.
__device__ __forceinline__ void begin_barrier(TileBarrier* barrier) {
#if __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(shared_address(barrier)) : "memory");
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#else
  asm volatile("mbarrier.init.shared.b64 [%0], 32;" ::"r"(shared_address(barrier)) : "memory");
#endif
}

/// Copies `bytes` (a multiple of 16, both sides on 16 bytes) into shared memory and comes back at once. All lanes of a warp together.
__device__ __forceinline__ void copy_tile(TileBarrier* barrier, void* to, const void* from, unsigned bytes) {
  const unsigned lane = threadIdx.x % 32;
#if __CUDA_ARCH__ >= 900  // by the copy engine
  if (lane == 0) {
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "l"(from), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
  }
  __syncwarp();
#else
  for (unsigned at = 16 * lane; at < bytes; at += 512) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to) + at),
                 "l"(static_cast<const char*>(from) + at)
                 : "memory");
  }
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
#endif
}

/// Waits for copy number `copy` of the barrier.
__device__ __forceinline__ void wait_for_tile(TileBarrier* barrier, unsigned copy) {
  unsigned is_there = 0;
  while (!is_there) {
#if __CUDA_ARCH__ >= 900
    asm volatile("{\n .reg .pred p;\n mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(is_there)
                 : "r"(shared_address(barrier)), "r"(copy & 1)
                 : "memory");
#else
    asm volatile("{\n .reg .pred p;\n mbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(is_there)
                 : "r"(shared_address(barrier)), "r"(copy & 1)
                 : "memory");
#endif
  }
}

}  // namespace tarn::cuda
