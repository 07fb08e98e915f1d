#include "large_chains.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "bias_phi.hpp"
#include "large_steps.hpp"

namespace tarn::cuda {
namespace {

// Rows of a tile beyond the first are a multiple of this, which is what products are cut into.
constexpr std::int64_t unit_rows = 128;

// Steps of one launch of the fused kernel: as many as make its launch no matter.
constexpr std::int64_t most_fused_steps = 1000;

constexpr std::int64_t padded(std::int64_t n) { return (n + 3) / 4 * 4; }

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

// A matrix `[rows, cols]` of the host with its padding, on the device.
DeviceBuffer<float> upload(const float* from, std::int64_t rows, std::int64_t cols, std::int64_t padded_rows,
                           StreamHandle stream) {
  if (!from) return {};
  const std::int64_t stride = padded(cols);
  std::vector<float> values(static_cast<std::size_t>(padded_rows * stride), 0.0f);
  for (std::int64_t i = 0; i < rows; ++i) std::copy_n(from + i * cols, cols, values.data() + i * stride);
  DeviceBuffer<float> buffer(padded_rows * stride);
  copy_async(buffer.data(), values.data(), buffer.size(), stream);
  TARN_CUDA_CHECK(cudaStreamSynchronize(stream));  // `values` goes
  return buffer;
}

// A quarter of what is free, but no more than keeps any card busy: the rows of a tile decide how products are done, and a run that is
// resumed should not find other ones because another program has left the card.
std::int64_t usual_hidden_budget() {
  std::size_t free = 0, total = 0;
  TARN_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(free / 4), 1, std::int64_t{2} << 30);
}

// The bound on |x|^2: finite, so that infinity is beyond it.
float square_limit(float bound) { return std::min(bound * bound, std::numeric_limits<float>::max()); }

FusedSteps fused_steps(const LargeDeviceNetwork& network, LargeWorkspace& w, std::int64_t rows) {
  FusedSteps steps;
  steps.update.n = rows;
  steps.update.n_outputs = network.n_outputs;
  steps.update.state = w.state.data();
  steps.update.state_stride = network.column_stride;
  steps.update.leaks = true;
  steps.update.c = network.c.data();
  steps.phi = network.phi;
  steps.packed = network.packed.data();
  steps.n_tiles = network.plan.n_tiles;
  steps.running = w.parts.data();
  return steps;
}

// Where the drift of a tile is, after `drift_of_tile`: in `mapped` and whole, or in `sums` without -x + c.
void drift_of_tile(const LargeDeviceNetwork& network, LargeWorkspace& w, std::int64_t rows, Blas& blas,
                   StreamHandle stream) {
  if (network.is_fused()) {
    FusedSteps steps = fused_steps(network, w, rows);
    steps.sums = w.sums.data();
    steps.sums_stride = network.output_stride;
    launch_fused(network.plan, network.engine, steps, rows, stream);  // all blocks, whatever the device
  } else {
    hidden_layer(network, w, rows, network.precision, blas, stream);
    project(network, w, rows, network.precision, blas, stream);
  }
  if (network.M.empty()) return;
  launch_leak(w.sums.data(), network.output_stride, w.state.data(), network.column_stride, network.c.data(),
              w.sums.data(), network.output_stride, rows, network.n_outputs, stream);
  map(network, w.sums.data(), w.mapped.data(), network.output_stride, rows, blas, stream);
}

}  // namespace

LargeDeviceNetwork::LargeDeviceNetwork(const NetworkView& n, StreamHandle stream, Precision rounded,
                                       const FusedPlan& fused, Engine by)
    : id(next_id()),
      phi(n.phi),
      n_outputs(n.n_outputs),
      n_columns(n.n_outputs + n.n_inputs),
      n_neurons(n.n_neurons),
      output_stride(padded(n_outputs)),
      column_stride(padded(n_columns)),
      neuron_stride(padded(n_neurons)),
      W_in(upload(n.W_in, n_neurons, n_columns, neuron_stride, stream)),
      b(upload(n.b, 1, n_neurons, 1, stream)),
      W_out(upload(n.W_out, n_outputs, n_neurons, output_stride, stream)),
      c(upload(n.c, 1, n_outputs, 1, stream)),
      M(upload(n.M, n_outputs, n_outputs, output_stride, stream)),
      precision(rounded),
      plan(fused),
      engine(by),
      packed(plan.packed_bytes) {
  if (!is_fused()) return;
  launch_pack_fused(
      plan, {W_in.data(), column_stride, b.data(), W_out.data(), neuron_stride, n_outputs, n_columns, n_neurons},
      packed.data(), stream);
}

std::int64_t LargeWorkspace::reserve(const LargeDeviceNetwork& network, std::int64_t n, bool reservoir,
                                     int n_multiprocessors) {
  if (hidden_budget <= 0) hidden_budget = usual_hidden_budget();
  const std::int64_t row_bytes = network.neuron_stride * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t most = std::max(hidden_budget / row_bytes / unit_rows, std::int64_t{1}) * unit_rows;
  const bool is_fused = network.is_fused() && !reservoir;
  std::int64_t rows = n;
  if (n > most && !is_fused) {  // tiles of nearly one size
    const std::int64_t n_tiles = (n + most - 1) / most;
    rows = ((n + n_tiles - 1) / n_tiles + unit_rows - 1) / unit_rows * unit_rows;
  }
  const auto grow = [&](auto& buffer, std::int64_t size) {
    if (size <= buffer.size()) return;
    if (!recorded.empty()) {  // they hold the old addresses, and may still run
      TARN_CUDA_CHECK(cudaDeviceSynchronize());
      recorded.clear();
    }
    buffer.reserve(size);
  };
  grow(call, 1);
  grow(state, rows * network.column_stride);
  if (!is_fused) grow(hidden, rows * network.neuron_stride);
  grow(sums, rows * network.output_stride);
  if (!network.M.empty()) grow(mapped, rows * network.output_stride);
  if (reservoir) grow(impulse, rows * network.output_stride);
  if (is_fused && network.plan.n_groups > 1) {
    const std::int64_t n_blocks = (rows + network.plan.chains - 1) / network.plan.chains;
    const bool splits = fused_splits(network.plan, rows, n_multiprocessors);
    grow(parts, (splits ? network.plan.n_groups : 1) * n_blocks * network.plan.sums_of_block);
  }
  return rows;
}

LangevinCall call_of(const LangevinSteps& steps, const DeviceChains& chains, std::int64_t n_outputs,
                     std::int64_t begin) {
  LangevinCall call;
  call.seed = steps.seed;
  call.first_chain = steps.first_chain + static_cast<std::uint64_t>(begin);
  call.step = steps.first_step;
  call.dt = steps.dt;
  call.midpoint = steps.integrator == Integrator::leimkuhler_matthews;
  call.scale = static_cast<float>(std::sqrt(call.midpoint ? 0.5 * steps.dt : 2.0 * steps.dt) * steps.noise_scale);
  call.limit = square_limit(steps.bound);
  if (chains.clamp) call.clamp = chains.clamp + begin * n_outputs;
  call.first_bad_step = chains.first_bad_step + begin;
  if (steps.integrator == Integrator::baoab && chains.v) {
    call.v = chains.v + begin * n_outputs;
    call.momentum = momentum_step(steps);
  }
  return call;
}

void hidden_layer(const LargeDeviceNetwork& network, LargeWorkspace& w, std::int64_t rows, Precision precision,
                  Blas& blas, StreamHandle stream) {
  const bool relu = network.phi == Nonlinearity::relu;
  Product p;
  p.m = rows;
  p.n = network.neuron_stride;
  p.k = network.column_stride;
  p.a = w.state.data();
  p.lda = network.column_stride;
  p.b = network.W_in.data();
  p.ldb = network.column_stride;
  p.transpose_b = true;
  p.c = w.hidden.data();
  p.ldc = network.neuron_stride;
  p.bias = relu ? network.b.data() : nullptr;
  p.relu = relu;
  p.precision = precision;
  blas.product(p, stream);
  if (!relu)
    launch_bias_phi(network.phi, network.b.data(), w.hidden.data(), rows, network.neuron_stride, network.neuron_stride,
                    stream);
}

void project(const LargeDeviceNetwork& network, LargeWorkspace& w, std::int64_t rows, Precision precision, Blas& blas,
             StreamHandle stream) {
  Product p;
  p.m = rows;
  p.n = network.output_stride;
  p.k = network.neuron_stride;
  p.a = w.hidden.data();
  p.lda = network.neuron_stride;
  p.b = network.W_out.data();
  p.ldb = network.neuron_stride;
  p.transpose_b = true;
  p.c = w.sums.data();
  p.ldc = network.output_stride;
  p.precision = precision;
  blas.product(p, stream);
}

void map(const LargeDeviceNetwork& network, const float* in, float* out, std::int64_t out_stride, std::int64_t rows,
         Blas& blas, StreamHandle stream) {
  Product p;
  p.m = rows;
  p.n = p.k = network.n_outputs;
  p.a = in;
  p.lda = network.output_stride;
  p.b = network.M.data();
  p.ldb = network.output_stride;
  p.transpose_b = true;
  p.c = out;
  p.ldc = out_stride;
  blas.product(p, stream);
}

void advance_large(const LargeDeviceNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                   LargeWorkspace& w, Context& context) {
  if (chains.n == 0 || steps.n_steps == 0) return;
  const std::int64_t D = network.n_outputs, U = network.n_columns - D;
  const std::int64_t tile = w.reserve(network, chains.n, false, context.info.n_multiprocessors);
  const StreamHandle stream = context.stream.handle();
  Blas& blas = *context.blas;
  for (std::int64_t begin = 0; begin < chains.n; begin += tile) {
    const std::int64_t rows = std::min(tile, chains.n - begin);
    launch_begin_call(call_of(steps, chains, D, begin), w.call.data(), stream);
    launch_pack_state(chains.x + begin * D, D, U > 0 ? chains.u + begin * U : nullptr, U, w.state.data(),
                      network.column_stride, rows, stream);
    const int at_once = context.info.n_multiprocessors;
    const bool splits = network.is_fused() && network.M.empty() && fused_splits(network.plan, rows, at_once);
    if (network.is_fused() && network.M.empty() && !splits) {  // many steps a launch
      FusedSteps fused = fused_steps(network, w, rows);
      fused.call = w.call.data();
      for (std::int64_t done = 0; done < steps.n_steps; done += fused.n_steps) {
        fused.n_steps = std::min(steps.n_steps - done, most_fused_steps);
        launch_fused(network.plan, network.engine, fused, at_once, stream);
        launch_skip_steps(w.call.data(), static_cast<std::uint64_t>(fused.n_steps), stream);
      }
      launch_unpack_state(w.state.data(), network.column_stride, chains.x + begin * D, D, rows, stream);
      continue;
    }
    LangevinUpdate update;
    update.n = rows;
    update.n_outputs = D;
    update.state = w.state.data();
    update.state_stride = network.column_stride;
    update.leaks = network.M.empty();
    update.drift = update.leaks ? w.sums.data() : w.mapped.data();
    update.drift_stride = network.output_stride;
    update.c = network.c.data();
    FusedSteps split;
    if (splits) {  // a block each for the groups of neurons, then the update
      split = fused_steps(network, w, rows);
      split.splits = true;
      split.sums = w.parts.data();
      split.sums_stride = network.output_stride;
      update.drift = w.parts.data();
      update.n_parts = network.plan.n_groups;
      update.part_stride = rows * network.output_stride;
    }
    RecordedSteps key;
    key.network = network.id;
    key.rows = rows;
    const double work =
        2.0 * static_cast<double>(rows * network.n_neurons) * static_cast<double>(network.n_columns + D);
    run_steps(w, std::move(key), work, steps.n_steps, context, [&](StreamHandle to, std::uint64_t offset) {
      if (splits) {
        launch_fused(network.plan, network.engine, split, rows, to);
      } else {
        drift_of_tile(network, w, rows, blas, to);
      }
      launch_langevin_update(update, w.call.data(), offset, to);
    });
    launch_unpack_state(w.state.data(), network.column_stride, chains.x + begin * D, D, rows, stream);
  }
}

void drift_large(const LargeDeviceNetwork& network, const float* points, std::int64_t n, float* out, LargeWorkspace& w,
                 Context& context) {
  if (n == 0) return;
  const std::int64_t D = network.n_outputs, K = network.n_columns;
  const std::int64_t tile = w.reserve(network, n, false, context.info.n_multiprocessors);
  const StreamHandle stream = context.stream.handle();
  Blas& blas = *context.blas;
  for (std::int64_t begin = 0; begin < n; begin += tile) {
    const std::int64_t rows = std::min(tile, n - begin);
    launch_pack_state(points + begin * K, K, nullptr, 0, w.state.data(), network.column_stride, rows, stream);
    drift_of_tile(network, w, rows, blas, stream);
    float* const to = out + begin * D;
    if (network.M.empty()) {
      launch_leak(w.sums.data(), network.output_stride, w.state.data(), network.column_stride, network.c.data(), to, D,
                  rows, D, stream);
    } else {
      launch_unpack_state(w.mapped.data(), network.output_stride, to, D, rows, stream);
    }
  }
}

std::int64_t large_network_bytes(const NetworkView& n, const FusedPlan& plan) {
  const std::int64_t D = padded(n.n_outputs), K = padded(n.n_outputs + n.n_inputs), N = padded(n.n_neurons);
  return 4 * (N * (K + 1) + D * N + (n.c ? D : 0) + (n.M ? D * D : 0)) + plan.packed_bytes;
}

std::int64_t large_bytes_a_chain(const NetworkView& n, const FusedPlan& plan, bool reservoir) {
  const std::int64_t D = padded(n.n_outputs), K = padded(n.n_outputs + n.n_inputs), N = padded(n.n_neurons);
  const bool in_memory = reservoir || plan.precision == Precision::fp32;  // the hidden layer
  const std::int64_t parts = in_memory ? 0 : plan.n_groups * plan.width;
  return 4 * (K + (in_memory ? N : parts) + D * (1 + (n.M ? 1 : 0) + (reservoir ? 1 : 0)));
}

Engine engine_of(const DeviceInfo& info) { return info.major == 9 ? Engine::warpgroup : Engine::warp; }

FusedPlan large_plan(const NetworkView& n, const Context& context, std::string* why) {
  const auto none = [&](std::string reason) {
    if (why) *why = std::move(reason);
    return FusedPlan{};
  };
  const Precision precision = context.precision;
  if (precision == Precision::fp32) return none("the fused kernel rounds its operands: run.precision = bf16 or tf32");
  const FusedPlan plan = fused_plan(precision, n.n_outputs + n.n_inputs, n.n_neurons);
  if (plan.precision == Precision::fp32)
    return none(fmt::format("D + U = {} is more than the fused kernel takes", n.n_outputs + n.n_inputs));
  if (plan.shared_bytes > context.info.shared_bytes_a_block) {
    return none(fmt::format("the fused kernel needs {} KiB of shared memory, a block has {} here",
                            plan.shared_bytes / 1024, context.info.shared_bytes_a_block / 1024));
  }
  return plan;
}

std::string large_path(const NetworkView& n, const Context& context, bool reservoir) {
  std::string why;
  if (reservoir) return "cuBLASLt, fp32 products (reservoir mode)";
  const FusedPlan plan = large_plan(n, context, &why);
  if (plan.precision == Precision::fp32)
    return fmt::format("cuBLASLt, {} products ({})", name_of(context.precision), why);
  return fmt::format("fused kernel, {} products by {}, {} columns, {} chains and tiles of {} neurons a block{}",
                     name_of(plan.precision), engine_of(context.info) == Engine::warpgroup ? "wgmma" : "mma",
                     plan.width, plan.chains, plan.neurons, n.M ? ", one launch a product and a step (M)" : "");
}

}  // namespace tarn::cuda
