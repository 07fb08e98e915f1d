// Copies into shared memory that run beside the threads (cp.async, the copy engine), and the barriers that open when they are done. A copy is
// made as late as possible, when somebody waits for it, or in shuffled orders at any time: who reads without waiting reads NaN, and who
// lets a tile be overwritten too soon reads the next one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "block.hpp"

namespace simt {

/// Begins the copy; the low half of `barrier` counts those that are done.
void begin_copy(std::uint64_t* barrier, void* to, const void* from, std::size_t bytes);
/// Lets other threads run until copy number `copy` of the barrier is done. Throws `Fault` where it never begins.
void wait_for_copy(std::uint64_t* barrier, unsigned copy, const Site& site);

}  // namespace simt
