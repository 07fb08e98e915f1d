// Puts kernels into streams.
#pragma once

#include <functional>

#include "block.hpp"

struct CUstream_st;

namespace simt {

/// Queues `run(grid)`, which must end in `execute`. Throws `Fault` where the machine refuses the launch.
void launch_grid(CUstream_st* stream, const Grid& grid, std::function<void(const Grid&)> run);
/// Runs the kernel, and looks at all guards after it. Throws `Fault`.
void execute(const Grid& grid);
/// Argument `number` of the launch must be memory of the device.
void check_argument(const Grid& grid, int number, const void* pointer);

}  // namespace simt
