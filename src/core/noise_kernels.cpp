// Philox blocks, sixteen at a time, written out as words or as normals. Compiled once per instruction set.
//
// A lane works on one block of four words. Which block that is, is chosen so that the values come out of the registers
// in the order of memory after unpacking within 16-byte pieces, which is the one shuffle that every instruction set
// has.
#include "noise_kernels.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::core::TARN_ISA {
namespace {

// ---- four packs to memory order ----

constexpr int unpack_low_index(int i) { return i / 4 * 4 + i % 4 / 2 + i % 2 * register_lanes; }
constexpr int unpack_low_pair_index(int i) { return i / 4 * 4 + i % 2 + i % 4 / 2 * register_lanes; }

// In every 16-byte piece: first elements of a and b alternately, from element `from` (0 or 2) on.
template <int from, int... i>
TARN_HD FloatRegister unpack(FloatRegister a, FloatRegister b, std::integer_sequence<int, i...>) {
  return __builtin_shufflevector(a, b, (unpack_low_index(i) + from)...);
}
// In every 16-byte piece: the two elements of a from `from` on, then those of b.
template <int from, int... i>
TARN_HD FloatRegister unpack_pairs(FloatRegister a, FloatRegister b, std::integer_sequence<int, i...>) {
  return __builtin_shufflevector(a, b, (unpack_low_pair_index(i) + from)...);
}
constexpr std::make_integer_sequence<int, register_lanes> each_lane;

template <class T>
TARN_HD void store(FloatRegister value, T* to) {
  std::memcpy(to, &value, sizeof value);
}

// Which of sixteen chains (`stride` 1 or 2) or successive blocks (4) a lane works on: the inverse of what `store_*`
// does.
template <int stride>
constexpr int item_of_lane(int lane) {
  if (stride == 1) return lane;
  if (stride == 2) return lane / 4 * 2 + lane % 2 + lane % 4 / 2 * 8;
  return lane % 4 * 4 + lane / 4;
}

// a0 b0 a1 b1 ... of sixteen chains.
template <class T>
TARN_HD void store_pairs(const Pack& a, const Pack& b, T* to) {
  for (int i = 0; i < pack_parts; ++i) {
    store(unpack<0>(a.part[i], b.part[i], each_lane), to + i * register_lanes);
    store(unpack<2>(a.part[i], b.part[i], each_lane), to + pack_lanes + i * register_lanes);
  }
}
// The four values of each of sixteen blocks, block after block.
template <class T>
TARN_HD void store_blocks(const Pack (&v)[4], T* to) {
  for (int i = 0; i < pack_parts; ++i) {
    const FloatRegister low01 = unpack<0>(v[0].part[i], v[1].part[i], each_lane);
    const FloatRegister low23 = unpack<0>(v[2].part[i], v[3].part[i], each_lane);
    const FloatRegister high01 = unpack<2>(v[0].part[i], v[1].part[i], each_lane);
    const FloatRegister high23 = unpack<2>(v[2].part[i], v[3].part[i], each_lane);
    T* piece = to + i * register_lanes;
    store(unpack_pairs<0>(low01, low23, each_lane), piece);
    store(unpack_pairs<2>(low01, low23, each_lane), piece + pack_lanes);
    store(unpack_pairs<0>(high01, high23, each_lane), piece + 2 * pack_lanes);
    store(unpack_pairs<2>(high01, high23, each_lane), piece + 3 * pack_lanes);
  }
}

// ---- counters to values ----

template <int stride>
TARN_HD WordPack lane_items() {
  std::uint32_t item[pack_lanes];
  for (int i = 0; i < pack_lanes; ++i) item[i] = static_cast<std::uint32_t>(item_of_lane<stride>(i));
  return WordPack::load(item);
}

// low, high = base + offset; `carries` where the lower halves may overflow.
TARN_HD void add_offset(std::uint64_t base, const WordPack& offset, bool carries, WordPack& low, WordPack& high) {
  const auto base_low = static_cast<std::uint32_t>(base), base_high = static_cast<std::uint32_t>(base >> 32);
  low = WordPack(base_low) + offset;
  high = WordPack(base_high);
  if (carries) [[unlikely]] {
    std::uint32_t lows[pack_lanes], highs[pack_lanes];
    low.store(lows);
    for (int i = 0; i < pack_lanes; ++i) highs[i] = base_high + (lows[i] < base_low);
    high = WordPack::load(highs);
  }
}
// Whether base + 0 .. base + last reaches into the upper half.
constexpr bool may_carry(std::uint64_t base, std::uint64_t last) { return (base & 0xffffffffu) + last > 0xffffffffu; }

TARN_HD void values(const WordPack (&c)[4], Pack (&out)[4], std::uint32_t) {
  for (int k = 0; k < 4; ++k) out[k] = std::bit_cast<Pack>(c[k]);
}
TARN_HD void values(const WordPack (&c)[4], Pack (&out)[4], float) {
  normal_pair(c[0], c[1], out[0], out[1]);
  normal_pair(c[2], c[3], out[2], out[3]);
}

// ---- one or two components a step: a block of four serves 4 or 2 steps, items are chains ----

template <int stride, class T>
void fill_short(const NoiseRequest& q, T* out) {
  constexpr int steps_a_block = 4 / stride;
  const std::uint64_t last_step = q.first_step + static_cast<std::uint64_t>(q.n_steps) - 1;
  const std::uint64_t last_block = last_step / steps_a_block;
  const WordPack items = lane_items<stride>();
  for (std::uint64_t block = q.first_step / steps_a_block; block <= last_block; ++block) {
    for (std::int64_t chain = 0; chain < q.n_chains; chain += pack_lanes) {
      const std::uint64_t subsequence = q.subsequence + static_cast<std::uint64_t>(chain);
      WordPack c[4] = {WordPack(static_cast<std::uint32_t>(block)), WordPack(static_cast<std::uint32_t>(block >> 32))};
      add_offset(subsequence, items, may_carry(subsequence, pack_lanes - 1), c[2], c[3]);
      philox4x32_10(c, q.seed);
      Pack v[4];
      values(c, v, T{});
      const std::int64_t n = std::min<std::int64_t>(pack_lanes, q.n_chains - chain);
      for (int k = 0; k < 4; k += stride) {
        const std::uint64_t step = block * steps_a_block + static_cast<std::uint64_t>(k / stride);
        if (step < q.first_step || step > last_step) continue;
        T* row = out + (static_cast<std::int64_t>(step - q.first_step) * q.n_chains + chain) * stride;
        T some[pack_lanes * stride];
        T* to = n == pack_lanes ? row : some;
        if constexpr (stride == 1) {
          for (int i = 0; i < pack_parts; ++i) store(v[k].part[i], to + i * register_lanes);
        } else {
          store_pairs(v[k], v[k + 1], to);
        }
        if (n < pack_lanes) std::memcpy(row, some, static_cast<std::size_t>(n * stride) * sizeof(T));
      }
    }
  }
}

// ---- three components or more: a step of a chain is a whole number of blocks, items are blocks ----

// Where each lane stands in the sequence of blocks of all chains of a step, step after step.
struct LaneWalk {
  IntPack block, chain, step_block;  // block within the step; chain; first block of the step
  IntPack blocks, chains, block_stride, chain_stride, step_stride;

  LaneWalk(std::int32_t n_blocks, std::int32_t n_chains) : blocks(n_blocks), chains(n_chains) {
    const std::int64_t step_size = std::int64_t{n_blocks} * n_chains;
    std::int32_t b[pack_lanes], c[pack_lanes], s[pack_lanes];
    for (int i = 0; i < pack_lanes; ++i) {
      const std::int64_t item = item_of_lane<4>(i);
      b[i] = static_cast<std::int32_t>(item % n_blocks);
      c[i] = static_cast<std::int32_t>(item % step_size / n_blocks);
      s[i] = static_cast<std::int32_t>(item / step_size * n_blocks);
    }
    block = IntPack::load(b);
    chain = IntPack::load(c);
    step_block = IntPack::load(s);
    block_stride = IntPack(static_cast<std::int32_t>(pack_lanes % n_blocks));
    chain_stride = IntPack(static_cast<std::int32_t>(pack_lanes % step_size / n_blocks));
    step_stride = IntPack(static_cast<std::int32_t>(pack_lanes / step_size * n_blocks));
  }

  // Sixteen blocks on.
  TARN_HD void advance() {
    block = block + block_stride;
    const Mask next_chain = block > blocks - IntPack(1);
    block = select(next_chain, block - blocks, block);
    chain = chain + select(next_chain, chain_stride + IntPack(1), chain_stride);
    const Mask next_step = chain > chains - IntPack(1);
    chain = select(next_step, chain - chains, chain);
    step_block = step_block + select(next_step, step_stride + blocks, step_stride);
  }
};

// Copies n blocks of four to rows of `n_components`, the last block of a row in part. Four values are written at a
// time: what is too much is overwritten by the next row, but for the last block of all, where `is_end`.
template <class T>
TARN_HD void copy_to_rows(const T* from, int n, bool is_end, std::int64_t n_components, std::int64_t& column, T*& to) {
  for (int i = 0; i < n; ++i, from += 4) {
    const std::int64_t count = std::min<std::int64_t>(4, n_components - column);
    std::memcpy(to, from, (is_end && i == n - 1 ? static_cast<std::size_t>(count) : 4) * sizeof(T));
    to += count;
    column = column + 4 < n_components ? column + 4 : 0;
  }
}

template <class T>
void fill_piece(const NoiseRequest& q, T* out) {
  const std::int64_t n_blocks = step_stride(q.n_components) / 4, total = q.n_steps * q.n_chains * n_blocks;
  const std::uint64_t first_block = q.first_step * static_cast<std::uint64_t>(n_blocks);
  const bool block_carries = may_carry(first_block, static_cast<std::uint64_t>(q.n_steps * n_blocks));
  const bool chain_carries = may_carry(q.subsequence, static_cast<std::uint64_t>(q.n_chains));
  const bool whole_blocks = q.n_components % 4 == 0;  // then rows follow each other without a gap
  LaneWalk walk(static_cast<std::int32_t>(n_blocks), static_cast<std::int32_t>(q.n_chains));
  std::int64_t column = 0;
  for (std::int64_t done = 0; done < total; done += pack_lanes) {
    WordPack c[4];
    add_offset(first_block, std::bit_cast<WordPack>(walk.step_block + walk.block), block_carries, c[0], c[1]);
    add_offset(q.subsequence, std::bit_cast<WordPack>(walk.chain), chain_carries, c[2], c[3]);
    walk.advance();
    philox4x32_10(c, q.seed);
    Pack v[4];
    values(c, v, T{});
    if (whole_blocks && total - done >= pack_lanes) {
      store_blocks(v, out);
      out += pack_lanes * 4;
      continue;
    }
    T some[pack_lanes * 4];
    store_blocks(v, some);
    const auto n = static_cast<int>(std::min<std::int64_t>(pack_lanes, total - done));
    // where blocks are whole, this is the last pack, and its rows need not be told apart
    copy_to_rows(some, n, total - done <= pack_lanes, whole_blocks ? pack_lanes * 4 : q.n_components, column, out);
  }
}

// In pieces whose blocks can be counted by 32-bit lanes.
template <class T>
void fill_long(const NoiseRequest& q, T* out) {
  constexpr std::int64_t piece_blocks = 1 << 20;
  const std::int64_t n_blocks = step_stride(q.n_components) / 4;
  NoiseRequest piece = q;
  if (q.n_chains <= piece_blocks / n_blocks) {
    const std::int64_t steps = piece_blocks / (q.n_chains * n_blocks);
    for (std::int64_t t = 0; t < q.n_steps; t += steps) {
      piece.first_step = q.first_step + static_cast<std::uint64_t>(t);
      piece.n_steps = std::min(steps, q.n_steps - t);
      fill_piece(piece, out + t * q.n_chains * q.n_components);
    }
    return;
  }
  const std::int64_t chains = std::max<std::int64_t>(1, piece_blocks / n_blocks);
  piece.n_steps = 1;
  for (std::int64_t t = 0; t < q.n_steps; ++t) {
    for (std::int64_t chain = 0; chain < q.n_chains; chain += chains) {
      piece.first_step = q.first_step + static_cast<std::uint64_t>(t);
      piece.subsequence = q.subsequence + static_cast<std::uint64_t>(chain);
      piece.n_chains = std::min(chains, q.n_chains - chain);
      fill_piece(piece, out + (t * q.n_chains + chain) * q.n_components);
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
