#include "cpu_backend.hpp"

#include <omp.h>

#include <algorithm>
#include <mutex>

#include "checks.hpp"
#include "hee_session.hpp"
#include "large_dsm.hpp"
#include "large_langevin.hpp"
#include "large_session.hpp"
#include "small_kernels.hpp"
#include "small_session.hpp"
#include "tarn/core/isa_table.hpp"
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

}  // namespace

CpuBackend::CpuBackend(int n_threads, std::string why)
    : n_threads_(n_threads > 0 ? n_threads : omp_get_num_procs()), why_(std::move(why)) {
  omp_set_num_threads(n_threads_);
}

std::string CpuBackend::description() const {
  return fmt::format("{}, {} thread{}{}{}", name_of(current_isa()), n_threads_, n_threads_ == 1 ? "" : "s",
                     why_.empty() ? "" : "; ", why_);
}

std::string CpuBackend::path(const NetworkView& n, bool reservoir) const {
  if (is_small(n) && !reservoir) return "one pass over the neurons, chains in vector registers";
  return "matrix products, a tile of chains at a time";
}

std::unique_ptr<PreparedNetwork> CpuBackend::prepare(const NetworkView& n) {
  check_network(n);
  return std::make_unique<CpuNetwork>(n);
}

void CpuBackend::advance(const PreparedNetwork& network, const LangevinSteps& steps, const ChainBlock& block) {
  const CpuNetwork& net = own(network);
  check_chains(net.view(), block);
  check_steps(steps);
  check_momentum(steps, block);
  if (!net.small()) return advance_large(net.large(), steps, block, n_threads_);
  const auto& kernels = small_kernels(current_isa());
  const SmallLangevinCall call{net.small(), steps, block};
  const std::int64_t B = block.x.rows, piece = kernels.chains_a_pass;
#pragma omp parallel for schedule(dynamic) num_threads(n_threads_)
  for (std::int64_t begin = 0; begin < B; begin += piece) kernels.advance(call, begin, std::min(begin + piece, B));
}

void CpuBackend::drift(const PreparedNetwork& network, MatrixView<const float> points, MatrixView<float> out) {
  const CpuNetwork& net = own(network);
  check_points(net.view(), points, out);
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
  check_reservoir(net.view(), block);
  check_steps(steps);
  check_no_momentum(steps);
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

std::unique_ptr<HeeSession> CpuBackend::make_hee_session(const HeeParameters& initial, const HeeOptimizer& optimizer) {
  return cpu::make_hee_session(initial, optimizer, n_threads_);
}

std::int64_t CpuBackend::preferred_tile(const NetworkView& n) const {
  return is_small(n) ? small_kernels(current_isa()).chains_a_pass * n_threads_ : preferred_block_large(n_threads_);
}

const SmallKernels& small_kernels(Isa isa) { TARN_RETURN_OF_ISA(isa, table); }

}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend(int n_threads, const std::string& isa, const std::string& why) {
  if (!isa.empty()) use_isa(isa);
  return std::make_unique<cpu::CpuBackend>(n_threads, why);
}

}  // namespace tarn
