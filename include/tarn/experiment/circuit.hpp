// The short way in: a circuit that learns the law of some rows, and draws from it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// A trained sampling network of every noise level, with the maps between its own space and the data's units. What can be set is what
/// a config file can set, in the same words ("training.epochs=50", docs/config.md), and what is left out is filled by the recipe.
/// Copies share the networks. One object may be used by one thread at a time; it uses several itself.
class Circuit {
 public:
  /// Trains on rows `[n, P]` in the data's own units; reads and writes no files. Keys of [data] other than `data.scaling` are refused.
  /// `n_threads` 0 = all cores. Throws `UsageError` for a setting that is unknown, out of range or does not fit the rows, `Error`
  /// for rows that are not finite and for a training that runs off.
  static Circuit train(MatrixView<const float> rows, const std::vector<std::string>& settings = {}, int n_threads = 0);

  /// The circuit of a run folder that `tarn run` wrote. Throws `Error` where it is none.
  static Circuit load(const std::filesystem::path& run_folder, int n_threads = 0);

  /// Final states `[n_chains, P]` of that many independent Langevin chains, in the data's own units. The same call gives the same draws:
  /// chains are functions of `run.seed`, which `settings` may replace along with the [sampling] table. A chain that ran off is a row
  /// of NaN, and a warning counts them. Throws `UsageError` and `Error`.
  Matrix<float> sample(std::int64_t n_chains, const std::vector<std::string>& settings = {}) const;

  /// The learned score, the gradient of the log density at the last noise level, at `points` `[n, D+U]`, in filter space (the data's
  /// own units where `filter.kind` is "none"): `[n, D]`.
  Matrix<float> score(MatrixView<const float> points) const;

  /// The resolved config: what was used for every key.
  const Config& config() const;
  /// The network at the end of each noise level, largest first; the last one is the circuit of arXiv 2308.11809.
  const std::vector<SamplingNetwork>& levels() const;

 private:
  struct State;
  explicit Circuit(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace tarn
