// Small-D chains: state, drift and noise live in registers and L1 for all steps of a call; the hidden layer is never written.
//   x <- x + dt f(x) + noise,  f(x) = (-x + phi([x u] W_in^T + b) W_out^T + c) M^T
// or, with a momentum, as momentum_step.hpp has it.
// Lanes are chains. Each chain sums over neurons in one fixed order (docs/architecture.md, decision 2): neuron j into partial
// sum j mod 32, ascending, by fma; the 32 partial sums are then combined as a balanced tree. So its path has the same bits for
// any tile, thread count, instruction set or device. Compiled once per instruction set.
#include <cmath>
#include <limits>

#include "momentum_step.hpp"
#include "small_kernels.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/normal_transform.hpp"
#include "tarn/core/pack.hpp"
#include "tarn/core/philox.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

// Sizes known to the compiler for D = 1 and 2 without inputs; 0 stands for any.
template <int D_, int K_>
struct Extents {
  static constexpr int max_D = D_ ? D_ : static_cast<int>(small_max_outputs);
  static constexpr int max_K = K_ ? K_ : static_cast<int>(small_max_columns);
  const SmallNetwork& network;
  TARN_HD int D() const { return D_ ? D_ : static_cast<int>(network.n_outputs); }
  TARN_HD int K() const { return K_ ? K_ : static_cast<int>(network.n_columns); }
};

// The rectifiers cost two instructions, so for them the sizes D = 1 and 2 are worth code of their own; next to the others' dozens
// it would gain nothing.
constexpr bool is_rectifier(Nonlinearity phi) { return phi == Nonlinearity::relu || phi == Nonlinearity::leaky_relu; }

// Packs of chains that a pass carries. Chosen so that accumulators, state and weights fit the registers.
template <Nonlinearity phi, int D>
constexpr int packs_a_pass() {
  if (register_lanes == 4) return 1;
  if (!is_rectifier(phi) || D == 0) return register_lanes == 16 ? 4 : 2;
  if (register_lanes == 16) return D == 1 ? 8 : 5;
  return D == 1 ? 2 : 1;
}

// drift[d][v] of the columns z[k][v] (state, then inputs).
template <Nonlinearity phi, int V, class E>
TARN_HD void drift_of(const SmallNetwork& net, const E& e, const Pack (&z)[E::max_K][V], Pack (&drift)[E::max_D][V]) {
  Pack stack[6][E::max_D][V];  // the tree of partial sums: entry l holds a finished subtree
  int height = 0;
  const float* record = net.records.data();
  for (int p = 0; p < partial_sums; ++p) {
    Pack acc[E::max_D][V];
    for (int d = 0; d < e.D(); ++d) {
      for (int v = 0; v < V; ++v) acc[d][v] = Pack(0.0f);
    }
    const std::int64_t count = net.first[p + 1] - net.first[p];
    for (std::int64_t j = 0; j < count; ++j, record += e.K() + 1 + e.D()) {
      Pack u[V];
      for (int v = 0; v < V; ++v) u[v] = fma(Pack(record[0]), z[0][v], Pack(record[e.K()]));
      for (int k = 1; k < e.K(); ++k) {
        for (int v = 0; v < V; ++v) u[v] = fma(Pack(record[k]), z[k][v], u[v]);
      }
      for (int v = 0; v < V; ++v) u[v] = activate<phi>(u[v]);
      for (int d = 0; d < e.D(); ++d) {
        for (int v = 0; v < V; ++v) acc[d][v] = fma(Pack(record[e.K() + 1 + d]), u[v], acc[d][v]);
      }
    }
    // Binary counting: partial sum p closes as many subtrees as p has trailing ones.
    for (int bits = p; bits & 1; bits >>= 1) {
      --height;
      for (int d = 0; d < e.D(); ++d) {
        for (int v = 0; v < V; ++v) acc[d][v] = stack[height][d][v] + acc[d][v];
      }
    }
    for (int d = 0; d < e.D(); ++d) {
      for (int v = 0; v < V; ++v) stack[height][d][v] = acc[d][v];
    }
    ++height;
  }
  for (int d = 0; d < e.D(); ++d) {
    for (int v = 0; v < V; ++v) {
      drift[d][v] = stack[0][d][v] - z[d][v];
      if (!net.c.empty()) drift[d][v] = drift[d][v] + Pack(net.c[static_cast<std::size_t>(d)]);
    }
  }
  if (net.M.empty()) return;
  for (int v = 0; v < V; ++v) {
    Pack f[E::max_D];
    for (int d = 0; d < e.D(); ++d) f[d] = drift[d][v];
    for (int d = 0; d < e.D(); ++d) {
      const float* row = net.M.data() + d * e.D();
      Pack g = f[0] * Pack(row[0]);
      for (int i = 1; i < e.D(); ++i) g = fma(f[i], Pack(row[i]), g);
      drift[d][v] = g;
    }
  }
}

// Gathers column k of V packs of rows, `n` of them real; spare lanes read zero.
template <int V>
TARN_HD void gather(const float* rows, std::int64_t stride, int n, Pack (&column)[V]) {
  alignas(64) float value[V * pack_lanes] = {};
  for (int i = 0; i < n; ++i) value[i] = rows[i * stride];
  for (int v = 0; v < V; ++v) column[v] = Pack::load(value + v * pack_lanes);
}
template <int V>
TARN_HD void scatter(const Pack (&column)[V], float* rows, std::int64_t stride, int n) {
  alignas(64) float value[V * pack_lanes];
  for (int v = 0; v < V; ++v) column[v].store(value + v * pack_lanes);
  for (int i = 0; i < n; ++i) rows[i * stride] = value[i];
}

// Normals of one Philox block for V packs of consecutive chains: four components, or two steps of two, or four steps of one.
template <int V>
TARN_HD void normals_of_block(std::uint64_t seed, std::uint64_t subsequence, std::uint64_t block,
                              Pack (&normal)[4][V]) {
  alignas(64) std::uint32_t low[pack_lanes], high[pack_lanes];
  for (int v = 0; v < V; ++v) {
    for (int i = 0; i < pack_lanes; ++i) {
      const std::uint64_t s = subsequence + static_cast<std::uint64_t>(v * pack_lanes + i);
      low[i] = static_cast<std::uint32_t>(s);
      high[i] = static_cast<std::uint32_t>(s >> 32);
    }
    WordPack c[4] = {WordPack(static_cast<std::uint32_t>(block)), WordPack(static_cast<std::uint32_t>(block >> 32)),
                     WordPack::load(low), WordPack::load(high)};
    philox4x32_10(c, seed);
    normal_pair(c[0], c[1], normal[0][v], normal[1][v]);
    normal_pair(c[2], c[3], normal[2][v], normal[3][v]);
  }
}

// The normals of one step after another, keeping the block in hand while it serves several steps.
template <int V, int max_D>
struct NoiseReader {
  std::uint64_t seed, subsequence;
  std::int64_t D, stride;
  std::uint64_t block = ~std::uint64_t{0};
  Pack held[4][V] = {};

  TARN_HD void read(std::uint64_t step, Pack (&normal)[max_D][V]) {
    if (stride < 4) {
      const std::uint64_t offset = step * static_cast<std::uint64_t>(stride);
      if (offset / 4 != block) {
        block = offset / 4;
        normals_of_block<V>(seed, subsequence, block, held);
      }
      for (int d = 0; d < D; ++d) {
        for (int v = 0; v < V; ++v) normal[d][v] = held[offset % 4 + static_cast<std::uint64_t>(d)][v];
      }
      return;
    }
    for (std::int64_t first = 0; first < D; first += 4) {
      normals_of_block<V>(seed, subsequence,
                          (step * static_cast<std::uint64_t>(stride) + static_cast<std::uint64_t>(first)) / 4, held);
      for (std::int64_t d = first; d < D && d < first + 4; ++d) {
        for (int v = 0; v < V; ++v) normal[d][v] = held[d - first][v];
      }
    }
  }
};

// Chains that are not finite or beyond the bound read NaN from here on; the first such step is kept.
// A momentum that is not finite has moved x to where it is not either, so x alone is looked at.
template <int V, class E>
TARN_HD void quarantine(const E& e, float bound, std::uint64_t step, int n, Pack (&z)[E::max_K][V], Pack (*momentum)[V],
                        std::int64_t* first_bad_step) {
  const float limit =
      bound * bound < std::numeric_limits<float>::max() ? bound * bound : std::numeric_limits<float>::max();
  for (int v = 0; v < V; ++v) {
    Pack square = z[0][v] * z[0][v];
    for (int d = 1; d < e.D(); ++d) square = fma(z[d][v], z[d][v], square);
    const Mask well = square <= Pack(limit);
    const Mask bad = !well;
    if (!any(bad)) continue;
    const Pack nan(std::numeric_limits<float>::quiet_NaN());
    for (int d = 0; d < e.D(); ++d) z[d][v] = select(well, z[d][v], nan);
    for (int d = 0; momentum && d < e.D(); ++d) momentum[d][v] = select(well, momentum[d][v], nan);
    for (int i = 0; i < pack_lanes && v * pack_lanes + i < n; ++i) {
      std::int64_t& first = first_bad_step[v * pack_lanes + i];
      if (first < 0 && lane(bad, i)) first = static_cast<std::int64_t>(step);
    }
  }
}

template <Nonlinearity phi, int D_, int K_, bool has_momentum>
void advance_pass(const SmallLangevinCall& call, std::int64_t begin, int n) {
  constexpr int V = packs_a_pass<phi, D_>();
  using E = Extents<D_, K_>;
  const SmallNetwork& net = *call.network;
  const LangevinSteps& s = call.steps;
  const E e{net};
  const bool midpoint = s.integrator == Integrator::leimkuhler_matthews;
  const Pack dt(s.dt);
  // Leimkuhler and Matthews (2013): each normal serves two steps at half weight.
  const Pack scale(static_cast<float>(std::sqrt(midpoint ? 0.5 * s.dt : 2.0 * s.dt) * s.noise_scale));

  MomentumStep momentum_step;
  if constexpr (has_momentum) momentum_step = tarn::momentum_step(s);

  Pack z[E::max_K][V], drift[E::max_D][V], normal[E::max_D][V], next[E::max_D][V];
  Pack momentum[has_momentum ? E::max_D : 1][V];
  for (int k = 0; k < e.D(); ++k) gather<V>(call.block.x.row(begin) + k, e.D(), n, z[k]);
  for (int k = e.D(); k < e.K(); ++k) gather<V>(call.block.u.row(begin) + (k - e.D()), e.K() - e.D(), n, z[k]);
  if constexpr (has_momentum) {
    for (int d = 0; d < e.D(); ++d) gather<V>(call.block.v.row(begin) + d, e.D(), n, momentum[d]);
  }
  const std::uint64_t subsequence =
      static_cast<std::uint64_t>(Stream::dynamics) << 48 | (s.first_chain + static_cast<std::uint64_t>(begin));
  NoiseReader<V, E::max_D> noise{s.seed, subsequence, e.D(), step_stride(e.D())};
  if (midpoint) noise.read(s.first_step, next);

  for (std::int64_t t = 0; t < s.n_steps; ++t) {
    const std::uint64_t step = s.first_step + static_cast<std::uint64_t>(t);
    if (midpoint) {
      for (int d = 0; d < e.D(); ++d) {
        for (int v = 0; v < V; ++v) normal[d][v] = next[d][v];
      }
      noise.read(step + 1, next);
      for (int d = 0; d < e.D(); ++d) {
        for (int v = 0; v < V; ++v) normal[d][v] = normal[d][v] + next[d][v];
      }
    } else {
      noise.read(step, normal);
    }
    drift_of<phi, V>(net, e, z, drift);
    for (int d = 0; d < e.D(); ++d) {
      for (int v = 0; v < V; ++v) {
        if constexpr (has_momentum) {
          take_momentum_step(momentum_step, drift[d][v], normal[d][v], z[d][v], momentum[d][v]);
        } else {
          z[d][v] = fma(scale, normal[d][v], fma(dt, drift[d][v], z[d][v]));
        }
      }
    }
    if (call.block.clamp.data) {
      for (int d = 0; d < e.D(); ++d) {
        Pack held[V];
        gather<V>(call.block.clamp.row(begin) + d, e.D(), n, held);
        for (int v = 0; v < V; ++v) {
          const Mask is_held = held[v] == held[v];  // NaN leaves it free
          z[d][v] = select(is_held, held[v], z[d][v]);
          if constexpr (has_momentum) momentum[d][v] = select(is_held, Pack(0.0f), momentum[d][v]);
        }
      }
    }
    quarantine<V>(e, s.bound, step, n, z, has_momentum ? momentum : nullptr, call.block.first_bad_step + begin);
  }
  for (int k = 0; k < e.D(); ++k) scatter<V>(z[k], call.block.x.row(begin) + k, e.D(), n);
  if constexpr (has_momentum) {
    for (int d = 0; d < e.D(); ++d) scatter<V>(momentum[d], call.block.v.row(begin) + d, e.D(), n);
  }
}

template <Nonlinearity phi, int D_, int K_>
void drift_pass(const SmallDriftCall& call, std::int64_t begin, int n) {
  constexpr int V = packs_a_pass<phi, D_>();
  using E = Extents<D_, K_>;
  const E e{*call.network};
  Pack z[E::max_K][V], drift[E::max_D][V];
  for (int k = 0; k < e.K(); ++k) gather<V>(call.points.row(begin) + k, e.K(), n, z[k]);
  drift_of<phi, V>(*call.network, e, z, drift);
  for (int d = 0; d < e.D(); ++d) scatter<V>(drift[d], call.out.row(begin) + d, e.D(), n);
}

// Calls `pass<phi, D, K>(begin, n)` over passes of chains, with D and K fixed where they are common.
template <class F>
void for_passes(const SmallNetwork& net, std::int64_t begin, std::int64_t end, F&& pass) {
  dispatch(net.phi, [&](auto phi) {
    const auto over = [&](auto D, auto K) {
      constexpr int lanes = packs_a_pass<phi.value, D.value>() * pack_lanes;
      for (std::int64_t i = begin; i < end; i += lanes)
        pass(phi, D, K, i, static_cast<int>(end - i < lanes ? end - i : lanes));
    };
    using std::integral_constant;
    if constexpr (is_rectifier(phi.value)) {
      if (net.n_outputs == 1 && net.n_columns == 1)
        return over(integral_constant<int, 1>{}, integral_constant<int, 1>{});
      if (net.n_outputs == 2 && net.n_columns == 2)
        return over(integral_constant<int, 2>{}, integral_constant<int, 2>{});
    }
    over(integral_constant<int, 0>{}, integral_constant<int, 0>{});
  });
}

void advance(const SmallLangevinCall& call, std::int64_t begin, std::int64_t end) {
  for_passes(*call.network, begin, end, [&](auto phi, auto D, auto K, std::int64_t first, int n) {
    if (call.steps.integrator == Integrator::baoab) {
      advance_pass<phi.value, D.value, K.value, true>(call, first, n);
    } else {
      advance_pass<phi.value, D.value, K.value, false>(call, first, n);
    }
  });
}

void drift(const SmallDriftCall& call, std::int64_t begin, std::int64_t end) {
  for_passes(*call.network, begin, end, [&](auto phi, auto D, auto K, std::int64_t first, int n) {
    drift_pass<phi.value, D.value, K.value>(call, first, n);
  });
}

}  // namespace

const SmallKernels table{advance, drift, packs_a_pass<Nonlinearity::relu, 1>() * pack_lanes};

}  // namespace tarn::cpu::TARN_ISA
