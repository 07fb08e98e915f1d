// Sorts, counts and histograms of whole arrays, by Thrust and CUB: the one seam to them. tests/simt has a twin of std:: algorithms.
#pragma once

#include <cstddef>
#include <cstdint>

#include "handles.hpp"

namespace tarn::cuda {

/// Bytes of temporary device memory that `sort_by_key` of `n` pairs and `count_non_negative` of `n` entries need, each; 1 or more.
/// Host only, does not touch the stream.
std::size_t sort_by_key_bytes(std::int64_t n);
std::size_t count_non_negative_bytes(std::int64_t n);

/// Sorts `n` pairs by key, ascending; equal keys keep their order. `keys` and `values` are read, `sorted_keys` and `sorted_values`
/// written; no two of the four arrays overlap. `temporary`: device memory of at least `sort_by_key_bytes(n)`, aligned to 256.
/// Asynchronous, deterministic; n < 2^31. May be recorded into a graph.
void sort_by_key(const std::uint64_t* keys, std::uint64_t* sorted_keys, const std::int64_t* values,
                 std::int64_t* sorted_values, std::int64_t n, void* temporary, std::size_t temporary_bytes,
                 StreamHandle stream);

/// Writes the number of entries >= 0 of `values` `[n]` (quarantined chains have the number of their first bad step there) to
/// `*count`, in device memory. `temporary` as above. Asynchronous, deterministic; n < 2^31.
void count_non_negative(const std::int64_t* values, std::int64_t n, std::int64_t* count, void* temporary,
                        std::size_t temporary_bytes, StreamHandle stream);

/// Counts of `values` `[n]` (device) in `n_bins` equal bins over [low, high), to `counts` `[n_bins]` (device), overwritten. A value x
/// belongs to bin min(n_bins - 1, int((x - low) * (n_bins / (high - low)))), with x and all constants in double; values outside of [low, high), NaN and
/// infinities are in none. Allocates and frees temporary memory, and blocks the host until the stream is done; deterministic;
/// n < 2^31, 1 <= n_bins < 2^20.
void histogram(const float* values, std::int64_t n, double low, double high, std::int64_t n_bins, std::int64_t* counts,
               StreamHandle stream);

}  // namespace tarn::cuda
