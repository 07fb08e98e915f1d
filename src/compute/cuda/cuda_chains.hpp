// Chains that live on the device: draws travel to the host on a stream of their own while the chains go on.
#pragma once

#include "cuda_network.hpp"
#include "device_block.hpp"
#include "device_watch.hpp"
#include "streams.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

class CudaChains final : public Chains {
 public:
  /// `workspace` and `context` must outlive the chains. Waits until the block was copied.
  CudaChains(Context& context, LargeWorkspace& workspace, const NetworkView& network, const ReservoirBlock& block);
  ~CudaChains() override;

  void advance(const PreparedNetwork& network, const LangevinSteps& steps) override;
  void set_inputs(MatrixView<const float> u) override;
  void begin_draw(const DrawRequest& request) override;
  ChainDraw finish_draw() override;
  void store(const ReservoirBlock& block) override;
  void look(std::span<std::int64_t> first_bad_step) override;
  void watch(const WatchPlan& plan, const WatchState* from) override;
  void observe() override;
  WatchState read_watch() override;

 private:
  // The host runs ahead of the device by so many calls, so that the device never waits and signals are answered soon.
  static constexpr int calls_ahead = 2;
  struct Look {
    PinnedBuffer<std::int64_t> first_bad_step;
    CudaEvent done;
    bool is_queued = false;
  };

  Context& context_;
  LargeWorkspace& workspace_;
  std::int64_t D_, U_, N_;
  DeviceBlock block_;
  DeviceWatch watch_;
  Look looks_[calls_ahead];
  int next_look_ = 0;
  PinnedBuffer<std::int64_t> seen_;
  DeviceBuffer<float> points_, draw_, rates_;
  PinnedBuffer<float> drawn_, drawn_rates_;
  CudaEvent draw_made_, draw_copied_;
  bool copies_begun_ = false, has_rates_ = false;
};

}  // namespace tarn::cuda
