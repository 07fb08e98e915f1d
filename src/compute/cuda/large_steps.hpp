// What output mode and reservoir mode share: the drift of a tile, and running its steps, recorded where launching would take longer
// than the work.
#pragma once

#include "langevin_update.hpp"
#include "large_chains.hpp"

namespace tarn::cuda {

inline constexpr int recorded_steps = 8;
/// Steps of more operations than this take the device so long (a third of a millisecond) that launches hide behind them.
inline constexpr double most_recorded_work = 2e10;
inline constexpr std::size_t most_recordings = 16;

/// Rows `begin` to `begin + rows` of `chains`, as the kernels of a step want to know of them.
LangevinCall call_of(const LangevinSteps& steps, const DeviceChains& chains, std::int64_t n_outputs,
                     std::int64_t begin);

/// `hidden = phi(state W_in^T + b)`.
void hidden_layer(const LargeDeviceNetwork& network, LargeWorkspace& workspace, std::int64_t rows, Precision precision,
                  Blas& blas, StreamHandle stream);
/// `sums = hidden W_out^T`.
void project(const LargeDeviceNetwork& network, LargeWorkspace& workspace, std::int64_t rows, Precision precision,
             Blas& blas, StreamHandle stream);
/// `out = in M^T`; `in` `[rows, output_stride]`.
void map(const LargeDeviceNetwork& network, const float* in, float* out, std::int64_t out_stride, std::int64_t rows,
         Blas& blas, StreamHandle stream);

/// `step(stream, offset)` puts the step `call->step + offset` into the stream. What it puts there may depend on `key` and on the
/// workspace, and on nothing else that changes; the rest is read from `workspace.call`.
template <class Step>
void run_steps(LargeWorkspace& workspace, RecordedSteps key, double work_a_step, std::int64_t n_steps,
               const Context& context, Step&& step) {
  const StreamHandle stream = context.stream.handle();
  LangevinCall* const call = workspace.call.data();
  std::int64_t done = 0;
  if (n_steps >= 2 * recorded_steps && work_a_step < most_recorded_work) {
    // Products choose their algorithms at their first call, and may not do so in a recording.
    step(stream, std::uint64_t{0});
    launch_skip_steps(call, 1, stream);
    done = 1;
    auto& all = workspace.recorded;
    auto found = all.begin();
    while (found != all.end() &&
           (found->network != key.network || found->rows != key.rows || found->clamps != key.clamps ||
            found->pushes != key.pushes || found->chains.r != key.chains.r || found->chains.P != key.chains.P ||
            found->chains.private_noise != key.chains.private_noise))
      ++found;
    if (found == all.end()) {
      key.graph = CudaGraph(context.stream, [&](StreamHandle recording) {
        for (std::uint64_t i = 0; i < recorded_steps; ++i) step(recording, i);
        launch_skip_steps(call, recorded_steps, recording);
      });
      if (all.size() == most_recordings) {
        context.stream.synchronize();  // it may still run
        all.erase(all.begin());
      }
      all.push_back(std::move(key));
      found = all.end() - 1;
    }
    for (; done + recorded_steps <= n_steps; done += recorded_steps) found->graph.launch(context.stream);
  }
  for (std::uint64_t offset = 0; done < n_steps; ++done, ++offset) step(stream, offset);
}

}  // namespace tarn::cuda
