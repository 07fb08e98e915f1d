#include "shared.hpp"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "block.hpp"
#include "guards.hpp"
#include "simt.hpp"

namespace simt {
namespace {

constexpr std::size_t gap_bytes = 256, arena_bytes = std::size_t{320} << 10;

struct Array {
  std::string name;
  unsigned char* begin;
  std::size_t bytes;
  const SharedSite* site;  // null: dynamic
};

}  // namespace

struct SharedSpace {
  alignas(128) unsigned char arena[arena_bytes];
  std::size_t used = 0;          // of the arena, gaps included
  std::size_t static_bytes = 0;  // as the machine counts them
  std::size_t dynamic_bytes = 0;
  std::uint64_t number = 0;  // of the block that has it
  std::vector<Array> arrays;
};

namespace {

SharedSpace* space = nullptr;
std::uint64_t blocks_begun = 0;

// A gap lies before the first array and after each.
unsigned char* place(std::string name, std::size_t bytes, std::size_t alignment, const SharedSite* site) {
  auto& [arena, used, static_bytes, dynamic_bytes, number, arrays] = *space;
  const std::size_t at = (used + alignment - 1) / alignment * alignment;
  if (at + bytes + gap_bytes > arena_bytes) throw Fault("shared memory: the arrays of a block do not fit");
  set_guard(arena + used, at - used);
  unsigned char* begin = arena + at;
  ASAN_UNPOISON_MEMORY_REGION(begin, bytes);
  std::memset(begin, 0xff, bytes);
  set_guard(begin + bytes, gap_bytes);
  used = at + bytes + gap_bytes;
  arrays.push_back({std::move(name), begin, bytes, site});
  return begin;
}

}  // namespace

SharedSpace* new_shared() { return new SharedSpace; }
void free_shared(SharedSpace* old) {
  ASAN_UNPOISON_MEMORY_REGION(old->arena, arena_bytes);
  delete old;
}
SharedSpace& alone_shared() {
  static SharedSpace& alone = *new SharedSpace;  // never destroyed, as the block
  return alone;
}
void enter_shared(SharedSpace& next) {
  space = &next;
  block_number = next.number;
}

void begin_shared(std::size_t dynamic) {
  block_number = space->number = ++blocks_begun;
  space->arrays.clear();
  set_guard(space->arena, gap_bytes);
  space->used = gap_bytes;
  space->static_bytes = 0;
  space->dynamic_bytes = dynamic;
  place("dynamic shared memory", dynamic, 128, nullptr);
}

void* dynamic_shared() { return space->arrays.front().begin; }

void* place_shared(SharedSite& site) {
  for (const Array& array : space->arrays) {  // placed before another block had its turn
    if (array.site != &site) continue;
    site.block = block_number;
    return site.address = array.begin;
  }
  // `launch` asks for more than 48 KiB where the dynamic part alone needs it
  const std::size_t most = space->dynamic_bytes > plain_shared_bytes ? most_shared_bytes : plain_shared_bytes;
  auto& static_bytes = space->static_bytes;
  static_bytes = (static_bytes + site.alignment - 1) / site.alignment * site.alignment + site.bytes;
  if (static_bytes > plain_shared_bytes || static_bytes + space->dynamic_bytes > most) {
    throw Fault(
        fmt::format("array {} in {}: {} bytes of static and {} of dynamic shared memory; at most {} and {} together",
                    site.name, site.function, static_bytes, space->dynamic_bytes, plain_shared_bytes, most));
  }
  site.address = place(fmt::format("shared array {} in {}", site.name, site.function), site.bytes,
                       site.alignment < 16 ? 16 : site.alignment, &site);
  site.block = block_number;
  return site.address;
}

std::string shared_damage() {
  for (const Array& array : space->arrays) {
    if (const std::ptrdiff_t at = guard_damage(array.begin + array.bytes, gap_bytes); at >= 0)
      return fmt::format("{} was overrun: byte {} of {} was written", array.name,
                         array.bytes + static_cast<std::size_t>(at), array.bytes);
  }
  if (guard_damage(space->arena, gap_bytes) >= 0)
    return fmt::format("memory before {} was written", space->arrays.front().name);
  return {};
}

void end_shared() { ASAN_POISON_MEMORY_REGION(space->arena, space->used); }

}  // namespace simt
