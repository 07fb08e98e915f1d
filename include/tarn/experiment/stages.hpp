// The stages of a run: training, sampling. Each takes small structs and can be called on its own.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/drift_check.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/experiment/run_folder.hpp"
#include "tarn/models/sampling_network.hpp"
#include "tarn/sampling/chain_engine.hpp"
#include "tarn/training/trainer.hpp"

namespace tarn {

/// The training part of a resolved config.
TrainingPlan training_plan(const Config& config, const PreparedData& data);
OptimizerSettings optimizer_settings(const OptimizerConfig& config);

/// The network that training starts from: fresh from the seed, or the weights that `training.init` names. Throws `UsageError` where
/// those do not fit the data or the model table.
SamplingNetwork starting_network(const Config& config, const PreparedData& data);

/// That network ready to be trained by the plan: by denoising score matching, or by contrastive divergence where it has an energy.
std::unique_ptr<TrainableModel> make_training(const Config& config, const PreparedData& data, const TrainingPlan& plan,
                                              Backend& backend);

struct TrainingOutcome {
  std::vector<SamplingNetwork> levels;  ///< the network at the end of each level
  std::vector<TrainingRecord> records;
  std::int64_t n_steps = 0;
  double seconds = 0.0;
};

/// Trains, shows progress, writes metrics.jsonl and a weights file a level. Goes on where the checkpoint says; what was trained before is
/// read from the run folder. Throws `Error`, and `Interrupted` after a save.
TrainingOutcome train_stage(const Config& config, const PreparedData& data, Backend& backend, const RunFolder& folder,
                            const Continuation& continuation = {});

/// `sampling.drift` as the models know it.
DriftForm drift_form(const SamplingConfig& config);

/// Networks of several levels, arranged for a backend.
class PreparedLevels {
 public:
  /// `J` `[D, D]` gives all of them the irreversible drift `s (I + J)^T`; may be empty. With `private_noise` `[1, N]` the drift is
  /// `s (D_x + J)^T`, D_x what noise private to the neurons is to the outputs. With neither it is that of `form`.
  PreparedLevels(Backend& backend, const std::vector<SamplingNetwork>& levels, MatrixView<const float> J = {},
                 MatrixView<const float> private_noise = {}, DriftForm form = DriftForm::score);
  std::size_t size() const { return prepared_.size(); }
  const PreparedNetwork& operator[](std::size_t level) const { return *prepared_[level]; }

 private:
  std::vector<RunnableNetwork> runnable_;
  std::vector<std::unique_ptr<PreparedNetwork>> prepared_;
};

/// What chains need of the device's memory, for people; empty where they live in the host's.
std::string device_memory_line(const ChainMemory& memory, std::int64_t n_chains);

/// Which chains of a run are advanced here: all, or a part of a run shared with others.
struct ChainRange {
  std::int64_t begin = 0;
  std::int64_t end = -1;  ///< -1: to the last
};

/// The range with its end filled in. Throws `UsageError` where it does not lie within the run's chains.
ChainRange range_within(const ChainRange& asked, std::int64_t n_chains);

/// A sampling run that is ready to start, and what its views point to. May be moved.
struct SamplingSetup {
  PreparedLevels levels;
  std::optional<PreparedLevels> scores;  ///< for the final denoising step, where the drift is not the score
  Matrix<float> inputs;                  ///< `[T * n_chains, U]`, or empty
  Matrix<float> clamp;                   ///< `[1 or n_chains, D]`, or empty
  Matrix<float> initial_rows;            ///< starts that came from a file, or empty
  Matrix<float> P;                       ///< `[N, D]`, reservoir mode only
  Matrix<float> private_noise;           ///< `[1, N]`, with sampling.noise = "private"
  SamplingRun run;
};

/// The chains of a resolved config's [sampling] table, without files to write to: `run_chains(backend, setup.run, sink)` runs them in
/// scaled filter space. `data` must outlive the setup, since chains may start at its rows. Throws `UsageError` and `Error`.
SamplingSetup make_sampling(const Config& config, const PreparedData& data, const std::vector<SamplingNetwork>& levels,
                            Backend& backend, const ChainRange& range = {});

struct SamplingOutcome {
  SamplingResult result;             ///< last draw in scaled filter space
  Matrix<float> last_draw;           ///< `[n_chains, D]` filter space, shift and scale undone
  Matrix<float> inputs;              ///< `[n_chains, U]` of the last step, or empty
  Matrix<float> clamp;               ///< `[1 or n_chains, D]`, or empty
  std::filesystem::path draws_file;  ///< all kept draws in one file; empty where they were not merged
  std::vector<Stage> stages;
  std::int64_t first_chain = 0;  ///< number of the first of them in the whole run
  DriftCheck drift;
};

/// Rows `[n, D]` of scaled filter space as they are written to draws: shift and scale undone.
Matrix<float> in_file_units(const PreparedData& data, MatrixView<const float> x);
/// The way back, to rounding.
Matrix<float> from_file_units(const PreparedData& data, Matrix<float> x);

/// Runs the chains of a resolved config's [sampling] table. Draws go to `<folder>/samples` (segments) and, where merging is on and all
/// chains are here, to `<folder>/samples.nc`; both in filter space with shift and scale undone, so in the data's own units where there is
/// no filter. `data` may come from `load_data_maps`. Throws `Error`, and `Interrupted` after a save.
SamplingOutcome sampling_stage(const Config& config, const PreparedData& data,
                               const std::vector<SamplingNetwork>& levels, Backend& backend,
                               const std::filesystem::path& folder, const ChainRange& range = {},
                               const Continuation& continuation = {});

/// The skew-symmetric J of [sampling.irreversible], `[D, D]`; empty where its strength is 0. Drawn from the seed or read.
Matrix<float> irreversible_matrix(const IrreversibleConfig& config, std::int64_t n_outputs, std::uint64_t seed);

/// "all", "random:K" or "0,3,17". Throws `UsageError`.
std::vector<std::int64_t> parse_neurons(const std::string& text, std::int64_t n_neurons, std::uint64_t seed);

}  // namespace tarn
