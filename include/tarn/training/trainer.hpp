// Annealed denoising score matching: one noise level after another, largest first (arXiv 2308.11809, section 4).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tarn/compute/dsm.hpp"
#include "tarn/models/sampling_network.hpp"
#include "tarn/models/trainable.hpp"

namespace tarn {

enum class OutputScaling : std::uint8_t { none, inverse_sigma, inverse_sigma2 };
enum class LearningRateSchedule : std::uint8_t { constant, cosine };

/// All that decides a training run, beside the model, the data and the seed.
struct TrainingPlan {
  std::vector<double> sigmas;                 ///< noise levels, largest first; > 0
  std::vector<std::int64_t> steps_per_level;  ///< as many as levels, each > 0
  std::int64_t batch_size = 0;                ///< > 0, even where antithetic
  std::uint64_t seed = 0;
  double learning_rate = 1e-3;
  LearningRateSchedule schedule =
      LearningRateSchedule::constant;  ///< cosine: from `learning_rate` to 0 within each level
  bool restart_per_level = true;       ///< optimiser moments start anew with each level
  OutputScaling output_scaling =
      OutputScaling::none;  ///< W_out = V, V / sigma, V / sigma^2; loss times sigma^2 with the last two
  bool antithetic = false;
  std::int64_t confinement_points = 0;  ///< a batch
  double confinement_pull = 0.0;
  double confinement_radius[2] = {1.3, 13.0};  ///< factors of (largest data norm + sigma sqrt(D))
  std::int64_t n_outputs = 0;                  ///< D
  double largest_norm = 0.0;                   ///< over the training data, scaled filter space
};

/// The same number of steps for every level, `total` in all (levels differ by at most one).
std::vector<std::int64_t> share_steps(std::int64_t total, std::int64_t n_levels);

/// What the session is told about level `level`. Throws `UsageError` where the plan makes no sense.
DsmLevel level_of(const TrainingPlan& plan, std::size_t level);

/// Figures of a stretch of steps within one level: means over the stretch.
struct TrainingRecord {
  std::int64_t step = 0;  ///< steps taken, over the whole run
  std::int64_t level = 0;
  double sigma = 0.0;
  double learning_rate = 0.0;  ///< of that step
  DsmLoss loss;
};

/// Where training stands between two steps.
struct TrainingPosition {
  std::int64_t level = 0;  ///< at work; as many as there are levels once all is done
  std::int64_t done = 0;   ///< steps taken in it
  std::int64_t step = 0;   ///< steps taken in all
  DsmLoss sum;             ///< over the `n_summed` steps since the last record
  std::int64_t n_summed = 0;
};

struct TrainingObserver {
  std::function<void(std::int64_t step, std::int64_t total, std::int64_t level, const DsmLoss&)> progress;
  std::function<void(const TrainingRecord&)> record;  ///< some fifty times a level
  /// At the end of each level, with the network that samples at it (running mean where there is one).
  std::function<void(std::int64_t level, std::int64_t step, const SamplingNetwork&)> level_end;
  /// Between stretches of steps, well under a second apart where a step is shorter than that; the model's state belongs
  /// to this position. `level_ended`: a level has just ended.
  std::function<void(const TrainingPosition&, bool level_ended)> pause;
  /// Asked when training has to stop: the file that holds the last good weights, or "" where there is none.
  std::function<std::string()> last_good;
};

/// Trains through all levels and returns the network of the last one. Throws `Error` where a loss is not finite, naming the step, and where
/// a weight is not, as after a gradient that is not: weights are looked at every 256 steps or so and at the end of each level, so that message names
/// a stretch; with clipping on, where gradients have a norm, it names the step. The line further says level, sigma, the
/// norms of the weights when they last were finite, and `last_good` or the last level that ended well. Throws `Interrupted` where a
/// signal asks for an end. With `from`, goes on at that position of the same plan, with a model that was restored to it; every later
/// step is the same, bit for bit. `from.level` must be one of the plan's.
SamplingNetwork train(TrainableModel& model, BatchSource& source, const TrainingPlan& plan,
                      const TrainingObserver& observer, const TrainingPosition& from = {});

}  // namespace tarn
