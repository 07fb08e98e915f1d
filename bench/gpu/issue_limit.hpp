// What the card's schedulers can do at most with the arithmetic of small-D chains: the same mix of instructions, from registers alone.
#pragma once

#include <cstdint>

#include "handles.hpp"

namespace tarn::bench {

/// Launches `blocks` blocks whose threads take `neurons` neurons through 8 chains each, for D = 1 (fma, max, fma) or D = 2 (two fma, max,
/// two fma). Returns neurons times chains in all. `out` takes one float a thread. Asynchronous.
double launch_issue_limit(int D, int blocks, int threads, int neurons, float* out, cuda::StreamHandle stream);

}  // namespace tarn::bench
