// Learning of a hierarchical exponential-family model: latents follow a batch, the local rule moves the weights, on to the next batch
// (docs/hee.md).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/batch_source.hpp"
#include "tarn/models/hee_reading.hpp"
#include "tarn/training/trainer.hpp"

namespace tarn {

/// What latents are before each batch.
enum class LatentStart : std::uint8_t {
  reset,       ///< drawn anew
  persistent,  ///< as they were when their datum was last seen; needs a source with a table
  continual    ///< as the batch before left them: data stream by
};

/// A value that moves geometrically from `first` to `last` over the first `share` of the steps, and stays. `first` = 0: always `last`.
struct GeometricCourse {
  double first = 0.0, last = 0.0, share = 1.0;
  /// At `progress` from 0, the first step, to 1.
  double at(double progress) const;
};

/// All that decides a training run, beside the model, the data and the seed.
struct HeeTrainingPlan {
  std::int64_t n_steps = 0;     ///< batches, > 0
  std::int64_t batch_size = 0;  ///< data, > 0
  std::int64_t chains_per_datum = 1;
  std::int64_t inference_steps = 0;  ///< for each batch
  std::int64_t window = 0;           ///< the last so many of them teach; 1 to `inference_steps`
  LatentStart latents = LatentStart::reset;
  float spread = 0.0f;                         ///< standard deviation of latents that are drawn anew
  HeeDynamics dynamics;                        ///< its dt and tau_ratio are overruled by the courses
  GeometricCourse dt, tau_ratio, noise_scale;  ///< noise_scale: s of the observation; not touched where its `last` is 0
  std::vector<double> learning_rates;          ///< `[L]`, one a weight matrix
  LearningRateSchedule schedule = LearningRateSchedule::constant;  ///< cosine: to 0 over the whole of training
  std::uint64_t seed = 0;
};

/// Figures of one step.
struct HeeRecord {
  std::int64_t step = 0;       ///< steps taken, this one included
  double learning_rate = 0.0;  ///< of W_1
  double dt = 0.0, tau_ratio = 0.0, noise_scale = 0.0;
  HeeReading reading;              ///< of the first chains at the end of the step's inference
  HeeStatistics statistics;        ///< over the step's window
  std::int64_t n_quarantined = 0;  ///< chains of this batch
};

/// Where training stands between two steps.
struct HeeTrainingPosition {
  std::int64_t step = 0;
  std::vector<Matrix<float>> latents;  ///< persistent: `[n_items * chains_per_datum, n_l]`, l = 1..L; empty otherwise
};

struct HeeTrainingObserver {
  std::function<void(std::int64_t step, const HeeRecord& last)> progress;  ///< after every step
  std::function<void(const HeeRecord&)> record;                            ///< some two hundred times a run
  /// After every step but the last; the session's state belongs to this position.
  std::function<void(const HeeTrainingPosition&)> pause;
};

/// Takes the plan's steps, or what of them is left behind `from`. Noise of inference step k of batch n is that of step
/// `n * inference_steps + k`; chains are the rows of the batch. Throws `UsageError` for a plan that makes no sense, `Error` where weights
/// or all chains become non-finite (with the step), `Interrupted` after a pause.
void train_hee(HeeSession& session, BatchSource& source, const HeeTrainingPlan& plan,
               const HeeTrainingObserver& observer = {}, HeeTrainingPosition from = {});

}  // namespace tarn
