// How chains look over time: traces, ranks, autocorrelation. Private to the evaluations.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/report/chain_figures.hpp"

namespace tarn {

/// Chains that sample one law, group after group.
using ChainGroups = std::vector<std::vector<std::int64_t>>;

/// Those with the same inputs `[n_chains, U]`, in the order of their inputs; all `n_chains` in one where `inputs` is empty.
ChainGroups chains_by_input(MatrixView<const float> inputs, std::int64_t n_chains);

/// R-hat, ESS, ranks and autocorrelation of the draws in a file, of the first outputs, or where columns have `names` of some spread evenly among them;
/// nothing where few were kept. `grouped(n)` says which of the first n chains sample one law.
void judge_kept_draws(const std::filesystem::path& file, const std::vector<std::string>& names,
                      const std::function<ChainGroups(std::int64_t)>& grouped, const RunFolder& folder,
                      EvaluationOutcome& outcome);

/// Draws of some chains, one quantity after another.
struct ChainView {
  std::vector<std::string> names;      ///< "x_0", ...
  std::vector<Matrix<float>> outputs;  ///< for each, `[n_chains, n_draws]`
  std::vector<std::int64_t> steps;     ///< before each draw
  std::vector<double> times;           ///< of each draw, in tau
};

/// Figures of ranks and autocorrelation, of draws that should all follow one law. `source` says in the captions whose they are.
void add_rank_and_autocorrelation(const ChainView& view, const std::string& source, const RunFolder& folder,
                                  EvaluationOutcome& outcome);
/// The figure of traces; `levels` are marked.
void add_traces(const ChainView& view, const std::vector<Marker>& levels, const std::string& caption,
                const RunFolder& folder, EvaluationOutcome& outcome);

inline const std::string convergence_heading = "Convergence";

}  // namespace tarn
