// Philox4x32-10 (Salmon et al., SC 2011) over a word type: one counter in, four 32-bit words out. The host's word
// source for packs; checked against Random123 word for word. `W` is std::uint32_t or WordPack.
#pragma once

#include <cstdint>

#include "tarn/core/host_device.hpp"

namespace tarn {

/// Encrypts the counter `c[0..3]` in place under the 64-bit key.
template <class W>
TARN_HD void philox4x32_10(W (&c)[4], std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    W high0, low0, high1, low1;
    multiply_wide(c[0], 0xd2511f53u, high0, low0);
    multiply_wide(c[2], 0xcd9e8d57u, high1, low1);
    c[0] = high1 ^ c[1] ^ W(k0);
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ W(k1);
    c[3] = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
}

}  // namespace tarn
