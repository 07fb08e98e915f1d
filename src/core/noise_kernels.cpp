// Philox blocks, sixteen at a time, written out as words or as normals. Compiled once per instruction set.
#include "noise_kernels.hpp"

#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::core::TARN_ISA {
namespace {

// Sixteen blocks of four words; lane i has block number `block[i]` of subsequence `subsequence[i]`.
struct Blocks {
  alignas(64) std::uint64_t block[pack_lanes];
  alignas(64) std::uint64_t subsequence[pack_lanes];

  void encrypt(std::uint64_t seed, WordPack (&c)[4]) const {
    alignas(64) std::uint32_t word[4][pack_lanes];
    for (int i = 0; i < pack_lanes; ++i) {
      word[0][i] = static_cast<std::uint32_t>(block[i]);
      word[1][i] = static_cast<std::uint32_t>(block[i] >> 32);
      word[2][i] = static_cast<std::uint32_t>(subsequence[i]);
      word[3][i] = static_cast<std::uint32_t>(subsequence[i] >> 32);
    }
    for (int k = 0; k < 4; ++k) c[k] = WordPack::load(word[k]);
    philox4x32_10(c, seed);
  }
};

void transform(const WordPack (&c)[4], std::uint32_t (&out)[4][pack_lanes]) {
  for (int k = 0; k < 4; ++k) c[k].store(out[k]);
}
void transform(const WordPack (&c)[4], float (&out)[4][pack_lanes]) {
  Pack n[4];
  normal_pair(c[0], c[1], n[0], n[1]);
  normal_pair(c[2], c[3], n[2], n[3]);
  for (int k = 0; k < 4; ++k) n[k].store(out[k]);
}

// One or two components a step: a block of four serves 4 or 2 steps, lanes are chains.
template <int stride, class T>
void fill_short(const NoiseRequest& q, T* out) {
  constexpr int steps_a_block = 4 / stride;
  const std::uint64_t last_step = q.first_step + static_cast<std::uint64_t>(q.n_steps);
  Blocks lanes;
  alignas(64) T value[4][pack_lanes];
  const std::uint64_t last_block = (last_step - 1) / steps_a_block;
  for (std::uint64_t block = q.first_step / steps_a_block; block <= last_block; ++block) {
    for (std::int64_t chain = 0; chain < q.n_chains; chain += pack_lanes) {
      for (int i = 0; i < pack_lanes; ++i) {
        lanes.block[i] = block;
        lanes.subsequence[i] = q.subsequence + static_cast<std::uint64_t>(chain + i);
      }
      WordPack c[4];
      lanes.encrypt(q.seed, c);
      transform(c, value);
      const auto n = static_cast<int>(q.n_chains - chain < pack_lanes ? q.n_chains - chain : pack_lanes);
      for (int k = 0; k < 4; ++k) {
        const std::uint64_t step = block * steps_a_block + static_cast<std::uint64_t>(k / stride);
        if (step < q.first_step || step >= last_step) continue;
        T* row =
            out + (static_cast<std::int64_t>(step - q.first_step) * q.n_chains + chain) * q.n_components + k % stride;
        for (int i = 0; i < n; ++i) row[i * stride] = value[k][i];
      }
    }
  }
}

// Three components or more: a step is a whole number of blocks. Lanes walk through the blocks of a step, chain after
// chain.
template <class T>
void fill_long(const NoiseRequest& q, T* out) {
  const std::int64_t blocks = step_stride(q.n_components) / 4, total = q.n_chains * blocks;
  Blocks lanes;
  alignas(64) T value[4][pack_lanes];
  T* destination[pack_lanes];
  int count[pack_lanes];
  for (std::int64_t t = 0; t < q.n_steps; ++t) {
    const std::uint64_t first_block =
        (q.first_step + static_cast<std::uint64_t>(t)) * static_cast<std::uint64_t>(blocks);
    std::int64_t chain = 0, block = 0;
    for (std::int64_t done = 0; done < total; done += pack_lanes) {
      const auto n = static_cast<int>(total - done < pack_lanes ? total - done : pack_lanes);
      for (int i = 0; i < pack_lanes; ++i) {
        lanes.block[i] = first_block + static_cast<std::uint64_t>(block);
        lanes.subsequence[i] = q.subsequence + static_cast<std::uint64_t>(chain);
        if (i >= n) continue;  // spare lanes repeat the last block and are not written
        destination[i] = out + (t * q.n_chains + chain) * q.n_components + block * 4;
        count[i] = static_cast<int>(q.n_components - block * 4 < 4 ? q.n_components - block * 4 : 4);
        if (++block == blocks) {
          block = 0;
          ++chain;
        }
      }
      WordPack c[4];
      lanes.encrypt(q.seed, c);
      transform(c, value);
      for (int i = 0; i < n; ++i) {
        for (int k = 0; k < count[i]; ++k) destination[i][k] = value[k][i];
      }
    }
  }
}

template <class T>
void fill(const NoiseRequest& q, T* out) {
  if (q.n_components == 1) return fill_short<1>(q, out);
  if (q.n_components == 2) return fill_short<2>(q, out);
  fill_long(q, out);
}

}  // namespace

const NoiseKernels table{fill<std::uint32_t>, fill<float>};

}  // namespace tarn::core::TARN_ISA
