// One model of a learning study: trained, and judged on its way by data that it has not seen. Private to the study.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/models/energy_likelihood.hpp"

namespace tarn {

/// A data set without its last rows, and these.
struct HeldOut {
  PreparedData training;
  Matrix<float> test;  ///< `[n, D]`
  GaussianBase base;   ///< independent normals with the moments of the training rows
};
/// Throws `UsageError` where too few items are left.
HeldOut hold_out(PreparedData data, std::int64_t n_test);

/// What is found at one look.
struct LearningLook {
  std::int64_t step = 0;              ///< updates taken
  double log_likelihood = 0.0;        ///< mean over the test data, nats
  double log_likelihood_error = 0.0;  ///< of the annealing, as an estimate for these data
  double effective = 0.0;             ///< importance weights, the fewest of any estimate
  double reconstruction = 0.0;        ///< mean square error an output, in training
  double frechet = 0.0, sliced_w2 = 0.0;
};

struct LearningResult {
  std::vector<LearningLook> looks;
  std::int64_t n_weights = 0;   ///< trained numbers
  std::string stopped;          ///< why training did not come to its end, or ""
  std::vector<double> seconds;  ///< `[looks]` processor time of training until then; not part of the file
};
/// Training stopped, or what was learned was lost: the last look is no better than the first.
bool diverged(const LearningResult& result);

/// One line of JSON and back, without the seconds. `read_learning` throws `Error` for what no study would have written.
std::string learning_line(const LearningResult& result);
LearningResult read_learning(const std::filesystem::path& path);

/// Steps of the looks: geometric from a 64th of the training to its end.
std::vector<std::int64_t> look_steps(std::int64_t n_steps, std::int64_t n_looks);
/// How many updates training takes.
std::int64_t learning_steps(const Config& config, const PreparedData& data);

/// Trains the model of a resolved config on the training rows; `looked` is told of every look. Where training diverges, `stopped` says
/// how. Throws `Error`, and `Interrupted`.
LearningResult train_and_look(const Config& config, const HeldOut& data, Backend& backend, std::int64_t n_looks,
                              const std::function<void(const LearningLook&)>& looked = {});

}  // namespace tarn
