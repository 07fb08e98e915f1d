// The CPU backend: chooses between the fused small-D kernels and matrix products, and spreads work over threads.
#pragma once

#include <memory>
#include <string>

#include "small_network.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::cpu {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int n_threads, std::string why = "");

  std::string name() const override { return "cpu"; }
  std::string description() const override;
  std::string path(const NetworkView& network, bool reservoir) const override;
  int n_threads() const override { return n_threads_; }
  std::unique_ptr<PreparedNetwork> prepare(const NetworkView& network) override;
  void advance(const PreparedNetwork& network, const LangevinSteps& steps, const ChainBlock& block) override;
  void advance_reservoir(const PreparedNetwork& network, const LangevinSteps& steps,
                         const ReservoirBlock& block) override;
  void drift(const PreparedNetwork& network, MatrixView<const float> points, MatrixView<float> out) override;
  DsmLoss dsm_gradient(const DsmParameters& parameters, const DsmLevel& level, const DsmBatch& batch,
                       DsmParameters& gradient) override;
  std::unique_ptr<DsmSession> make_dsm_session(const DsmParameters& initial,
                                               const OptimizerSettings& optimizer) override;
  std::unique_ptr<HeeSession> make_hee_session(const HeeParameters& initial, const HeeOptimizer& optimizer) override;
  std::int64_t preferred_tile(const NetworkView& network) const override;

 private:
  int n_threads_;
  std::string why_;
};

}  // namespace tarn::cpu
