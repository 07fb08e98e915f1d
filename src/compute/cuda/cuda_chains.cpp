#include "cuda_chains.hpp"

#include <algorithm>

#include "checks.hpp"
#include "draw.hpp"
#include "host_watch.hpp"
#include "nvtx.hpp"

namespace tarn::cuda {

CudaChains::CudaChains(Context& context, LargeWorkspace& workspace, const NetworkView& network,
                       const ReservoirBlock& block)
    : context_(context),
      workspace_(workspace),
      D_(network.n_outputs),
      U_(network.n_inputs),
      N_(network.n_neurons),
      seen_(block.chains.x.rows) {
  const NvtxRange range("Backend::hold");
  const SettleOnThrow settle(context_.stream.handle());
  if (block.r.data) {
    block_.load(block, context_.stream.handle());
  } else {
    block_.load(block.chains, context_.stream.handle());
  }
  std::copy_n(block.chains.first_bad_step, seen_.size(), seen_.data());
  for (Look& look : looks_) look.first_bad_step = PinnedBuffer<std::int64_t>(seen_.size());
  context_.stream.synchronize();
}

CudaChains::~CudaChains() {
  // nothing may still be under way to memory that goes
  TARN_CUDA_NOTE(cudaStreamSynchronize(context_.stream.handle()));
  TARN_CUDA_NOTE(cudaStreamSynchronize(context_.copies.handle()));
}

void CudaChains::advance(const PreparedNetwork& network, const LangevinSteps& steps) {
  context_.make_current();
  context_.capture.enter(CaptureWindow::sampling);
  const NvtxRange range("Chains::advance");
  check_steps(steps);
  if (block_.chains().r) check_no_momentum(steps);
  require(steps.integrator != Integrator::baoab || block_.chains().v, "baoab needs a momentum v for each output");
  Look& look = looks_[next_look_];
  if (look.is_queued) {
    look.done.synchronize();
    std::copy_n(look.first_bad_step.data(), seen_.size(), seen_.data());
  }
  advance_chains(CudaNetwork::of(network, context_), steps, block_.chains(), workspace_, context_);
  copy_async(look.first_bad_step.data(), block_.chains().first_bad_step, seen_.size(), context_.stream.handle());
  look.done.record(context_.stream.handle());
  look.is_queued = true;
  next_look_ = (next_look_ + 1) % calls_ahead;
}

void CudaChains::set_inputs(MatrixView<const float> u) {
  const NvtxRange range("Chains::set_inputs");
  require(u.rows == block_.chains().n && u.cols == U_, "inputs must be [{}, {}], found [{}, {}]", block_.chains().n, U_,
          u.rows, u.cols);
  context_.make_current();
  const SettleOnThrow settle(context_.stream.handle());
  block_.load_inputs(u, context_.stream.handle());
  context_.stream.synchronize();
}

void CudaChains::begin_draw(const DrawRequest& request) {
  const NvtxRange range("Chains::begin_draw");
  context_.make_current();
  const DeviceChains& c = block_.chains();
  const StreamHandle stream = context_.stream.handle();
  draw_.reserve(c.n * D_);
  drawn_.reserve(c.n * D_);
  if (copies_begun_) draw_copied_.hold(stream);  // the last draw must have left
  if (request.score) {
    const float* points = c.x;
    if (U_ > 0) {
      points_.reserve(c.n * (D_ + U_));
      launch_join_columns(c.x, D_, c.u, U_, c.n, points_.data(), stream);
      points = points_.data();
    }
    drift_at(CudaNetwork::of(*request.score, context_), points, c.n, draw_.data(), workspace_, context_);
    launch_denoise(c.x, draw_.data(), c.clamp, request.variance, c.n * D_, draw_.data(), stream);
  } else {
    copy_async(draw_.data(), c.x, c.n * D_, stream);
  }
  has_rates_ = request.rates;
  if (has_rates_) {
    rates_.reserve(c.n * N_);
    drawn_rates_.reserve(c.n * N_);
    copy_async(rates_.data(), c.r, c.n * N_, stream);
  }
  draw_made_.record(stream);
  draw_made_.hold(context_.copies.handle());
  copy_async(drawn_.data(), draw_.data(), c.n * D_, context_.copies.handle());
  if (has_rates_) copy_async(drawn_rates_.data(), rates_.data(), c.n * N_, context_.copies.handle());
  draw_copied_.record(context_.copies.handle());
  copies_begun_ = true;
}

ChainDraw CudaChains::finish_draw() {
  const NvtxRange range("Chains::finish_draw");
  require(copies_begun_, "chains: no draw was begun");
  draw_copied_.synchronize();
  const std::int64_t n = block_.chains().n;
  return {{drawn_.data(), n, D_},
          has_rates_ ? MatrixView<const float>{drawn_rates_.data(), n, N_} : MatrixView<const float>{}};
}

void CudaChains::store(const ReservoirBlock& block) {
  const NvtxRange range("Chains::store");
  context_.make_current();
  const DeviceChains& c = block_.chains();
  const StreamHandle stream = context_.stream.handle();
  const SettleOnThrow settle(stream);
  if (block.chains.x.data) copy_async(block.chains.x.data, c.x, c.n * D_, stream);
  if (block.chains.v.data) copy_async(block.chains.v.data, c.v, c.n * D_, stream);
  if (block.r.data) copy_async(block.r.data, c.r, c.n * N_, stream);
  copy_async(block.chains.first_bad_step, c.first_bad_step, c.n, stream);
  context_.stream.synchronize();
  std::copy_n(block.chains.first_bad_step, seen_.size(), seen_.data());
  for (Look& look : looks_) look.is_queued = false;
}

void CudaChains::look(std::span<std::int64_t> first_bad_step) {
  std::copy_n(seen_.data(), seen_.size(), first_bad_step.begin());
}

void CudaChains::watch(const WatchPlan& plan, const WatchState* from) {
  const NvtxRange range("Chains::watch");
  context_.make_current();
  const HostWatch start(plan, block_.chains().n, D_, from);  // which checks the shapes
  watch_.load(plan, start.state(), D_, context_.stream.handle());
}

void CudaChains::observe() {
  const NvtxRange range("Chains::observe");
  require(watch_.is_on(), "chains: nothing is watched");
  context_.make_current();
  watch_.observe(block_.chains().x, context_.stream.handle());
}

WatchState CudaChains::read_watch() {
  const NvtxRange range("Chains::read_watch");
  context_.make_current();
  return watch_.read(context_.stream.handle());
}

}  // namespace tarn::cuda
