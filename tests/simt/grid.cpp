// What a launch may ask for, and what it is called.
#include <fmt/format.h>

#include <string_view>

#include "block.hpp"
#include "shared.hpp"
#include "simt.hpp"
#include "symbols.hpp"

namespace simt {

std::string describe(const Grid& grid) {
  std::string text = symbol_name(grid.kernel);
  if (grid.file) {
    const std::string_view file(grid.file);
    text += fmt::format(" (launched at {}:{})", file.substr(file.rfind('/') + 1), grid.line);
  }
  return text;
}

void check_launch(const Grid& grid) {
  const auto refuse = [&](const std::string& why) { throw Fault(fmt::format("kernel {}: {}", describe(grid), why)); };
  const dim3 &g = grid.grid, &b = grid.block;
  if (g.x == 0 || g.y == 0 || g.z == 0) refuse(fmt::format("a grid of {} x {} x {} blocks", g.x, g.y, g.z));
  if (g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
    refuse(fmt::format("a grid of {} x {} x {} blocks; at most 2^31 - 1 x 65535 x 65535", g.x, g.y, g.z));
  if (b.x == 0 || b.y == 0 || b.z == 0 || b.x > 1024 || b.y > 1024 || b.z > 64 || std::uint64_t{b.x} * b.y * b.z > 1024)
    refuse(fmt::format("blocks of {} x {} x {} threads; 1 to 1024 are allowed", b.x, b.y, b.z));
  // one block a multiprocessor is what a host may count on without asking
  if (const std::uint64_t n = std::uint64_t{g.x} * g.y * g.z; grid.cooperative && n > std::uint64_t{n_multiprocessors})
    refuse(fmt::format("a cooperative launch of {} blocks; at most {} run at a time", n, n_multiprocessors));
  if (grid.shared_bytes > most_shared_bytes)
    refuse(fmt::format("{} bytes of dynamic shared memory; at most {}", grid.shared_bytes, most_shared_bytes));
}

}  // namespace simt
