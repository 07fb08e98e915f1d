// Chains by matrix products, for networks beyond the fused kernels: weights, working memory, output mode, drift.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "context.hpp"
#include "device_chains.hpp"
#include "fused_langevin.hpp"
#include "langevin_call.hpp"
#include "memory.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

/// A copy of the weights in device memory. Rows and columns are padded with zeros to multiples of 4, so that products find every row
/// on 16 bytes; what the padding adds to a sum is 0.
struct LargeDeviceNetwork {
  /// Waits until the copies are done. Throws `Error` where memory is short.
  /// `precision` is that of output mode; `plan` as `large_plan` has it.
  LargeDeviceNetwork(const NetworkView& network, StreamHandle stream, Precision precision = Precision::fp32,
                     const FusedPlan& plan = {}, Engine engine = Engine::warp);

  std::uint64_t id;  ///< another one for each network made: addresses come again
  Nonlinearity phi;
  std::int64_t n_outputs, n_columns, n_neurons;              ///< D, D + U, N
  std::int64_t output_stride, column_stride, neuron_stride;  ///< these, padded
  DeviceBuffer<float> W_in;                                  ///< `[neuron_stride, column_stride]`
  DeviceBuffer<float> b;                                     ///< `[neuron_stride]`
  DeviceBuffer<float> W_out;                                 ///< `[output_stride, neuron_stride]`
  DeviceBuffer<float> c;                                     ///< `[output_stride]` or empty
  DeviceBuffer<float> M;                                     ///< `[output_stride, output_stride]` or empty

  Precision precision;                 ///< of the products of output mode
  FusedPlan plan;                      ///< of the fused kernel; fp32 where products are done one by one
  Engine engine = Engine::warp;        ///< of the fused kernel
  DeviceBuffer<unsigned char> packed;  ///< the fused kernel's weights

  bool is_fused() const { return plan.precision != Precision::fp32; }
};

/// Eight steps of a tile, recorded.
struct RecordedSteps {
  std::uint64_t network = 0;
  std::int64_t rows = 0;
  DeviceChains chains;  ///< the pointers that went into products; null in output mode
  bool clamps = false;
  bool pushes = false;  ///< whether outputs get an impulse
  CudaGraph graph;
};

/// Working memory of a tile of chains, kept from call to call. Belongs to one stream.
struct LargeWorkspace {
  /// Bytes that the hidden layer may take; chains beyond advance tile after tile, of at least 128. 0: 2 GiB, or a quarter of what was
  /// free when it was first asked, where that is less.
  std::int64_t hidden_budget = 0;

  DeviceBuffer<float> state;    ///< `[rows, column_stride]`: x, u, zeros
  DeviceBuffer<float> hidden;   ///< `[rows, neuron_stride]`
  DeviceBuffer<float> sums;     ///< `[rows, output_stride]`
  DeviceBuffer<float> mapped;   ///< `[rows, output_stride]`, with M
  DeviceBuffer<float> parts;    ///< sums of groups of neurons, of the fused kernel
  DeviceBuffer<float> impulse;  ///< `[rows, output_stride]`, in reservoir mode
  DeviceBuffer<LangevinCall> call;
  std::vector<RecordedSteps> recorded;

  /// Makes room for `n` chains, or for as many as the budget allows, and returns the rows of a tile. The fused kernel has no hidden layer in
  /// memory and takes all.
  std::int64_t reserve(const LargeDeviceNetwork& network, std::int64_t n, bool reservoir, int n_multiprocessors);
};

/// Advances the chains in place. Asynchronous, in `context.stream`.
void advance_large(const LargeDeviceNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
                   LargeWorkspace& workspace, Context& context);

/// Drift at `points` `[n, D+U]`, to `out` `[n, D]`, both on the device. Asynchronous, in `context.stream`.
void drift_large(const LargeDeviceNetwork& network, const float* points, std::int64_t n, float* out,
                 LargeWorkspace& workspace, Context& context);

/// Device memory that a network takes, and each chain of a tile beside its own state.
std::int64_t large_network_bytes(const NetworkView& network, const FusedPlan& plan);
std::int64_t large_bytes_a_chain(const NetworkView& network, const FusedPlan& plan, bool reservoir);

/// The fused kernel's plan for this network on this device in output mode; fp32 where it has none, and `why` says so.
FusedPlan large_plan(const NetworkView& network, const Context& context, std::string* why = nullptr);
/// Whose matrix instructions it takes here.
Engine engine_of(const DeviceInfo& info);
/// How chains of this network run on this device, and why so, in a line.
std::string large_path(const NetworkView& network, const Context& context, bool reservoir);

}  // namespace tarn::cuda
