// Did the chains converge, and how many independent draws are theirs worth?
#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <unordered_set>

#include "chain_views.hpp"
#include "tarn/evaluation/convergence.hpp"
#include "tarn/evaluation/resampling.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_outputs = 8;
constexpr std::int64_t fewest_draws = 8;  // below, autocorrelation is guesswork
constexpr std::int64_t most_chains = 1024;
constexpr std::int64_t most_values = std::int64_t{1} << 26;  // 256 MiB

// Chains of the last draw that stand at the very place of another one.
std::int64_t count_same_place(const Matrix<float>& draws) {
  std::unordered_set<std::string_view> seen;
  std::int64_t n = 0;
  for (std::int64_t i = 0; i < draws.rows(); ++i) {
    const float* x = draws.row(i);
    if (!std::all_of(x, x + draws.cols(), [](float v) { return std::isfinite(v); })) continue;  // counted elsewhere
    n += seen.insert({reinterpret_cast<const char*>(x), static_cast<std::size_t>(draws.cols()) * sizeof(float)}).second
             ? 0
             : 1;
  }
  return n;
}

std::string text_of(double value) { return number_text(value, 4); }

Verdict verdict_of(const Convergence& c) {
  if (concerns(c).empty()) return Verdict::good;
  return c.r_hat <= 1.05 && c.ess_bulk >= 100.0 && c.ess_tail >= 100.0 ? Verdict::watch : Verdict::bad;
}

// NaN loses against any number.
double worse(double a, double b, bool larger) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) ? b : a;
  return larger ? std::max(a, b) : std::min(a, b);
}

// Of one output: over all inputs, and of the one that is worst.
struct ByInput {
  Convergence all;  ///< with R-hat and ESS of an input, in the mean over them
  double largest_r_hat = 0.0, fewest_ess = 0.0;
};

// Chains with one input sample one law; those with another sample another, and are not to be compared with them. Each group's ranks are
// normalised in it, so that variances within chains are alike, and R-hat^2 - 1 over all inputs is the mean of theirs: the largest of many
// would be above any threshold by chance.
ByInput by_input(const Matrix<float>& draws, const ChainGroups& groups) {
  const Convergence together = convergence(draws.view());
  if (groups.size() < 2) return {together, together.r_hat, std::min(together.ess_bulk, together.ess_tail)};
  ByInput out{together, std::nan(""), std::nan("")};
  double squares = 0.0, variance = 0.0;
  out.all.ess_bulk = out.all.ess_tail = 0.0;
  const auto n = static_cast<double>(groups.size());
  for (const std::vector<std::int64_t>& group : groups) {
    const Convergence c = convergence(gather_rows(draws, group).view());
    squares += c.r_hat * c.r_hat / n;
    out.largest_r_hat = worse(out.largest_r_hat, c.r_hat, true);
    out.all.ess_bulk += c.ess_bulk / n;
    out.all.ess_tail += c.ess_tail / n;
    out.fewest_ess = worse(out.fewest_ess, std::min(c.ess_bulk, c.ess_tail), false);
    // The mean over all draws is that of the groups' means, and its variance a sum of theirs.
    const double share = static_cast<double>(group.size()) / static_cast<double>(draws.rows());
    variance += share * share * c.mcse_mean * c.mcse_mean;
  }
  out.all.r_hat = std::sqrt(squares);
  out.all.mcse_mean = std::sqrt(variance);
  return out;
}

}  // namespace

ChainGroups chains_by_input(MatrixView<const float> inputs, std::int64_t n_chains) {
  std::map<std::vector<float>, std::vector<std::int64_t>> groups;
  for (std::int64_t i = 0; i < n_chains; ++i) {
    std::vector<float> key;
    if (inputs.rows > 0) key.assign(inputs.row(i), inputs.row(i) + inputs.cols);
    groups[key].push_back(i);
  }
  ChainGroups out;
  for (auto& [key, chains] : groups) out.push_back(std::move(chains));
  return out;
}

void judge_kept_draws(const std::filesystem::path& file, const std::vector<std::string>& names,
                      const std::function<ChainGroups(std::int64_t)>& grouped, const RunFolder& folder,
                      EvaluationOutcome& out) {
  const DrawReader reader(file);
  const std::int64_t n_draws = reader.n_draws(), D = reader.n_dims();
  if (n_draws < fewest_draws) return;  // final states of independent chains: nothing to compare along a chain
  const std::int64_t n_chains =
      std::clamp<std::int64_t>(most_values / (n_draws * D), 1, std::min(most_chains, reader.n_chains()));
  const Matrix<float> rows = reader.chains(0, n_chains);
  const ChainGroups groups = grouped(n_chains);
  ReportTable table;
  table.caption = "Kept draws, output by output";
  table.section = convergence_heading;
  table.columns = {"output", "mean", "its error", "deviation", "R-hat", "ESS, middle", "ESS, tails", "remark"};
  double r_hat = std::nan(""), bulk = r_hat, tail = r_hat, largest = r_hat, fewest = r_hat;
  std::int64_t n_judged = 0;
  ChainView view;
  view.steps = reader.steps();
  view.times = reader.times();
  for (std::int64_t d = 0; d < std::min(D, most_outputs); ++d, ++n_judged) {
    const std::int64_t column = names.empty() ? d : d * D / std::min(D, most_outputs);
    const std::string name = names.empty() ? fmt::format("x_{}", d) : names[static_cast<std::size_t>(column)];
    Matrix<float> draws(n_chains, n_draws);
    for (std::int64_t i = 0; i < draws.size(); ++i) draws.data()[i] = rows(i, column);
    const ByInput c = by_input(draws, groups);
    table.rows.push_back({name, text_of(c.all.mean), text_of(c.all.mcse_mean), text_of(c.all.deviation),
                          text_of(c.all.r_hat), text_of(c.all.ess_bulk), text_of(c.all.ess_tail), concerns(c.all)});
    table.verdicts.push_back(verdict_of(c.all));
    r_hat = worse(r_hat, c.all.r_hat, true);
    largest = worse(largest, c.largest_r_hat, true);
    bulk = worse(bulk, c.all.ess_bulk, false);
    tail = worse(tail, c.all.ess_tail, false);
    fewest = worse(fewest, c.fewest_ess, false);
    view.names.push_back(name);
    view.outputs.push_back(groups.size() > 1 ? gather_rows(draws, groups[0]) : std::move(draws));
  }
  const bool several = groups.size() > 1;
  std::string what =
      fmt::format("{} chains of {} draws, {} output{}", n_chains, n_draws, n_judged, n_judged == 1 ? "" : "s");
  if (several) what += fmt::format("; over {} inputs, the largest of one {}", groups.size(), number_text(largest, 4));
  const std::string of_all = several ? fmt::format("an input, of some {}; the fewest of one: {}",
                                                   n_chains * n_draws / std::ssize(groups), number_text(fewest, 3))
                                     : fmt::format("of {}", n_chains * n_draws);
  out.add("r_hat", "R-hat, the largest", r_hat, what + (r_hat > 1.01 ? "; above 1.01: not converged" : ""));
  out.add("ess_bulk", "effective draws, middle, the fewest", bulk, of_all);
  out.add("ess_tail", "effective draws, tails, the fewest", tail, of_all);
  table.note = fmt::format(
      "All kept draws of {}. Rank-normalised split R-hat and effective sample sizes as in Vehtari et "
      "al. 2021; the same figures as ArviZ's. R-hat above 1.01 or fewer than 400 effective draws: run longer, or leave "
      "out more of the beginning (sampling.burn_in).",
      n_chains == reader.n_chains() ? fmt::format("the {} chains", n_chains)
                                    : fmt::format("{} of the {} chains", n_chains, reader.n_chains()));
  if (several)
    table.note += fmt::format(
        " Chains are compared with those that have the same input: R-hat is the root of the mean square over {} "
        "inputs, the ESS are those of one input, in the mean over them.",
        groups.size());
  out.tables.push_back(std::move(table));
  add_rank_and_autocorrelation(view,
                               several
                                   ? fmt::format("the kept draws of {} chains that have one input", groups[0].size())
                                   : fmt::format("the kept draws of {} chains", n_chains),
                               folder, out);
}

void evaluate_convergence(const EvaluationInput& in, EvaluationOutcome& out) {
  const Matrix<float>& last = in.sampling.result.last_draw;
  // On a line a few of thousands meet by chance: a float has some 2^23 values where most draws lie.
  if (const std::int64_t same = last.cols() > 1 ? count_same_place(last) : 0; same > 0)
    out.warnings.push_back(fmt::format("{} chains ended at the very place of another one", same));
  if (in.sampling.draws_file.empty()) return;
  judge_kept_draws(
      in.sampling.draws_file, {}, [&](std::int64_t n) { return chains_by_input(in.sampling.inputs, n); }, in.folder,
      out);
}

}  // namespace tarn
