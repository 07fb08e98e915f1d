// Noise on the device, the same bits as `tarn::fill_words` and `tarn::fill_normals` (docs/noise.md).
#pragma once

#include <cstdint>

#include "handles.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {

/// `out` `[n_steps * n_chains, n_components]` on the device; row `t * n_chains + i` belongs to step `first_step + t` and chain
/// `first_chain + i`, which the caller keeps below 2^48. Asynchronous.
void launch_fill_normals(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                         std::int64_t n_steps, std::int64_t n_chains, std::int64_t n_components, float* out,
                         StreamHandle queue);

/// The words that the normals are made of; shapes as above.
void launch_fill_words(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                       std::int64_t n_steps, std::int64_t n_chains, std::int64_t n_components, std::uint32_t* out,
                       StreamHandle queue);

}  // namespace tarn::cuda
