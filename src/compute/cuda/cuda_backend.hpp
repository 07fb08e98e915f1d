// The CUDA backend: chooses between the fused small-D kernels and matrix products, and moves blocks of chains to and fro.
#pragma once

#include <memory>
#include <string>

#include "context.hpp"
#include "device_block.hpp"
#include "large_chains.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int ordinal, Precision precision = Precision::fp32);

  std::string name() const override;
  std::string description() const override;
  Precision precision() const override { return context_.precision; }
  std::string path(const NetworkView& network, bool reservoir) const override;
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
  std::unique_ptr<Chains> hold(const NetworkView& network, const ReservoirBlock& block) override;
  std::int64_t preferred_tile(const NetworkView& network) const override;
  ChainMemory chain_memory(const NetworkView& network, std::int64_t n_chains, bool reservoir) const override;
  void capture_profile() override { context_.capture.arm(); }
  std::string tuning_scope() const override;
  void tune(const Tuning& tuning) override { context_.tuner.begin(tuning); }
  TuningSummary tuned() const override { return context_.tuner.summary(); }
  std::int64_t steps_a_call(const NetworkView& network, std::int64_t n_chains, bool reservoir) const override;

 private:
  Context context_;
  DeviceBlock block_;  // of the present call; its memory is used again
  DeviceBuffer<float> points_, drift_;
  LargeWorkspace workspace_;
};

}  // namespace tarn::cuda
