// The chain engine: any number of chains, any number of steps, in tiles that fit memory, draws streamed to a sink.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/core/sink.hpp"
#include "tarn/sampling/initial_law.hpp"
#include "tarn/sampling/live_diagnostics.hpp"
#include "tarn/sampling/schedule.hpp"
#include "tarn/sampling/stop_rule.hpp"

namespace tarn {

/// Neural activity to keep in reservoir mode: the chosen neurons' `r`, then projections `r q^T`.
struct ActivityRecording {
  std::vector<std::int64_t> neurons;
  Matrix<float> projections;  ///< `[n_projections, N]`
  std::int64_t every = 1;     ///< with every so many-th kept draw
  std::int64_t n_recorded() const { return static_cast<std::int64_t>(neurons.size()) + projections.rows(); }
};

/// A sampling run. Chains are known by global numbers `first_chain ... first_chain + n_chains - 1`, and what a chain does depends on
/// its number, the seed and the schedule alone.
struct SamplingRun {
  std::vector<Stage> stages;
  Integrator integrator = Integrator::euler_maruyama;
  std::uint64_t seed = 0;
  std::uint64_t first_chain = 0;
  std::int64_t n_chains = 0;
  std::uint64_t first_step = 0;  ///< number of the first step's noise: runs that go on where others ended count on
  InitialLaw initial;
  bool denoise = false;              ///< kept draws are `x + sigma^2 s(x)`; the chains themselves go on undisturbed
  MatrixView<const float> inputs{};  ///< `[T * n_chains, U]`: u of chain i in piece t is row `t * n_chains + i`
  std::int64_t n_input_pieces = 1;   ///< T: the run's steps are shared evenly by the pieces
  MatrixView<const float> clamp{};   ///< `[1 or n_chains, D]`: finite entries hold an output, NaN leaves it free
  bool reservoir = false;            ///< carry the neurons' state; needs `P`
  MatrixView<const float> P{};       ///< `[N, D]`, W_out P = I
  MatrixView<const float> private_noise{};  ///< `[1, N]`: reservoir mode with noise private to the neurons, or empty
  ActivityRecording recording;
  WatchPlan watch;  ///< what live diagnostics see, at the looks that stages ask for
  /// Ends the last stage early. It is judged after looks that are an even number of full batches (`WatchClock`), eight or more, over all
  /// chains, which must therefore run at a time, as one tile.
  StopRule until;
  /// Told of live diagnostics while chains run, with the steps that a chain has taken: wherever the rule is judged, and without one after 8, 16,
  /// 32, ... looks. Not where the chains run in several tiles.
  std::function<void(std::int64_t, const LiveDiagnostics&)> judged;
  std::int64_t memory_bytes = std::int64_t{1} << 30;  ///< for the state of a tile
};

struct SamplingResult {
  Matrix<float> last_draw;                   ///< `[n_chains, D]`; NaN rows are quarantined chains
  std::vector<std::int64_t> first_bad_step;  ///< `[n_chains]`, -1 = well
  std::int64_t n_quarantined = 0;
  std::int64_t n_draws = 0;
  std::int64_t stopped_at = -1;  ///< steps that a chain had taken when `until` held; -1: it never did
  LiveSums live;                 ///< of all chains that were watched
  double chain_steps = 0.0;
  double seconds = 0.0;
};

/// Where a sampling run stands between two chunks of steps. Chains before `tile_begin` are done, those of the tile are at
/// this point of the schedule, the others have not begun.
struct SamplingPosition {
  std::int64_t tile_size = 0;   ///< 0: nothing was done yet
  std::int64_t tile_begin = 0;  ///< `n_chains`: all is done
  std::int64_t stage = 0, in_stage = 0;
  std::int64_t done = 0, draw = 0;  ///< steps taken and draws kept by the tile's chains
  double stage_start = 0.0;         ///< time at which the stage began
  double chain_steps = 0.0;         ///< taken by all chains
  Matrix<float> x, v,
      r;  ///< state of the tile's chains, `[n, D]`, `[n, D]`, `[n, N]`; empty where the tile has not begun
  Matrix<float> last_draw;                   ///< `[n_chains, D]`; rows of chains that have not begun are of no meaning
  std::vector<std::int64_t> first_bad_step;  ///< `[n_chains]`
  std::int64_t stopped_at = -1;              ///< as in `SamplingResult`
  std::vector<double> live;         ///< `LiveSums` of the tiles that are done, packed; empty where nothing is watched
  std::optional<WatchState> watch;  ///< of the tile's chains; empty where `x` is
};

/// How a run is saved and goes on.
struct SamplingCheckpoints {
  std::function<bool()> due;  ///< asked between chunks of steps, well under a second apart
  std::function<void(const SamplingPosition&)> save;
  const SamplingPosition* from = nullptr;  ///< goes on here; a position of the same run
};

/// Runs all chains; `sink` may be null; `progress(done_chain_steps, n_quarantined)` is called now and then. Throws `Error` where
/// shapes do not fit, `Interrupted` where a signal asks for an end (after a save). A run that goes on from a position gives the same draws as one
/// that was never broken; draws between the position and the break come again.
SamplingResult run_chains(Backend& backend, const SamplingRun& run, Sink* sink,
                          const std::function<void(double, std::int64_t)>& progress = {},
                          const SamplingCheckpoints& checkpoints = {});

}  // namespace tarn
