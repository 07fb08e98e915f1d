#include "small_chains.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "small_networks.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {
namespace {

static_assert(small_partials == partial_sums);
static_assert(small_sizes[std::size(small_sizes) - 1].D == small_max_outputs &&
              small_sizes[std::size(small_sizes) - 1].K == small_max_columns);

std::vector<float> make_records(const NetworkView& n, const SmallLayout& layout) {
  std::vector<float> records(static_cast<std::size_t>(layout.n_floats()), 0.0f);
  for (int j = 0; j < layout.n_neurons; ++j) {
    const std::int64_t row = std::int64_t{j % small_partials} * layout.n_rows + j / small_partials;
    float* record = records.data() + row * layout.pieces * 4;
    for (int k = 0; k < layout.K; ++k) record[layout.in_at() + k] = n.W_in[std::int64_t{j} * layout.K + k];
    record[layout.bias_at()] = n.b[j];
    for (int d = 0; d < layout.D; ++d) record[layout.out_at() + d] = n.W_out[d * n.n_neurons + j];
  }
  return records;
}

SmallLayout checked_layout(const NetworkView& n) {
  require(n.n_outputs > 0 && n.n_neurons > 0 && is_small(n),
          "fused kernels: needs 0 < D <= {}, D + U <= {}, N > 0, found D = {}, U = {}, N = {}", small_max_outputs,
          small_max_columns, n.n_outputs, n.n_inputs, n.n_neurons);
  require(n.n_neurons <= std::int64_t{1} << 24, "fused kernels: at most 2^24 neurons, found {}", n.n_neurons);
  return SmallLayout(static_cast<int>(n.n_outputs), static_cast<int>(n.n_outputs + n.n_inputs),
                     static_cast<int>(n.n_neurons));
}

SmallLangevinLauncher launcher(Nonlinearity phi) {
  switch (phi) {
    case Nonlinearity::leaky_relu:
      return small_langevin_leaky_relu;
    case Nonlinearity::tanh:
      return small_langevin_tanh;
    case Nonlinearity::softplus:
      return small_langevin_softplus;
    case Nonlinearity::sigmoid:
      return small_langevin_sigmoid;
    case Nonlinearity::relu:
      break;
  }
  return small_langevin_relu;
}

SmallVariantLimits limits_of(const SmallDeviceNetwork& net, const SmallVariant& variant) {
  SmallLangevinArgs args;
  args.network.layout = net.layout;
  return launcher(net.phi)(args, variant, 0, true, nullptr);
}

// How records reach shared memory: all of them for the whole call, or so many rows of one partial sum of each lane at a time.
struct Residence {
  bool resident;
  int rows_at_once;
  std::int64_t bytes;
};
Residence residence(const SmallLayout& layout, int lanes, std::int64_t shared_bytes_a_block) {
  const std::int64_t all = layout.n_floats() * std::int64_t{sizeof(float)};
  if (all <= shared_bytes_a_block) return {true, layout.n_rows, all};
  // A fifth, so that several blocks share a multiprocessor and compute while others load.
  const std::int64_t row = std::int64_t{layout.pieces} * 16 * lanes;
  const auto rows = static_cast<int>(std::clamp<std::int64_t>(shared_bytes_a_block / 5 / row, 1, layout.n_rows));
  return {false, rows, rows * row};
}

// Cycles that a step takes on the multiprocessor with most chains, up to a common factor. The constants are those of an H200
// (bench/results/2026-11-26-h200.json); choices there do not depend on them closely.
double cycles_a_step(const SmallDeviceNetwork& net, const SmallVariant& v, int max_block, std::int64_t n,
                     const DeviceInfo& device) {
  const SmallSizes& s = small_sizes[net.layout.size_class];
  const Residence shared = residence(net.layout, v.lanes, device.shared_bytes_a_block);
  // Instructions of a warp. A neuron: multiply and add each weight for each chain, phi, a load of each piece and one for the loop.
  const double phi = net.phi == Nonlinearity::relu ? 1 : net.phi == Nonlinearity::leaky_relu ? 3 : 40;
  const int sums = small_partials / v.lanes;
  const double neurons = static_cast<double>(sums) * net.layout.n_rows;
  const double a_neuron = v.chains * (s.K + s.D + phi) + net.layout.pieces + 1;
  // A partial sum: both ends of its loop. Two chains of 16 outputs do not fit into a thread's registers, which costs at each of them (they
  // lose 4 to 6 % where N = 1000, and win 8 % where N = 20000).
  const double a_sum = v.chains * s.D > 16 ? 600 : 40;
  // The step itself, noise first: 1000 chains, 32 lanes each, take 1800 cycles a step at D = 1 and 16000 at D = 16.
  const double beside = 200 + 100.0 * v.chains * s.D;
  const double instructions = neurons * a_neuron + sums * a_sum + beside;

  // Blocks on one multiprocessor, as many at a time as registers (of which `max_block` threads take all) and shared memory allow; each
  // block takes a KiB more than it asked for.
  constexpr int reserved = 1024;
  const std::int64_t chains_a_block = std::int64_t{v.block} / v.lanes * v.chains;
  const std::int64_t all = (n + chains_a_block - 1) / chains_a_block;
  const std::int64_t blocks = (all + device.n_multiprocessors - 1) / device.n_multiprocessors;
  const std::int64_t together =
      std::max<std::int64_t>(1, std::min<std::int64_t>(max_block / v.block, (device.shared_bytes_a_block + reserved) /
                                                                                (shared.bytes + reserved)));
  // Of w warps, a scheduler issues an instruction each in 1.2 (w + 1) cycles: one alone waits for its results most of the time (2.2
  // cycles were measured, 3.3 for two, 5.8 for four). All four schedulers share shared memory, which takes four cycles for a load
  // where lanes read different pieces (17 a scheduler were measured).
  const double loads = neurons * net.layout.pieces * (v.lanes == 1 ? 1 : 4);
  const auto cycles = [&](std::int64_t n_blocks) {
    const auto warps = static_cast<double>((n_blocks * v.block + 127) / 128);
    return n_blocks == 0 ? 0.0 : std::max(1.2 * (warps + 1) * instructions, 4 * warps * loads);
  };
  // Warps of different blocks are at different places in the code: 2 to 3 % for each halving of the block.
  const double halved = 1 + 0.02 * std::log2(512.0 / v.block);
  return halved * (static_cast<double>(blocks / together) * cycles(together) + cycles(blocks % together));
}

void run(const SmallDeviceNetwork& net, SmallLangevinArgs& args, const DeviceInfo& device, StreamHandle stream,
         std::optional<SmallVariant> given) {
  if (args.n == 0 || args.n_steps == 0) return;
  args.network = {net.layout, net.records.data(), net.c.data(), net.M.data()};
  const SmallVariant variant = given ? *given : choose_small_variant(net, args.n, device);
  require(is_small_variant(net, variant), "fused kernels: none for {} lanes, {} chains a thread, blocks of {}",
          variant.lanes, variant.chains, variant.block);
  const Residence shared = residence(net.layout, variant.lanes, device.shared_bytes_a_block);
  args.resident = shared.resident;
  args.rows_at_once = shared.rows_at_once;
  launcher(net.phi)(args, variant, shared.bytes, false, stream);
}

}  // namespace

SmallDeviceNetwork::SmallDeviceNetwork(const NetworkView& network, StreamHandle stream)
    : phi(network.phi),
      layout(checked_layout(network)),
      records(layout.n_floats()),
      c(network.c ? network.n_outputs : 0),
      M(network.M ? network.n_outputs * network.n_outputs : 0) {
  const std::vector<float> host = make_records(network, layout);
  copy_async(records.data(), host.data(), records.size(), stream);
  copy_async(c.data(), network.c, c.size(), stream);
  copy_async(M.data(), network.M, M.size(), stream);
  TARN_CUDA_CHECK(cudaStreamSynchronize(stream));
}

std::vector<SmallVariant> small_variants(const SmallDeviceNetwork& network) {
  std::vector<SmallVariant> variants;
  for (const int lanes : {1, 8, 32}) {
    for (int chains = 1; chains <= 8; ++chains) {
      SmallVariant v{lanes, chains, 0};
      const SmallVariantLimits limits = limits_of(network, v);
      v.block = limits.max_block;
      if (limits.exists) variants.push_back(v);
    }
  }
  return variants;
}

std::vector<SmallVariant> ranked_small_variants(const SmallDeviceNetwork& network, std::int64_t n,
                                                const DeviceInfo& device) {
  struct Ranked {
    SmallVariant variant;
    double cycles;
  };
  std::vector<Ranked> all;
  for (SmallVariant v : small_variants(network)) {
    const int max_block = v.block;
    // Where records do not stay, each block brings in all of them for itself: as few blocks as can be.
    const bool resident = residence(network.layout, v.lanes, device.shared_bytes_a_block).resident;
    const int smallest = resident ? 64 : max_block;
    for (v.block = max_block; v.block >= smallest; v.block /= 2)
      all.push_back({v, cycles_a_step(network, v, max_block, n, device)});
  }
  std::stable_sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) { return a.cycles < b.cycles; });
  std::vector<SmallVariant> variants;
  const auto same_kernel = [](const SmallVariant& a, const SmallVariant& b) {
    return a.lanes == b.lanes && a.chains == b.chains;
  };
  for (const Ranked& ranked : all) {
    const SmallVariant& v = ranked.variant;
    const bool is_new =
        std::none_of(variants.begin(), variants.end(), [&](const SmallVariant& o) { return same_kernel(o, v); });
    if (is_new || same_kernel(v, variants.front())) variants.push_back(v);
  }
  return variants;
}

bool is_small_variant(const SmallDeviceNetwork& network, const SmallVariant& v) {
  const SmallVariantLimits limits = limits_of(network, v);
  return limits.exists && v.block > 0 && v.block % 32 == 0 && v.block <= limits.max_block;
}

SmallVariant choose_small_variant(const SmallDeviceNetwork& network, std::int64_t n, const DeviceInfo& device) {
  return ranked_small_variants(network, n, device).front();
}

void advance_small(const SmallDeviceNetwork& network, const LangevinSteps& s, const DeviceChains& chains,
                   const DeviceInfo& device, StreamHandle stream, std::optional<SmallVariant> variant) {
  SmallLangevinArgs args;
  args.n = chains.n;
  args.x = chains.x;
  args.x_stride = network.layout.D;
  args.u = chains.u;
  args.u_stride = network.layout.K - network.layout.D;
  args.clamp = chains.clamp;
  args.first_bad_step = chains.first_bad_step;
  if (s.integrator == Integrator::baoab) {
    args.v = chains.v;
    args.momentum = momentum_step(s);
  }
  args.seed = s.seed;
  args.subsequence = static_cast<std::uint64_t>(Stream::dynamics) << 48 | s.first_chain;
  args.first_step = s.first_step;
  args.n_steps = s.n_steps;
  args.dt = s.dt;
  args.midpoint = s.integrator == Integrator::leimkuhler_matthews;
  args.scale = static_cast<float>(std::sqrt(args.midpoint ? 0.5 * s.dt : 2.0 * s.dt) * s.noise_scale);
  constexpr float largest = std::numeric_limits<float>::max();
  args.limit = s.bound * s.bound < largest ? s.bound * s.bound : largest;
  run(network, args, device, stream, variant);
}

void drift_small(const SmallDeviceNetwork& network, const float* points, std::int64_t n, float* out,
                 const DeviceInfo& device, StreamHandle stream, std::optional<SmallVariant> variant) {
  SmallLangevinArgs args;
  args.n = n;
  args.x = const_cast<float*>(points);  // only read where a drift is asked for
  args.x_stride = args.u_stride = network.layout.K;
  args.u = points + network.layout.D;
  args.drift = out;
  args.n_steps = 1;
  run(network, args, device, stream, variant);
}

}  // namespace tarn::cuda
