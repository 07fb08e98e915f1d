#include "launch.hpp"

#include <fmt/format.h>

#include "device_memory.hpp"
#include "queues.hpp"
#include "simt.hpp"

namespace simt {
namespace {
std::int64_t n_run = 0;
}

std::int64_t kernels_run() {
  const std::lock_guard lock(machine());
  return n_run;
}

void launch_grid(CUstream_st* stream, const Grid& grid, std::function<void(const Grid&)> run) {
  const std::lock_guard lock(machine());
  check_launch(grid);
  push(stream, {[grid, run = std::move(run)] { run(grid); }, nullptr, nullptr});
}

void execute(const Grid& grid) {
  ++n_run;
  run_grid(grid);
  if (has_costs()) {
    const dim3 &g = grid.grid, &b = grid.block;
    spend(fmt::format("{} in {} blocks of {} threads", describe(grid), std::uint64_t{g.x} * g.y * g.z,
                      std::uint64_t{b.x} * b.y * b.z));
  }
  if (const std::string damage = memory_damage(); !damage.empty())
    throw Fault(fmt::format("kernel {}: {}", describe(grid), damage));
}

void check_argument(const Grid& grid, int number, const void* pointer) {
  if (!is_device_pointer(pointer))
    throw Fault(
        fmt::format("kernel {}: argument {} points to no memory of the device ({})", describe(grid), number, pointer));
}

}  // namespace simt
