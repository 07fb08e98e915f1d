// The matrix instructions of four warps together (wgmma, sm_90a): the sum's fragment is that of sixteen rows a warp, as in tensor.cuh, and
// operand B comes from shared memory without passing through registers. tests/simt/platform/warpgroup.cuh computes the same on the CPU.
// Code for other architectures is never run: the launcher asks for the compute capability.
#pragma once

#include "tensor.cuh"

namespace tarn::cuda {

/// An operand in shared memory as the instruction takes it: 16-byte columns one after another, `rows` rows in each (operand_tile.hpp), with
/// no swizzle: bits 0-13 the address, 16-29 the distance of columns, 32-45 that of groups of eight rows, all in units of 16 bytes.
struct SharedMatrix {
  std::uint64_t descriptor;
};
__device__ __forceinline__ SharedMatrix shared_matrix(const void* at, int rows) {
  return {static_cast<std::uint64_t>((shared_address(at) & 0x3ffff) >> 4) | static_cast<std::uint64_t>(rows) << 16 |
          8ull << 32};
}
/// From row `first` of k-step `k` on (two 16-byte columns a k-step).
__device__ __forceinline__ SharedMatrix part(SharedMatrix m, int rows, int first, int k) {
  return {m.descriptor + static_cast<std::uint64_t>(2 * k * rows + first)};
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define TARN_WGMMA_ASM(...) asm volatile(__VA_ARGS__)
#else
#define TARN_WGMMA_ASM(...) __trap()
#endif

/// Registers written before are seen by the multiplications that follow.
__device__ __forceinline__ void begin_multiplying() { TARN_WGMMA_ASM("wgmma.fence.sync.aligned;" ::: "memory"); }
/// The multiplications so far become a group.
__device__ __forceinline__ void end_group() { TARN_WGMMA_ASM("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until no more than the last `pending` groups run.
template <int pending>
__device__ __forceinline__ void wait_for_groups() {
  TARN_WGMMA_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}
/// Ordinary stores of this thread into shared memory are seen by the multiplications; a barrier must follow.
__device__ __forceinline__ void publish_to_multiplications() {
#if __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// `c += a b^T` over one k-step: 64 rows by `n` columns, `c` the n / 2 accumulators of this thread. Asynchronous: `c`, and `a` where it is in
/// registers, are not to be touched before the group was waited for. All lanes of four warps together, the first warp a multiple of four.
template <Precision type, int n>
struct Warpgroup;

// Operands of the assembly, eight a line.
#define TARN_N0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define TARN_N1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define TARN_N2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define TARN_N3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define TARN_N4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define TARN_N5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define TARN_N6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define TARN_N7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define TARN_N8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define TARN_N9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define TARN_SUMS(i)                                                                                          \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), \
      "+f"(c[i + 7])
#define TARN_LIST32 TARN_N0 ", " TARN_N1
#define TARN_SUMS32 TARN_SUMS(0), TARN_SUMS(8)
#define TARN_LIST64 TARN_LIST32 ", " TARN_N2 ", " TARN_N3
#define TARN_SUMS64 TARN_SUMS32, TARN_SUMS(16), TARN_SUMS(24)
#define TARN_LIST80 TARN_LIST64 ", " TARN_N4
#define TARN_SUMS80 TARN_SUMS64, TARN_SUMS(32)
#define TARN_LIST96 TARN_LIST80 ", " TARN_N5
#define TARN_SUMS96 TARN_SUMS80, TARN_SUMS(40)
#define TARN_LIST112 TARN_LIST96 ", " TARN_N6
#define TARN_SUMS112 TARN_SUMS96, TARN_SUMS(48)
#define TARN_LIST128 TARN_LIST112 ", " TARN_N7
#define TARN_SUMS128 TARN_SUMS112, TARN_SUMS(56)
#define TARN_LIST144 TARN_LIST128 ", " TARN_N8
#define TARN_SUMS144 TARN_SUMS128, TARN_SUMS(64)
#define TARN_LIST160 TARN_LIST144 ", " TARN_N9
#define TARN_SUMS160 TARN_SUMS144, TARN_SUMS(72)

// `both` and `one` are the numbers of what follows the sums: two descriptors, or four registers and one. The predicate says that sums go on.
#define TARN_WARPGROUP(type, n, shape, both, one, tail_both, tail_one)                                       \
  template <>                                                                                                \
  struct Warpgroup<Precision::type, n> {                                                                     \
    static __device__ __forceinline__ void shared(float* c, SharedMatrix a, SharedMatrix b) {                \
      TARN_WGMMA_ASM("{\n .reg .pred p;\n setp.eq.u32 p, 1, 1;\n wgmma.mma_async.sync.aligned.m64n" #n shape \
                     " {" TARN_LIST##n "}, " both ", p, 1, 1" tail_both ";\n}"                               \
                     : TARN_SUMS##n                                                                          \
                     : "l"(a.descriptor), "l"(b.descriptor));                                                \
    }                                                                                                        \
    static __device__ __forceinline__ void registers(float* c, const unsigned* a, SharedMatrix b) {          \
      TARN_WGMMA_ASM("{\n .reg .pred p;\n setp.eq.u32 p, 1, 1;\n wgmma.mma_async.sync.aligned.m64n" #n shape \
                     " {" TARN_LIST##n "}, " one ", p, 1, 1" tail_one ";\n}"                                 \
                     : TARN_SUMS##n                                                                          \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.descriptor));                       \
    }                                                                                                        \
  };
#define TARN_WARPGROUPS(n, both, one)                                      \
  TARN_WARPGROUP(bf16, n, "k16.f32.bf16.bf16", both, one, ", 0, 0", ", 0") \
  TARN_WARPGROUP(tf32, n, "k8.f32.tf32.tf32", both, one, "", "")

TARN_WARPGROUPS(32, "%16, %17", "{%16, %17, %18, %19}, %20")
TARN_WARPGROUPS(64, "%32, %33", "{%32, %33, %34, %35}, %36")
TARN_WARPGROUPS(80, "%40, %41", "{%40, %41, %42, %43}, %44")
TARN_WARPGROUPS(96, "%48, %49", "{%48, %49, %50, %51}, %52")
TARN_WARPGROUPS(112, "%56, %57", "{%56, %57, %58, %59}, %60")
TARN_WARPGROUPS(128, "%64, %65", "{%64, %65, %66, %67}, %68")
TARN_WARPGROUPS(144, "%72, %73", "{%72, %73, %74, %75}, %76")
TARN_WARPGROUPS(160, "%80, %81", "{%80, %81, %82, %83}, %84")

#undef TARN_WARPGROUPS
#undef TARN_WARPGROUP
#undef TARN_SUMS
#undef TARN_WGMMA_ASM
#undef TARN_N0
#undef TARN_N1
#undef TARN_N2
#undef TARN_N3
#undef TARN_N4
#undef TARN_N5
#undef TARN_N6
#undef TARN_N7
#undef TARN_N8
#undef TARN_N9
#undef TARN_LIST32
#undef TARN_LIST64
#undef TARN_LIST80
#undef TARN_LIST96
#undef TARN_LIST112
#undef TARN_LIST128
#undef TARN_LIST144
#undef TARN_LIST160
#undef TARN_SUMS32
#undef TARN_SUMS64
#undef TARN_SUMS80
#undef TARN_SUMS96
#undef TARN_SUMS112
#undef TARN_SUMS128
#undef TARN_SUMS144
#undef TARN_SUMS160

}  // namespace tarn::cuda
