// Noise, updates and quarantine of panels of chains. Compiled once per instruction set; the same bits on each.
#include "large_langevin_kernels.hpp"

#include <limits>

#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

void normals(const PanelNoise& q, float* out) {
  const std::int64_t stride = step_stride(q.n_components);
  const std::uint64_t offset = q.step * static_cast<std::uint64_t>(stride);
  for (int v = 0; v < q.packs; ++v) {
    alignas(64) std::uint32_t low[pack_lanes], high[pack_lanes];
    for (int i = 0; i < pack_lanes; ++i) {
      const std::uint64_t s = q.subsequence + static_cast<std::uint64_t>(v * pack_lanes + i);
      low[i] = static_cast<std::uint32_t>(s);
      high[i] = static_cast<std::uint32_t>(s >> 32);
    }
    const WordPack chain_low = WordPack::load(low), chain_high = WordPack::load(high);
    for (std::int64_t d = 0; d < q.n_components; d += 4) {
      const std::uint64_t at = offset + static_cast<std::uint64_t>(d), block = at / 4;
      WordPack c[4] = {WordPack(static_cast<std::uint32_t>(block)), WordPack(static_cast<std::uint32_t>(block >> 32)),
                       chain_low, chain_high};
      philox4x32_10(c, q.seed);
      Pack n[4];
      normal_pair(c[0], c[1], n[0], n[1]);
      normal_pair(c[2], c[3], n[2], n[3]);
      const std::uint64_t first = at % 4;  // not 0 only for one or two components, where a block serves several steps
      for (std::uint64_t i = 0; first + i < 4 && d + static_cast<std::int64_t>(i) < q.n_components; ++i) {
        n[first + i].store(out + (d + static_cast<std::int64_t>(i)) * panel_lanes + v * pack_lanes);
      }
    }
  }
}

void leak(float* f, const float* x, const float* c, std::int64_t n_outputs) {
  for (std::int64_t d = 0; d < n_outputs; ++d) {
    const Pack constant(c ? c[d] : 0.0f);
    for (std::int64_t i = d * panel_lanes; i < (d + 1) * panel_lanes; i += pack_lanes) {
      Pack drift = Pack::load(f + i) - Pack::load(x + i);
      if (c) drift = drift + constant;
      drift.store(f + i);
    }
  }
}

// Lanes of one pack whose |x|^2 is not within the limit: NaN from here on, and so is v, where given.
TARN_HD std::uint32_t silence(float* x, float* momentum, std::int64_t n_outputs, Pack square, float limit) {
  const Mask well = square <= Pack(limit);
  if (!any(!well)) return 0;
  for (std::int64_t i = 0; i < n_outputs * panel_lanes; i += panel_lanes) {
    const Pack nan(std::numeric_limits<float>::quiet_NaN());
    select(well, Pack::load(x + i), nan).store(x + i);
    if (momentum) select(well, Pack::load(momentum + i), nan).store(momentum + i);
  }
  std::uint32_t bits = 0;
  for (int i = 0; i < pack_lanes; ++i) bits |= lane(well, i) ? 0 : std::uint32_t{1} << i;
  return bits;
}

std::uint32_t update(const PanelUpdate& q) {
  std::uint32_t bits = 0;
  for (int v = 0; v < q.packs; ++v) {
    Pack square(0.0f);
    for (std::int64_t d = 0; d < q.n_outputs; ++d) {
      const std::int64_t i = d * panel_lanes + v * pack_lanes;
      Pack x = Pack::load(q.x + i);
      if (q.v) {
        Pack momentum = Pack::load(q.v + i);
        take_momentum_step(q.momentum, Pack::load(q.f + i), q.xi ? Pack::load(q.xi + i) : Pack(0.0f), x, momentum);
        momentum.store(q.v + i);
      } else {
        x = fma(Pack(q.dt), Pack::load(q.f + i), x);
        if (q.xi) {
          Pack xi = Pack::load(q.xi + i);
          if (q.xi_next) xi = xi + Pack::load(q.xi_next + i);
          x = fma(Pack(q.scale), xi, x);
        }
      }
      if (q.clamp) {
        const Pack held = Pack::load(q.clamp + i);
        x = select(held == held, held, x);
        if (q.v) select(held == held, Pack(0.0f), Pack::load(q.v + i)).store(q.v + i);
      }
      x.store(q.x + i);
      square = fma(x, x, square);
    }
    float* const momentum = q.v ? q.v + v * pack_lanes : nullptr;
    bits |= silence(q.x + v * pack_lanes, momentum, q.n_outputs, square, q.limit) << (v * pack_lanes);
  }
  return bits;
}

std::uint32_t escaped(float* x, std::int64_t n_outputs, float limit, int packs) {
  std::uint32_t bits = 0;
  for (int v = 0; v < packs; ++v) {
    Pack square(0.0f);
    for (std::int64_t d = 0; d < n_outputs; ++d) {
      const Pack value = Pack::load(x + d * panel_lanes + v * pack_lanes);
      square = fma(value, value, square);
    }
    bits |= silence(x + v * pack_lanes, nullptr, n_outputs, square, limit) << (v * pack_lanes);
  }
  return bits;
}

void impulse(float* y, const float* xi, const float* xi_next, float scale, const float* extra, float dt,
             std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += pack_lanes) {
    Pack sum(0.0f);
    if (xi) sum = Pack::load(xi + i);
    if (xi_next) sum = sum + Pack::load(xi_next + i);
    sum = Pack(scale) * sum;
    if (extra) sum = fma(Pack(dt), Pack::load(extra + i), sum);
    sum.store(y + i);
  }
}

void relax(float* r, const float* a, float dt, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += pack_lanes) {
    const Pack rate = Pack::load(r + i);
    fma(Pack(dt), Pack::load(a + i) - rate, rate).store(r + i);
  }
}

}  // namespace

const LargeLangevinKernels large_langevin_table{normals, leak, update, escaped, impulse, relax};

}  // namespace tarn::cpu::TARN_ISA
