#include "cuda_backend.hpp"

#include <algorithm>

#include "checks.hpp"
#include "cuda_chains.hpp"
#include "cuda_network.hpp"
#include "devices.hpp"
#include "dsm_session.hpp"
#include "hee_session.hpp"
#include "nvtx.hpp"
#include "small_networks.hpp"

namespace tarn::cuda {

CudaBackend::CudaBackend(int ordinal, Precision precision) : context_(ordinal, precision) {}

std::string CudaBackend::name() const {
  return context_.info.ordinal == 0 ? "cuda" : fmt::format("cuda:{}", context_.info.ordinal);
}

std::string CudaBackend::description() const {
  return fmt::format("{}, compute capability {}.{}{}", context_.info.name, context_.info.major, context_.info.minor,
                     precision() == Precision::fp32 ? "" : fmt::format(", {} products", name_of(precision())));
}

std::string CudaBackend::tuning_scope() const {
  const DeviceInfo& d = context_.info;
  return fmt::format("{}, {} multiprocessors, compute capability {}.{}, {}", d.name, d.n_multiprocessors, d.major,
                     d.minor, context_.blas->version());
}

std::string CudaBackend::path(const NetworkView& n, bool reservoir) const {
  if (is_small(n) && !reservoir) return "fused kernel, fp32, chains in registers (D <= 16)";
  return large_path(n, context_, reservoir);
}

std::unique_ptr<PreparedNetwork> CudaBackend::prepare(const NetworkView& n) {
  const NvtxRange range("Backend::prepare");
  context_.make_current();
  check_network(n);
  return std::make_unique<CudaNetwork>(n, context_);
}

void CudaBackend::advance(const PreparedNetwork& network, const LangevinSteps& steps, const ChainBlock& block) {
  const NvtxRange range("Backend::advance");
  context_.make_current();
  const CudaNetwork& net = CudaNetwork::of(network, context_);
  check_chains(net.view(), block);
  check_steps(steps);
  check_momentum(steps, block);
  if (block.x.rows == 0 || steps.n_steps == 0) return;
  const StreamHandle stream = context_.stream.handle();
  const SettleOnThrow settle(stream);
  block_.load(block, stream);
  advance_chains(net, steps, block_.chains(), workspace_, context_);
  block_.store(block, stream);
  context_.stream.synchronize();
}

void CudaBackend::advance_reservoir(const PreparedNetwork& network, const LangevinSteps& steps,
                                    const ReservoirBlock& block) {
  const NvtxRange range("Backend::advance_reservoir");
  context_.make_current();
  const CudaNetwork& net = CudaNetwork::of(network, context_);
  check_reservoir(net.view(), block);
  check_steps(steps);
  check_no_momentum(steps);
  if (block.r.rows == 0) return;
  const StreamHandle stream = context_.stream.handle();
  const SettleOnThrow settle(stream);
  block_.load(block, stream);
  advance_chains(net, steps, block_.chains(), workspace_, context_);
  block_.store(block, stream);
  context_.stream.synchronize();
}

void CudaBackend::drift(const PreparedNetwork& network, MatrixView<const float> points, MatrixView<float> out) {
  const NvtxRange range("Backend::drift");
  context_.make_current();
  const CudaNetwork& net = CudaNetwork::of(network, context_);
  check_points(net.view(), points, out);
  if (points.rows == 0) return;
  const StreamHandle stream = context_.stream.handle();
  const SettleOnThrow settle(stream);
  points_.reserve(points.size());
  drift_.reserve(out.size());
  copy_async(points_.data(), points.data, points.size(), stream);
  drift_at(net, points_.data(), points.rows, drift_.data(), workspace_, context_);
  copy_async(out.data, drift_.data(), out.size(), stream);
  context_.stream.synchronize();
}

DsmLoss CudaBackend::dsm_gradient(const DsmParameters& parameters, const DsmLevel& level, const DsmBatch& batch,
                                  DsmParameters& gradient) {
  const NvtxRange range("Backend::dsm_gradient");
  context_.make_current();
  return cuda_dsm_gradient(context_, parameters, level, batch, gradient);
}

std::unique_ptr<DsmSession> CudaBackend::make_dsm_session(const DsmParameters& initial,
                                                          const OptimizerSettings& optimizer) {
  const NvtxRange range("Backend::make_dsm_session");
  context_.make_current();
  const std::int64_t parameters = initial.W_in.size() + initial.b.size() + initial.V.size();
  const std::int64_t copies = 4 + (optimizer.amsgrad ? 1 : 0) + (optimizer.ema > 0.0 ? 1 : 0);
  const std::int64_t needed = 4 * copies * parameters, free = device_info(context_.info.ordinal).free_bytes;
  require(
      needed <= free,
      "{}: training needs {:.2f} GiB of device memory for weights, gradients and moments, {:.2f} GiB are free; fewer "
      "neurons or --device cpu",
      name(), static_cast<double>(needed) / 0x1p30, static_cast<double>(free) / 0x1p30);
  DsmPaths paths;
  if (precision() != Precision::fp32) paths.precision = Precision::tf32;  // bf16 would be coarse for gradients
  return make_cuda_session(context_, initial, optimizer, paths);
}

std::unique_ptr<HeeSession> CudaBackend::make_hee_session(const HeeParameters& initial, const HeeOptimizer& optimizer) {
  const NvtxRange range("Backend::make_hee_session");
  context_.make_current();
  return make_cuda_hee_session(context_, initial, optimizer);
}

std::unique_ptr<Chains> CudaBackend::hold(const NetworkView& network, const ReservoirBlock& block) {
  context_.make_current();
  check_held(network, block);
  return std::make_unique<CudaChains>(context_, workspace_, network, block);
}

std::int64_t CudaBackend::preferred_tile(const NetworkView& n) const {
  // small D: enough chains that every lane of the card carries several; large D: rows of products that fill it
  return context_.info.n_multiprocessors * (is_small(n) ? 2048 : 128);
}

std::int64_t CudaBackend::steps_a_call(const NetworkView& n, std::int64_t n_chains, bool reservoir) const {
  const double K = static_cast<double>(n.n_outputs + n.n_inputs), D = static_cast<double>(n.n_outputs);
  const double N = static_cast<double>(n.n_neurons), chains = static_cast<double>(n_chains);
  // Roughly, on a large card. Few chains do not make a step shorter than its launches and its weights' way from memory, or, in the fused
  // kernels, than the way of one warp through all neurons.
  double seconds = 0.0;
  if (reservoir || !is_small(n)) {
    seconds = std::max(2.0 * N * (K + (reservoir ? 2.0 : 1.0) * D) * chains / 4e13, 1e-5 + 4.0 * N * (K + D) / 2e12);
  } else {
    const bool rectifies = n.phi == Nonlinearity::relu || n.phi == Nonlinearity::leaky_relu;
    const double neuron = 2.0 * (K + D) + (rectifies ? 4.0 : 60.0);
    seconds = std::max(N * neuron * chains / 4e13, 1e-6 + N / 32.0 * neuron * 1e-9);
  }
  return static_cast<std::int64_t>(std::clamp(0.1 / seconds, 1.0, 1e6));  // for a tenth of a second
}

ChainMemory CudaBackend::chain_memory(const NetworkView& n, std::int64_t n_chains, bool reservoir) const {
  // state, momentum, inputs, clamps, a draw and the copies that travel; first bad steps; in large D what a tile of chains works in
  const std::int64_t floats = 6 * n.n_outputs + 2 * n.n_inputs + (reservoir ? 2 * n.n_neurons : 0);
  const bool products = reservoir || !is_small(n);
  const FusedPlan plan = products && !is_small(n) ? large_plan(n, context_) : FusedPlan{};
  const std::int64_t a_chain = 4 * floats + 8 + (products ? large_bytes_a_chain(n, plan, reservoir) : 0);
  // beside the weights, a tile of the hidden layer that is not cut further, and room for the driver
  const std::int64_t weights =
      products ? large_network_bytes(n, plan) : 8 * n.n_neurons * (2 * n.n_outputs + n.n_inputs + 1);
  const std::int64_t pushes = reservoir ? 4 * n.n_neurons * (n.n_outputs + 1) : 0;  // P, private noise
  const std::int64_t fixed = weights + pushes + (products ? 4 * 128 * n.n_neurons : 0) + (std::int64_t{64} << 20);
  const std::int64_t free = device_info(context_.info.ordinal).free_bytes;
  ChainMemory memory{fixed + n_chains * a_chain, free, std::min(n_chains, (free - fixed) / a_chain)};
  if (memory.tile < 1) {
    fail(
        "{}: chains of this network need {:.2f} GiB of device memory at least, {:.2f} GiB are free; fewer neurons or "
        "--device cpu",
        name(), static_cast<double>(fixed + a_chain) / 0x1p30, static_cast<double>(free) / 0x1p30);
  }
  return memory;
}

std::unique_ptr<Backend> make_backend(int ordinal, Precision precision) {
  return std::make_unique<CudaBackend>(ordinal, precision);
}

}  // namespace tarn::cuda
