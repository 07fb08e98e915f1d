// One look at a chain: the arithmetic of live diagnostics, the same lines on host and device.
#pragma once

#include <cstdint>

#include "tarn/compute/watch_sizes.hpp"
#include "tarn/core/host_device.hpp"

namespace tarn {

/// The arrays of a `WatchState`, wherever they lie.
struct WatchArrays {
  double* batch_mean = nullptr;
  double* batch_square = nullptr;
  double* open_mean = nullptr;
  double* open_square = nullptr;
  double* variogram = nullptr;
  float* recent = nullptr;
  std::uint64_t* hashes = nullptr;
  std::int32_t* still = nullptr;
  std::int32_t* mode = nullptr;
};

/// What one look does, the same for all chains.
struct WatchLook {
  const float* x = nullptr;        ///< `[n, D]`
  const float* centers = nullptr;  ///< `[n_modes, D]`
  std::int64_t n = 0, D = 0, K = 0, Q = 0, n_modes = 0;
  std::int64_t n_before = 0;   ///< looks before this one
  double inverse_count = 1.0;  ///< 1 / looks in the open batch, this one included
  std::int64_t slot = -1;      ///< the batch that this look fills, or -1
  bool merges = false;         ///< and with it all are full
  double batch_length = 1.0;   ///< before a merge
};

// The mixer of SplitMix64 (Steele, Lea and Flood 2014).
TARN_HD std::uint64_t mixed_bits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// The bin of a finite value: sign, exponent and seven bits of the fraction, turned so that larger values have larger numbers.
TARN_HD std::int64_t sketch_bin(float value) {
  const auto bits = static_cast<std::uint32_t>(as_int(value));
  const std::uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<std::int64_t>(ordered >> 16);
}
TARN_HD bool is_finite(float value) { return (value < 0.0f ? -value : value) <= 3.40282347e38f; }

/// Quantity q of chain i has this value at the look.
TARN_HD void watch_value(const WatchArrays& a, const WatchLook& l, std::int64_t q, std::int64_t i, float value) {
  const std::int64_t at = q * l.n + i, plane = l.Q * l.n;
  const double x = static_cast<double>(value);

  for (int j = 0; j < WatchSizes::n_lags; ++j) {
    const std::int64_t lag = std::int64_t{1} << j;
    if (l.n_before < lag) break;
    const double step = x - static_cast<double>(a.recent[(l.n_before - lag) % WatchSizes::n_recent * plane + at]);
    a.variogram[j * plane + at] += step * step;
  }
  a.recent[l.n_before % WatchSizes::n_recent * plane + at] = value;

  // Welford 1962
  double mean = l.inverse_count == 1.0 ? 0.0 : a.open_mean[at];
  double square = l.inverse_count == 1.0 ? 0.0 : a.open_square[at];
  const double away = x - mean;
  mean = l.inverse_count == 1.0 ? x : mean + away * l.inverse_count;
  square = l.inverse_count == 1.0 ? x - x : square + away * (x - mean);  // x - x: 0, or NaN that stays
  a.open_mean[at] = mean;
  a.open_square[at] = square;
  if (l.slot < 0) return;
  a.batch_mean[l.slot * plane + at] = mean;
  a.batch_square[l.slot * plane + at] = square;
  if (!l.merges) return;
  for (std::int64_t b = 0; b < WatchSizes::capacity / 2; ++b) {
    const std::int64_t first = 2 * b * plane + at, second = first + plane, to = b * plane + at;
    const double apart = a.batch_mean[second] - a.batch_mean[first];
    const double middle = a.batch_mean[first] + 0.5 * apart;
    const double sum = a.batch_square[first] + a.batch_square[second] + 0.5 * l.batch_length * apart * apart;
    a.batch_mean[to] = middle;
    a.batch_square[to] = sum;
  }
}

/// All quantities of chain i but the counts that chains share: those are of `recent`, and of the mode that is handed back (-1 without
/// one; `changed` says whether it was another before).
TARN_HD std::int32_t watch_chain(const WatchArrays& a, const WatchLook& l, std::int64_t i, bool& changed) {
  const float* x = l.x + i * l.D;
  std::uint64_t hash = 0;  // a sum, so that the order of outputs is free
  double norm = 0.0;
  for (std::int64_t d = 0; d < l.D; ++d) {
    const std::uint64_t bits = x[d] == x[d] ? static_cast<std::uint32_t>(as_int(x[d])) : 0x7fc00000u;
    hash += mixed_bits(bits + (static_cast<std::uint64_t>(d + 1) << 32));
    norm += static_cast<double>(x[d]) * static_cast<double>(x[d]);
  }
  for (std::int64_t q = 0; q < l.K; ++q) watch_value(a, l, q, i, x[q]);
  if (l.Q > l.K) watch_value(a, l, l.K, i, static_cast<float>(norm));

  a.still[i] = l.n_before > 0 && a.hashes[i] == hash ? a.still[i] + 1 : 0;
  a.hashes[2 * l.n + i] = a.hashes[l.n + i];
  a.hashes[l.n + i] = a.hashes[i];
  a.hashes[i] = hash;

  changed = false;
  if (l.n_modes == 0) return -1;
  std::int32_t nearest = -1;
  double least = 0.0;
  for (std::int64_t m = 0; m < l.n_modes; ++m) {
    double square = 0.0;
    for (std::int64_t d = 0; d < l.D; ++d) {
      const double away = static_cast<double>(x[d]) - static_cast<double>(l.centers[m * l.D + d]);
      square += away * away;
    }
    // false for NaN, so that a lost chain is in no mode
    if (nearest < 0 ? square >= 0.0 : square < least) {
      nearest = static_cast<std::int32_t>(m);
      least = square;
    }
  }
  changed = l.n_before > 0 && nearest >= 0 && a.mode[i] >= 0 && nearest != a.mode[i];
  a.mode[i] = nearest;
  return nearest;
}

}  // namespace tarn
