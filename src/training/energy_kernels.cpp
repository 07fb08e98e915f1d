// Compiled once per instruction set.
#include "energy_kernels.hpp"

#include "cpu/adam_update.hpp"
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

void adam(const AdamStep& step, std::int64_t n, const float* gradient, const AdamRun& at) {
  const auto slots = [&](std::int64_t i) {
    return cpu::TARN_ISA::AdamSlots{at.weight + i, at.first + i, at.second + i, at.largest + i, at.average + i};
  };
  in_packs(
      n, [&](std::int64_t i) { cpu::TARN_ISA::adam_update(step, Pack::load(gradient + i), slots(i)); },
      [&](std::int64_t i, std::int64_t count) {
        alignas(64) float room[5][pack_lanes] = {};
        const cpu::TARN_ISA::AdamSlots from = slots(i), in{room[0], room[1], room[2], room[3], room[4]};
        float* const there[] = {from.weight, from.first, from.second, from.largest, from.average};
        const auto used = [&](int k) { return k < 3 || (k == 3 ? step.amsgrad : step.ema > 0.0f); };
        for (int k = 0; k < 5; ++k) {
          for (std::int64_t j = 0; used(k) && j < count; ++j) room[k][j] = there[k][j];
        }
        cpu::TARN_ISA::adam_update(step, load_some(gradient + i, count), in);
        for (int k = 0; k < 5; ++k) {
          for (std::int64_t j = 0; used(k) && j < count; ++j) there[k][j] = room[k][j];
        }
      });
}

}  // namespace

const Kernels table{rate, potential, fire, adam};

}  // namespace tarn::energy::TARN_ISA
