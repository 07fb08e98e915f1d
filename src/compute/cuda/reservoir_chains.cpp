// Per step, on a tile of chains, with x in the state:
//   a = phi([x u] W_in^T + b),  r += dt (a - r),  r += y P^T,  x = r W_out^T,
// with y = sqrt(2 dt) xi, and dt (f - g) added where the drift f = (g + c) M^T is not g = a W_out^T - x itself. Then clamped outputs are
// held by moving r along P, and chains that left the bound are silenced. Noise private to the neurons goes to r itself, in the kernel
// that relaxes it, and y has none.
#include "reservoir_chains.hpp"

#include <algorithm>

#include "large_steps.hpp"
#include "reservoir.hpp"

namespace tarn::cuda {
namespace {

// The chains of one tile; `chains` starts at its first.
struct ReservoirTile {
  const LargeDeviceNetwork& network;
  const DeviceChains& chains;
  LargeWorkspace& w;
  Blas& blas;
  std::int64_t rows;
  bool is_silent;

  bool has_extra() const { return !network.M.empty() || !network.c.empty(); }
  bool has_impulse() const { return has_extra() || (!is_silent && !chains.private_noise); }

  // x = r W_out^T, into the state.
  void form_outputs(StreamHandle stream) const {
    Product p;
    p.m = rows;
    p.n = network.n_outputs;
    p.k = network.n_neurons;
    p.a = chains.r;
    p.lda = network.n_neurons;
    p.b = network.W_out.data();
    p.ldb = network.neuron_stride;
    p.transpose_b = true;
    p.c = w.state.data();
    p.ldc = network.column_stride;
    blas.product(p, stream);
  }

  // r += impulse P^T.
  void push(StreamHandle stream) const {
    Product p;
    p.m = rows;
    p.n = network.n_neurons;
    p.k = network.n_outputs;
    p.a = w.impulse.data();
    p.lda = network.output_stride;
    p.b = chains.P;
    p.ldb = network.n_outputs;
    p.transpose_b = true;
    p.c = chains.r;
    p.ldc = network.n_neurons;
    p.beta = 1.0f;
    blas.product(p, stream);
  }

  void make_impulse(StreamHandle stream, std::uint64_t offset) const {
    ReservoirImpulse impulse;
    impulse.n = rows;
    impulse.n_outputs = network.n_outputs;
    impulse.y = w.impulse.data();
    impulse.stride = network.output_stride;
    impulse.noise = !chains.private_noise;
    impulse.c = network.c.data();
    if (has_extra()) {
      project(network, w, rows, Precision::fp32, blas, stream);
      launch_leak(w.sums.data(), network.output_stride, w.state.data(), network.column_stride, network.c.data(),
                  w.sums.data(), network.output_stride, rows, network.n_outputs, stream);
      impulse.f = impulse.leaked = w.sums.data();
      if (!network.M.empty()) {
        map(network, w.sums.data(), w.mapped.data(), network.output_stride, rows, blas, stream);
        impulse.f = w.mapped.data();
      }
    }
    launch_reservoir_impulse(impulse, w.call.data(), offset, stream);
  }

  void step(StreamHandle stream, std::uint64_t offset) const {
    hidden_layer(network, w, rows, Precision::fp32, blas, stream);
    if (has_impulse()) make_impulse(stream, offset);
    ReservoirRelax relax;
    relax.n = rows;
    relax.n_neurons = network.n_neurons;
    relax.r = chains.r;
    relax.a = w.hidden.data();
    relax.stride = network.neuron_stride;
    relax.private_noise = chains.private_noise;
    launch_reservoir_relax(relax, w.call.data(), offset, stream);
    if (has_impulse()) push(stream);
    form_outputs(stream);
    ReservoirSettle settle;
    settle.n = rows;
    settle.n_outputs = network.n_outputs;
    settle.n_neurons = network.n_neurons;
    settle.state = w.state.data();
    settle.state_stride = network.column_stride;
    settle.r = chains.r;
    settle.shift = chains.clamp ? w.impulse.data() : nullptr;
    settle.stride = network.output_stride;
    launch_reservoir_settle(settle, w.call.data(), offset, stream);
    if (chains.clamp) push(stream);
  }
};

DeviceChains from(const DeviceChains& all, const LargeDeviceNetwork& network, std::int64_t begin, std::int64_t rows) {
  const std::int64_t D = network.n_outputs, U = network.n_columns - D;
  DeviceChains part = all;
  part.n = rows;
  part.x += begin * D;
  if (U > 0) part.u += begin * U;
  if (part.clamp) part.clamp += begin * D;
  part.first_bad_step += begin;
  part.r += begin * network.n_neurons;
  return part;
}

}  // namespace

void advance_reservoir(const LargeDeviceNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                       LargeWorkspace& w, Context& context) {
  if (chains.n == 0) return;
  const std::int64_t D = network.n_outputs, U = network.n_columns - D;
  const std::int64_t rows_of_tile = w.reserve(network, chains.n, true, context.info.n_multiprocessors);
  const StreamHandle stream = context.stream.handle();
  for (std::int64_t begin = 0; begin < chains.n; begin += rows_of_tile) {
    const std::int64_t rows = std::min(rows_of_tile, chains.n - begin);
    const DeviceChains part = from(chains, network, begin, rows);
    const LangevinCall call = call_of(steps, chains, D, begin);
    const ReservoirTile tile{network, part, w, *context.blas, rows, call.scale == 0.0f};
    launch_begin_call(call, w.call.data(), stream);
    launch_pack_state(part.x, D, part.u, U, w.state.data(), network.column_stride, rows, stream);
    tile.form_outputs(stream);
    RecordedSteps key;
    key.network = network.id;
    key.rows = rows;
    key.chains.r = part.r;
    key.chains.P = part.P;
    key.chains.private_noise = part.private_noise;
    key.clamps = part.clamp != nullptr;
    key.pushes = tile.has_impulse();
    const double work =
        2.0 * static_cast<double>(rows * network.n_neurons) * static_cast<double>(network.n_columns + 2 * D);
    run_steps(w, std::move(key), work, steps.n_steps, context,
              [&](StreamHandle to, std::uint64_t offset) { tile.step(to, offset); });
    launch_unpack_state(w.state.data(), network.column_stride, part.x, D, rows, stream);
  }
}

}  // namespace tarn::cuda
