// Errors of a layer's units, and the interneurons that predict them (docs/hee.md). Compiled once per instruction set; the same bits on
// each.
#include "lane_noise.hpp"
#include "tarn/core/families.hpp"

namespace tarn::cpu::TARN_ISA {
namespace {

template <class Law>
void exact_error(const HeeErrorCall& call) {
  const HeeErrorCall q = call;  // copies, so that stores cannot be taken to change them
  const Law law = *static_cast<const Law*>(q.law);
  for (std::int64_t u = 0; u < q.n_units; ++u) {
    for (int v = 0; v < q.packs; ++v) {
      const std::int64_t i = u * panel_lanes + v * pack_lanes;
      const Pack a = Pack::load(q.a + i), eta = law.link(a);
      if (q.keeps_eta) eta.store(q.a + i);
      const Pack error = law.statistic(Pack::load(q.x + i)) - law.mean_statistic(eta);
      (error * law.link_derivative(a, eta)).store(q.error + i);
    }
  }
}

// One step of an interneuron.
template <class Law>
TARN_HD Pack relax(const Law& law, const HeeErrorCall& q, Pack e, Pack eta, Pack normal) {
  if constexpr (Law::exact_relaxation) {
    return (*static_cast<const typename Law::Relaxation*>(q.relaxation))(e, eta, normal);
  } else {
    const Pack drift = fma(law.statistic_derivative(e), eta, law.log_base_derivative(e));
    return law.confine(fma(Pack(q.scale), normal, fma(Pack(q.dt), drift, e)));
  }
}

// Four units of sixteen chains at a time, since four interneurons share a block of noise: with any number a unit, four units start
// with a new block. (Where a whole step has but one or two interneurons, a block serves several steps.)
template <class Law>
void sampled_error(const HeeErrorCall& call) {
  const HeeErrorCall q = call;
  const Law law = *static_cast<const Law*>(q.law);
  const std::int64_t M = q.per_unit;
  const Pack share(1.0f / static_cast<float>(M * q.substeps));
  for (int v = 0; v < q.packs; ++v) {
    const LaneChains chains = lane_chains(q.noise.subsequence + static_cast<std::uint64_t>(v * pack_lanes));
    for (std::int64_t first = 0; first < q.n_units; first += 4) {
      const auto units = static_cast<int>(q.n_units - first < 4 ? q.n_units - first : 4);
      const std::int64_t at = first * panel_lanes + v * pack_lanes;
      float* e = q.e + first * M * panel_lanes + v * pack_lanes;
      Pack a[4], eta[4], sum[4];
      for (int u = 0; u < 4; ++u) {
        a[u] = Pack::load(q.a + at + (u < units ? u : 0) * panel_lanes);
        eta[u] = law.link(a[u]);
        sum[u] = Pack(0.0f);
      }
      for (int substep = 0; substep < q.substeps; ++substep) {
        const std::uint64_t offset = q.noise.offset + static_cast<std::uint64_t>(substep) * q.stride;
        if (M == 1 && units == 4) [[likely]] {
          Pack normal[4];
          block_normals(q.noise.seed, chains, (offset + static_cast<std::uint64_t>(first)) / 4, normal);
          for (int u = 0; u < 4; ++u) {
            const Pack next = relax(law, q, Pack::load(e + u * panel_lanes), eta[u], normal[u]);
            next.store(e + u * panel_lanes);
            sum[u] = sum[u] + law.statistic(next);
          }
          continue;
        }
        each_normal(q.noise.seed, chains, offset + static_cast<std::uint64_t>(first * M), units * M,
                    [&](std::int64_t row, const Pack& normal) TARN_INLINE_LAMBDA {
                      const std::int64_t u = row / M;
                      const Pack next = relax(law, q, Pack::load(e + row * panel_lanes), eta[u], normal);
                      next.store(e + row * panel_lanes);
                      sum[u] = sum[u] + law.statistic(next);
                    });
      }
      for (int u = 0; u < units; ++u) {
        const std::int64_t i = at + u * panel_lanes;
        if (q.keeps_eta) eta[u].store(q.a + i);
        const Pack error = law.statistic(Pack::load(q.x + i)) - sum[u] * share;
        (error * law.link_derivative(a[u], eta[u])).store(q.error + i);
      }
    }
  }
}

template <class Law>
void statistic(const void* values, const float* x, float* out, std::int64_t n) {
  const Law law = *static_cast<const Law*>(values);
  for (std::int64_t i = 0; i < n; i += pack_lanes) law.statistic(Pack::load(x + i)).store(out + i);
}

}  // namespace

#define TARN_EACH_FAMILY(function)                                                                   \
  {                                                                                                  \
    function<families::Gaussian>, function<families::Laplace>, function<families::GaussianScale>,    \
        function<families::LaplaceScale>, function<families::Quartic>, function<families::Rectified> \
  }
const HeeErrorKernels hee_error_table{TARN_EACH_FAMILY(exact_error), TARN_EACH_FAMILY(sampled_error),
                                      TARN_EACH_FAMILY(statistic)};
#undef TARN_EACH_FAMILY

}  // namespace tarn::cpu::TARN_ISA
