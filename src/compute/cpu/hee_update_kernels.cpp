// One step of the units of a layer, and the nonlinearities through which they drive the layer below (docs/hee.md). Compiled once per
// instruction set; the same bits on each.
#include "lane_noise.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/families.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

// What pulls at a unit: message from below, prior from above.
template <class Law>
TARN_HD Pack drift_of(const Law& law, const HeeUpdateCall& q, std::int64_t i, const Pack& x) {
  const Pack prior = fma(law.statistic_derivative(x), Pack::load(q.eta + i), law.log_base_derivative(x));
  return q.message ? Pack::load(q.message + i) + prior : prior;
}

// Calls `step(i, normal)` for each unit at the place `i` of its sixteen chains, and adds the squares that it returns.
template <class Step>
TARN_HD void each_unit(const HeeUpdateCall& q, Step&& step) {
  for (int v = 0; v < q.packs; ++v) {
    const LaneChains chains = lane_chains(q.noise.subsequence + static_cast<std::uint64_t>(v * pack_lanes));
    Pack square = Pack::load(q.square + v * pack_lanes);
    each_normal(q.noise.seed, chains, q.noise.offset, q.n_units,
                [&](std::int64_t row, const Pack& normal)
                    TARN_INLINE_LAMBDA { square = step(row * panel_lanes + v * pack_lanes, normal, square); });
    square.store(q.square + v * pack_lanes);
  }
}

template <class Law>
void overdamped(const HeeUpdateCall& call) {
  const HeeUpdateCall q = call;  // copies, so that stores cannot be taken to change them
  const Law law = *static_cast<const Law*>(q.law);
  each_unit(q, [&](std::int64_t i, Pack normal, const Pack& square) TARN_INLINE_LAMBDA {
    Pack x = Pack::load(q.x + i);
    Pack drift = drift_of(law, q, i, x);
    if (q.v) {
      const Pack v = Pack::load(q.v + i), next = fma(Pack(q.v_rate), fma(Pack(q.strength), x, Pack(0.0f) - v), v);
      drift = drift - v;
      next.store(q.v + i);
    }
    if (q.kept) {
      const Pack before = Pack::load(q.kept + i);
      normal.store(q.kept + i);
      normal = before + normal;
    }
    x = law.confine(fma(Pack(q.scale), normal, fma(Pack(q.dt), drift, x)));
    x.store(q.x + i);
    return fma(x, x, square);
  });
}

// Moves by half a step of momentum; where that leaves the domain, position and momentum are reflected.
template <class Law>
TARN_HD void glide(const Law& law, float half, Pack& x, Pack& v) {
  const Pack free = fma(Pack(half), v, x);
  x = law.confine(free);
  v = select(x == free, v, Pack(0.0f) - v);
}

template <class Law>
void momentum(const HeeUpdateCall& call) {
  const HeeUpdateCall q = call;
  const Law law = *static_cast<const Law*>(q.law);
  const float half = 0.5f * q.dt;
  each_unit(q, [&](std::int64_t i, const Pack& normal, const Pack& square) TARN_INLINE_LAMBDA {
    Pack x = Pack::load(q.x + i);
    Pack v = fma(Pack(q.dt), drift_of(law, q, i, x), Pack::load(q.v + i));
    glide(law, half, x, v);
    v = fma(Pack(q.scale), normal, Pack(q.decay) * v);
    glide(law, half, x, v);
    x.store(q.x + i);
    v.store(q.v + i);
    return fma(x, x, fma(v, v, square));
  });
}

void activate_layer(Nonlinearity f, const float* x, float* fx, std::int64_t n) {
  dispatch(f, [=](auto phi) {
    for (std::int64_t i = 0; i < n; i += pack_lanes) activate<phi.value>(Pack::load(x + i)).store(fx + i);
  });
}

void derive_layer(Nonlinearity f, const float* x, const float* fx, float* message, std::int64_t n) {
  dispatch(f, [=](auto phi) {
    for (std::int64_t i = 0; i < n; i += pack_lanes) {
      const Pack slope = activate_derivative<phi.value>(Pack::load(x + i), Pack::load(fx + i));
      (Pack::load(message + i) * slope).store(message + i);
    }
  });
}

void accumulate(const float* x, float* sum, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += pack_lanes) (Pack::load(sum + i) + Pack::load(x + i)).store(sum + i);
}

}  // namespace

#define TARN_EACH_FAMILY(function)                                                                   \
  {                                                                                                  \
    function<families::Gaussian>, function<families::Laplace>, function<families::GaussianScale>,    \
        function<families::LaplaceScale>, function<families::Quartic>, function<families::Rectified> \
  }
const HeeUpdateKernels hee_update_table{TARN_EACH_FAMILY(overdamped), TARN_EACH_FAMILY(momentum), activate_layer,
                                        derive_layer, accumulate};
#undef TARN_EACH_FAMILY

}  // namespace tarn::cpu::TARN_ISA
