// Shared memory of the block that runs: NaN at the start, with guards between arrays.
#pragma once

#include <cstddef>
#include <string>

namespace simt {

/// What a block may have, with the opt-in that `launch` makes; without it, and for static arrays, 48 KiB.
inline constexpr std::size_t most_shared_bytes = std::size_t{227} << 10, plain_shared_bytes = std::size_t{48} << 10;

/// The shared memory of a block. Functions below speak of the one entered last.
struct SharedSpace;
SharedSpace* new_shared();
void free_shared(SharedSpace* space);
/// Of blocks that run one after the other.
SharedSpace& alone_shared();
void enter_shared(SharedSpace& space);

void begin_shared(std::size_t dynamic_bytes);
/// Which array was overrun; empty if none.
std::string shared_damage();
void end_shared();

}  // namespace simt
