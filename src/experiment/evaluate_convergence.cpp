// Did the chains converge, and how many independent draws are theirs worth?
#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_set>

#include "chain_views.hpp"
#include "tarn/evaluation/convergence.hpp"
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

}  // namespace

void evaluate_convergence(const EvaluationInput& in, EvaluationOutcome& out) {
  const Matrix<float>& last = in.sampling.result.last_draw;
  // On a line a few of thousands meet by chance: a float has some 2^23 values where most draws lie.
  if (const std::int64_t same = last.cols() > 1 ? count_same_place(last) : 0; same > 0)
    out.warnings.push_back(fmt::format("{} chains ended at the very place of another one", same));
  if (in.sampling.draws_file.empty()) return;
  const DrawReader reader(in.sampling.draws_file);
  const std::int64_t n_draws = reader.n_draws(), D = reader.n_dims();
  if (n_draws < fewest_draws) return;  // final states of independent chains: nothing to compare along a chain
  const std::int64_t n_chains =
      std::clamp<std::int64_t>(most_values / (n_draws * D), 1, std::min(most_chains, reader.n_chains()));
  const Matrix<float> rows = reader.chains(0, n_chains);
  ReportTable table;
  table.caption = "Kept draws, output by output";
  table.section = convergence_heading;
  table.columns = {"output", "mean", "its error", "deviation", "R-hat", "ESS, middle", "ESS, tails", "remark"};
  double r_hat = std::nan(""), bulk = r_hat, tail = r_hat;
  std::int64_t n_judged = 0;
  ChainView view;
  view.steps = reader.steps();
  view.times = reader.times();
  for (std::int64_t d = 0; d < std::min(D, most_outputs); ++d, ++n_judged) {
    Matrix<float> draws(n_chains, n_draws);
    for (std::int64_t i = 0; i < draws.size(); ++i) draws.data()[i] = rows(i, d);
    const Convergence c = convergence(draws.view());
    table.rows.push_back({fmt::format("x_{}", d), text_of(c.mean), text_of(c.mcse_mean), text_of(c.deviation),
                          text_of(c.r_hat), text_of(c.ess_bulk), text_of(c.ess_tail), concerns(c)});
    table.verdicts.push_back(verdict_of(c));
    r_hat = worse(r_hat, c.r_hat, true);
    bulk = worse(bulk, c.ess_bulk, false);
    tail = worse(tail, c.ess_tail, false);
    view.names.push_back(fmt::format("x_{}", d));
    view.outputs.push_back(std::move(draws));
  }
  const std::string what = fmt::format("{} chains of {} draws, {} outputs", n_chains, n_draws, n_judged);
  out.add("r_hat", "R-hat, the largest", r_hat, what + (r_hat > 1.01 ? "; above 1.01: not converged" : ""));
  out.add("ess_bulk", "effective draws, middle, the fewest", bulk, fmt::format("of {}", n_chains * n_draws));
  out.add("ess_tail", "effective draws, tails, the fewest", tail, fmt::format("of {}", n_chains * n_draws));
  table.note = fmt::format(
      "Of {} of the {} chains, all kept draws. Rank-normalised split R-hat and effective sample sizes as in Vehtari et "
      "al. "
      "2021; the same figures as ArviZ's. R-hat above 1.01 or fewer than 400 effective draws: run longer, or leave out "
      "more "
      "of the beginning (sampling.burn_in).",
      n_chains, reader.n_chains());
  out.tables.push_back(std::move(table));
  add_rank_and_autocorrelation(view, fmt::format("the kept draws of {} chains", n_chains), in.folder, out);
}

}  // namespace tarn
