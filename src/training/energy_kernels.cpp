// Compiled once per instruction set.
#include "energy_kernels.hpp"

#include "adam_math.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::energy::TARN_ISA {
namespace {

// Calls `whole(at)` for each sixteen elements from `at` on, and `rest(at, count)` for what is left.
template <class Whole, class Rest>
TARN_HD void in_packs(std::int64_t n, Whole whole, Rest rest) {
  std::int64_t at = 0;
  for (; at + pack_lanes <= n; at += pack_lanes) whole(at);
  if (at < n) rest(at, n - at);
}

TARN_HD Pack load_some(const float* from, std::int64_t n) {
  alignas(64) float lanes[pack_lanes] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i] = from[i];
  return Pack::load(lanes);
}
TARN_HD void store_some(const Pack& values, float* to, std::int64_t n) {
  alignas(64) float lanes[pack_lanes];
  values.store(lanes);
  for (std::int64_t i = 0; i < n; ++i) to[i] = lanes[i];
}

template <class F>
TARN_HD void map(std::int64_t n, const float* in, float* out, F f) {
  in_packs(
      n, [&](std::int64_t at) { f(Pack::load(in + at)).store(out + at); },
      [&](std::int64_t at, std::int64_t count) { store_some(f(load_some(in + at, count)), out + at, count); });
}

void rate(Nonlinearity phi, std::int64_t n, const float* u, float* out) {
  if (phi == Nonlinearity::tanh) {
    map(n, u, out, [](Pack x) { return activate<Nonlinearity::tanh>(x); });
  } else {
    map(n, u, out, [](Pack x) { return activate<Nonlinearity::sigmoid>(x); });
  }
}

void potential(Nonlinearity phi, std::int64_t n, const float* u, float* out) {
  if (phi == Nonlinearity::tanh) {  // log cosh x = softplus(2 x) - x - log 2
    map(n, u, out, [](Pack x) {
      const Pack size = select(x > Pack(0.0f), x, sub(Pack(0.0f), x));
      return add(activate<Nonlinearity::softplus>(mul(Pack(-2.0f), size)), sub(size, Pack(0.69314718f)));
    });
  } else {
    map(n, u, out, [](Pack x) { return activate<Nonlinearity::softplus>(x); });
  }
}

void fire(std::int64_t n, const std::uint32_t* words, const float* p, float* out) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float uniform = static_cast<float>(static_cast<std::int32_t>(words[i] >> 8)) * 5.9604645e-8f + 2.9802322e-8f;
    out[i] = uniform < p[i] ? 1.0f : 0.0f;
  }
}

void adam(const AdamStep& s, std::int64_t n, const float* gradient, const AdamRun& at) {
  const auto step = [&](std::int64_t i, auto load, auto store) {
    AdamValues<Pack> p{load(at.weight + i), load(at.first + i), load(at.second + i),
                       s.amsgrad ? load(at.largest + i) : Pack(0.0f), s.ema > 0.0f ? load(at.average + i) : Pack(0.0f)};
    adam_update_values(s, load(gradient + i), p);
    store(p.weight, at.weight + i);
    store(p.first, at.first + i);
    store(p.second, at.second + i);
    if (s.amsgrad) store(p.largest, at.largest + i);
    if (s.ema > 0.0f) store(p.average, at.average + i);
  };
  in_packs(
      n,
      [&](std::int64_t i) {
        step(
            i, [](const float* from) { return Pack::load(from); }, [](const Pack& v, float* to) { v.store(to); });
      },
      [&](std::int64_t i, std::int64_t count) {
        step(
            i, [&](const float* from) { return load_some(from, count); },
            [&](const Pack& v, float* to) { store_some(v, to, count); });
      });
}

}  // namespace

const Kernels table{rate, potential, fire, adam};

}  // namespace tarn::energy::TARN_ISA
