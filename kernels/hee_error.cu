// error = (T(x) - m) g'(a),  eta = g(a);  m = A'(eta), or the mean of T(e) over interneurons that take `substeps` steps first:
//   e = exact Ornstein-Uhlenbeck step, where the family has one, else  e + dt (T'(e) eta + (log h)'(e)) + sqrt(2 dt) xi, reflected
//
// A thread has four neighbouring units of a chain, and their interneurons: whole Philox blocks. Arrays row-major, read and written once: 12
// bytes a unit, 4 more where eta is kept, 8 more an interneuron. 128 threads a block, no shared memory, no sums over threads: deterministic.
#include <type_traits>

#include "hee_error.hpp"
#include "hee_normals.cuh"
#include "platform.cuh"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {
namespace {

constexpr int threads = 128;

/// The numbers of a substep of an interneuron of this family.
template <class Law>
struct EulerStep {
  float dt, scale;
  template <class V>
  TARN_HD V operator()(const Law& law, V e, V eta, V normal) const {
    const V drift = fma(law.statistic_derivative(e), eta, law.log_base_derivative(e));
    return law.confine(fma(V(scale), normal, fma(V(dt), drift, e)));
  }
};
template <class Law>
struct ExactStep {
  typename Law::Relaxation relaxation;
  template <class V>
  TARN_HD V operator()(const Law&, V e, V eta, V normal) const {
    return relaxation(e, eta, normal);
  }
};
template <class Law, bool exact = Law::exact_relaxation>
struct SubstepOf {
  using type = EulerStep<Law>;
};
template <class Law>
struct SubstepOf<Law, true> {
  using type = ExactStep<Law>;
};
template <class Law>
using Substep = typename SubstepOf<Law>::type;

template <class Law>
Substep<Law> make_substep(const Law& law, double time) {
  if constexpr (Law::exact_relaxation) {
    return {law.relaxation(time)};
  } else {
    const auto dt = static_cast<float>(time);
    return {dt, std::sqrt(2.0f * dt)};
  }
}

/// The sum of T(e) over the interneurons and substeps of four units from `first` on.
template <bool aligned, class Law>
__device__ __forceinline__ void run_interneurons(const Law& law, const Substep<Law>& substep, const HeeErrorCall& q,
                                                 const HeeClock& clock, std::uint64_t step, std::int64_t row,
                                                 std::int64_t first, const float (&eta)[4], float (&sum)[4]) {
  const std::int64_t M = q.per_unit, n = q.n_units * M;
  const auto stride = static_cast<std::uint64_t>(step_stride(n));
  const std::uint64_t subsequence = (static_cast<std::uint64_t>(Stream::interneurons) + q.layer) << 48 |
                                    (clock.first_chain + static_cast<std::uint64_t>(row));
  const auto substeps = static_cast<std::uint64_t>(q.substeps);
  float* const e = q.e + row * q.e_stride + first * M;
  for (std::uint64_t s = 0; s < substeps; ++s) {
    const std::uint64_t offset = (step * substeps + s) * stride + static_cast<std::uint64_t>(first * M);
    for (std::int64_t block = 0; block < M; ++block) {
      if (first * M + 4 * block >= n) break;
      float normal[4], state[4];
      four_normals<aligned>(clock.seed, subsequence, offset + 4 * static_cast<std::uint64_t>(block), normal);
      load_four(e + 4 * block, state);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const std::int64_t within = 4 * block + k;
        if (first * M + within >= n) break;
        const std::int64_t u = M == 1 ? k : within / M;
        // selections, since an index would put eta and the sums into memory
        const float its_eta = u & 2 ? (u & 1 ? eta[3] : eta[2]) : (u & 1 ? eta[1] : eta[0]);
        state[k] = substep(law, state[k], its_eta, normal[k]);
        const float statistic = law.statistic(state[k]);
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[j] = u == j ? add(sum[j], statistic) : sum[j];
      }
      store_four(e + 4 * block, state);
    }
  }
}

template <bool sampled, bool aligned, class Law>
__global__ void __launch_bounds__(threads)
    hee_error_kernel(Law law, Substep<Law> substep, HeeErrorCall q, const HeeClock* __restrict__ clock,
                     std::uint64_t step_offset) {
  const std::int64_t groups = (q.n_units + 3) / 4;
  const std::int64_t item = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (item >= q.n_rows * groups) return;
  const std::int64_t row = item / groups, first = item % groups * 4;
  const std::int64_t at = row * q.stride + first;
  float* const its_a = q.a + (q.shared_a ? first : at);
  float x[4], a[4], eta[4], mean[4], error[4];
  load_four(q.x + at, x);
  load_four(its_a, a);
#pragma unroll
  for (int k = 0; k < 4; ++k) eta[k] = law.link(a[k]);
  if constexpr (sampled) {
    const float share = 1.0f / static_cast<float>(q.per_unit * q.substeps);
#pragma unroll
    for (int k = 0; k < 4; ++k) mean[k] = 0.0f;
    run_interneurons<aligned>(law, substep, q, *clock, clock->step + step_offset, row, first, eta, mean);
#pragma unroll
    for (int k = 0; k < 4; ++k) mean[k] = mul(mean[k], share);
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) mean[k] = law.mean_statistic(eta[k]);
  }
  const bool lost = q.first_bad_step[row] >= 0;
  bool finite = true;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const bool is_unit = first + k < q.n_units;
    error[k] = mul(sub(law.statistic(x[k]), mean[k]), law.link_derivative(a[k], eta[k]));
    const bool good = abs(error[k]) <= largest_error;
    finite = finite && (good || !is_unit);
    error[k] = lost || !good || !is_unit ? 0.0f : error[k];  // one chain's errors must not reach the sums over chains
    if (!is_unit) eta[k] = a[k];
  }
  if (!finite && !lost) q.bad[row] = 1;
  store_four(q.error + at, error);
  if (q.keeps_eta) store_four(its_a, eta);
}

}  // namespace

void launch_hee_error(const HeeLaw& law, const HeeErrorCall& call, bool sampled, const HeeClock* clock,
                      std::uint64_t step_offset, StreamHandle stream) {
  const std::int64_t items = call.n_rows * ((call.n_units + 3) / 4);
  if (items == 0) return;
  const LaunchConfig config{dim3(static_cast<unsigned>((items + threads - 1) / threads)), dim3(threads), 0, stream};
  std::visit(
      [&](const auto& its) {
        using Law = std::decay_t<decltype(its)>;
        const Substep<Law> substep = make_substep(its, call.time);
        if (!sampled) {
          launch(hee_error_kernel<false, true, Law>, config, its, substep, call, clock, step_offset);
        } else if (step_stride(call.n_units * call.per_unit) >= 4) {
          launch(hee_error_kernel<true, true, Law>, config, its, substep, call, clock, step_offset);
        } else {
          launch(hee_error_kernel<true, false, Law>, config, its, substep, call, clock, step_offset);
        }
      },
      law);
}

}  // namespace tarn::cuda
