// Runs the threads of a block as fibres: each until it must wait for others, in natural or shuffled order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "include/vector_types.h"

namespace simt {

/// A place in a kernel where threads meet.
struct Site {
  const char* what;
  const char *function, *file;
  int line;
};

/// Adds up `predicate` over the block.
int barrier(bool predicate, const Site& site);
/// The bits of `predicate` of the lanes in `mask`.
unsigned vote(unsigned mask, bool predicate, const Site& site);
/// The calling thread waits for something that another will do, and has asked `turns` times before. Throws `Fault` where nobody does it.
void let_others_run(int turns, const Site& site);
/// What lane `source` brought.
std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, const Site& site);
/// Waits until `*counter`, in device memory, is `least` or more: other blocks of a cooperative launch run in the meantime.
void wait_for_blocks(const unsigned* counter, unsigned least, const Site& site);
/// The calling thread's number in its warp.
int lane();

/// An array of static shared memory: one an expansion of TARN_SHARED and template instance, as nvcc has it.
struct SharedSite {
  const char *name, *function;
  std::size_t bytes, alignment;
  std::uint64_t block = 0;  // the block in which `address` holds
  void* address = nullptr;
};
/// The running block's memory for the array.
void* place_shared(SharedSite& site);
inline std::uint64_t block_number = 0;  // of the running block, over all launches
inline void* shared_array(SharedSite& site) { return site.block == block_number ? site.address : place_shared(site); }
void* dynamic_shared();

inline constexpr int n_multiprocessors = 4;

/// One launch. `body(args)` is the kernel, for the thread that the built-in variables name.
struct Grid {
  const void* kernel = nullptr;
  const char* file = nullptr;  // of the launch
  int line = 0;
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  bool cooperative = false;  // all blocks at a time, so that they may wait for one another
  void (*body)(const void* args) = nullptr;
  const void* args = nullptr;
};
/// Throws `Fault` where the machine would not take the launch.
void check_launch(const Grid& grid);
/// Runs every block. Throws `Fault`.
void run_grid(const Grid& grid);

/// "small_kernel<...> (launched at small.cu:41)".
std::string describe(const Grid& grid);

}  // namespace simt
