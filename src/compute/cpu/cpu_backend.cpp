#include "cpu_backend.hpp"

#include <omp.h>

#include <algorithm>
#include <mutex>

#include "large_dsm.hpp"
#include "large_langevin.hpp"
#include "large_session.hpp"
#include "small_kernels.hpp"
#include "small_session.hpp"
#include "tarn/core/log.hpp"

namespace tarn {
namespace cpu {
namespace {

class CpuNetwork final : public PreparedNetwork {
 public:
  explicit CpuNetwork(const NetworkView& network) : view_(network) {
    if (is_small(network)) small_ = std::make_unique<SmallNetwork>(network);
  }
  const NetworkView& view() const override { return view_; }
  /// Null where matrix products are the faster way.
  const SmallNetwork* small() const { return small_.get(); }
  /// Made when it is first needed: small networks need it in reservoir mode only.
  const LargeNetwork& large() const {
    std::call_once(made_, [&] { large_ = std::make_unique<LargeNetwork>(view_); });
    return *large_;
  }

 private:
  NetworkView view_;
  std::unique_ptr<SmallNetwork> small_;
  mutable std::once_flag made_;
  mutable std::unique_ptr<LargeNetwork> large_;
};

const CpuNetwork& own(const PreparedNetwork& network) {
  const auto* cpu = dynamic_cast<const CpuNetwork*>(&network);
  require(cpu != nullptr, "this network was prepared for another device");
  return *cpu;
}

void check(const NetworkView& n, const LangevinSteps& steps, const ChainBlock& block) {
  const std::int64_t B = block.x.rows;
  require(block.x.cols == n.n_outputs, "chains have {} outputs, the network {}", block.x.cols, n.n_outputs);
  require(n.n_inputs == 0 || (block.u.rows == B && block.u.cols == n.n_inputs),
          "inputs must be [{}, {}], found [{}, {}]", B, n.n_inputs, block.u.rows, block.u.cols);
  require(!block.clamp.data || (block.clamp.rows == B && block.clamp.cols == n.n_outputs),
          "clamp must be [{}, {}], found [{}, {}]", B, n.n_outputs, block.clamp.rows, block.clamp.cols);
  require(block.first_bad_step != nullptr, "a block of chains needs first_bad_step");
  require(steps.dt > 0.0f && steps.n_steps >= 0, "dt must be above 0 and steps not negative, found {} and {}", steps.dt,
          steps.n_steps);
  require(steps.bound > 0.0f, "the bound must be above 0, found {}", steps.bound);
}

}  // namespace

CpuBackend::CpuBackend(int n_threads) : n_threads_(n_threads > 0 ? n_threads : omp_get_num_procs()) {
  omp_set_num_threads(n_threads_);
}

std::string CpuBackend::description() const {
  return fmt::format("{}, {} thread{}", name_of(current_isa()), n_threads_, n_threads_ == 1 ? "" : "s");
}

std::unique_ptr<PreparedNetwork> CpuBackend::prepare(const NetworkView& n) {
  require(n.n_outputs > 0 && n.n_inputs >= 0 && n.n_neurons > 0,
          "network: needs D > 0, U >= 0, N > 0, found D = {}, U = {}, N = {}", n.n_outputs, n.n_inputs, n.n_neurons);
  require(n.W_in && n.b && n.W_out, "network: W_in, b and W_out are required");
  return std::make_unique<CpuNetwork>(n);
}

void CpuBackend::advance(const PreparedNetwork& network, const LangevinSteps& steps, const ChainBlock& block) {
  const CpuNetwork& net = own(network);
  check(net.view(), steps, block);
  if (!net.small()) return advance_large(net.large(), steps, block, n_threads_);
  const auto& kernels = small_kernels(current_isa());
  const SmallLangevinCall call{net.small(), steps, block};
  const std::int64_t B = block.x.rows, piece = kernels.chains_a_pass;
#pragma omp parallel for schedule(dynamic) num_threads(n_threads_)
  for (std::int64_t begin = 0; begin < B; begin += piece) kernels.advance(call, begin, std::min(begin + piece, B));
}

void CpuBackend::drift(const PreparedNetwork& network, MatrixView<const float> points, MatrixView<float> out) {
  const CpuNetwork& net = own(network);
  const NetworkView& n = net.view();
  require(points.cols == n.n_outputs + n.n_inputs && out.rows == points.rows && out.cols == n.n_outputs,
          "drift: points [{}, {}] and result [{}, {}] do not fit D = {}, U = {}", points.rows, points.cols, out.rows,
          out.cols, n.n_outputs, n.n_inputs);
  if (!net.small()) return drift_large(net.large(), points, out, n_threads_);
  const auto& kernels = small_kernels(current_isa());
  const SmallDriftCall call{net.small(), points, out};
  const std::int64_t piece = kernels.chains_a_pass;
#pragma omp parallel for schedule(dynamic) num_threads(n_threads_)
  for (std::int64_t begin = 0; begin < points.rows; begin += piece)
    kernels.drift(call, begin, std::min(begin + piece, points.rows));
}

void CpuBackend::advance_reservoir(const PreparedNetwork& network, const LangevinSteps& steps,
                                   const ReservoirBlock& block) {
  const CpuNetwork& net = own(network);
  const NetworkView& n = net.view();
  check(n, steps, block.chains);
  require(!n.c, "reservoir mode: sampler-only networks have no reservoir");
  require(block.r.rows == block.chains.x.rows && block.r.cols == n.n_neurons,
          "reservoir mode: r must be [{}, {}], found [{}, {}]", block.chains.x.rows, n.n_neurons, block.r.rows,
          block.r.cols);
  require(block.P.rows == n.n_neurons && block.P.cols == n.n_outputs,
          "reservoir mode: P must be [{}, {}], found [{}, {}]", n.n_neurons, n.n_outputs, block.P.rows, block.P.cols);
  require(!block.private_noise.data || (block.private_noise.rows == 1 && block.private_noise.cols == n.n_neurons),
          "reservoir mode: private noise must be [1, {}], found [{}, {}]", n.n_neurons, block.private_noise.rows,
          block.private_noise.cols);
  advance_reservoir_large(net.large(), steps, block, n_threads_);
}

DsmLoss CpuBackend::dsm_gradient(const DsmParameters& p, const DsmLevel& level, const DsmBatch& batch,
                                 DsmParameters& gradient) {
  return is_small(p) ? small_dsm_gradient(p, level, batch, gradient)
                         : large_dsm_gradient(p, level, batch, gradient, n_threads_);
}

std::unique_ptr<DsmSession> CpuBackend::make_dsm_session(const DsmParameters& initial,
                                                         const OptimizerSettings& optimizer) {
  if (is_small(initial)) return make_small_session(initial, optimizer);
  return make_large_session(initial, optimizer, n_threads_);
}

std::int64_t CpuBackend::preferred_tile(const NetworkView& n) const {
  return is_small(n) ? small_kernels(current_isa()).chains_a_pass * n_threads_ : preferred_block_large(n_threads_);
}

const SmallKernels& small_kernels(Isa isa) {
#if defined(TARN_HAVE_ISA_x86_64_v4)
  if (isa == Isa::v4) return x86_64_v4::table;
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
  if (isa == Isa::v3) return x86_64_v3::table;
#endif
  return x86_64::table;
}

}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa) {
  if (!isa.empty()) use_isa(isa);
  return std::make_unique<cpu::CpuBackend>(n_threads);
}

}  // namespace tarn
