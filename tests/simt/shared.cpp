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
};
alignas(128) unsigned char arena[arena_bytes];
std::size_t used = 0;          // of the arena, gaps included
std::size_t static_bytes = 0;  // as the machine counts them
std::size_t dynamic_bytes = 0;
std::vector<Array> arrays;

// A gap lies before the first array and after each.
unsigned char* place(std::string name, std::size_t bytes, std::size_t alignment) {
  const std::size_t at = (used + alignment - 1) / alignment * alignment;
  if (at + bytes + gap_bytes > arena_bytes) throw Fault("shared memory: the arrays of a block do not fit");
  set_guard(arena + used, at - used);
  unsigned char* begin = arena + at;
  ASAN_UNPOISON_MEMORY_REGION(begin, bytes);
  std::memset(begin, 0xff, bytes);
  set_guard(begin + bytes, gap_bytes);
  used = at + bytes + gap_bytes;
  arrays.push_back({std::move(name), begin, bytes});
  return begin;
}

}  // namespace

void begin_shared(std::size_t dynamic) {
  ++block_number;
  arrays.clear();
  set_guard(arena, gap_bytes);
  used = gap_bytes;
  static_bytes = 0;
  dynamic_bytes = dynamic;
  place("dynamic shared memory", dynamic, 128);
}

void* dynamic_shared() { return arrays.front().begin; }

void* place_shared(SharedSite& site) {
  static_bytes = (static_bytes + site.alignment - 1) / site.alignment * site.alignment + site.bytes;
  if (static_bytes > plain_shared_bytes || static_bytes + dynamic_bytes > most_shared_bytes) {
    throw Fault(
        fmt::format("array {} in {}: {} bytes of static and {} of dynamic shared memory; at most {} and {} together",
                    site.name, site.function, static_bytes, dynamic_bytes, plain_shared_bytes, most_shared_bytes));
  }
  site.address = place(fmt::format("shared array {} in {}", site.name, site.function), site.bytes,
                       site.alignment < 16 ? 16 : site.alignment);
  site.block = block_number;
  return site.address;
}

std::string shared_damage() {
  for (const Array& array : arrays) {
    if (const std::ptrdiff_t at = guard_damage(array.begin + array.bytes, gap_bytes); at >= 0)
      return fmt::format("{} was overrun: byte {} of {} was written", array.name,
                         array.bytes + static_cast<std::size_t>(at), array.bytes);
  }
  if (guard_damage(arena, gap_bytes) >= 0) return fmt::format("memory before {} was written", arrays.front().name);
  return {};
}

void end_shared() { ASAN_POISON_MEMORY_REGION(arena, used); }

}  // namespace simt
