// What live diagnostics saw of the chains: a table, and warnings that name chains.
#include <cmath>

#include "chain_views.hpp"
#include "hee_judgements.hpp"
#include "hee_watch.hpp"
#include "live_watch.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {
namespace {

std::string text_of(double value) { return number_text(value, 4); }

// What a quantity of scaled filter space is in the units of the draws' file.
struct Units {
  double shift = 0.0, scale = 1.0;
  double value(double x) const { return shift + scale * x; }
};
// Of the first n columns, by rows of zeros and ones taken there.
std::vector<Units> units_of(const Matrix<float>& there, std::int64_t n) {
  std::vector<Units> units;
  for (std::int64_t d = 0; d < n; ++d) {
    const double shift = static_cast<double>(there(0, d));
    units.push_back({shift, static_cast<double>(there(1, d)) - shift});
  }
  return units;
}
Matrix<float> zeros_and_ones(std::int64_t D) {
  Matrix<float> ends(2, D);
  std::fill_n(ends.row(1), D, 1.0f);
  return ends;
}

// What was seen of a run's chains, and how to tell of it.
struct Seen {
  const LiveDiagnostics& live;
  std::vector<std::string> names;  ///< of its quantities
  std::vector<Units> units;        ///< of the first of them; the others are told as they are
  std::int64_t every = 0, first_chain = 0, stopped_at = -1;
  std::string rule;
};

void warn_of_chains(const LiveDiagnostics& live, std::int64_t first_chain, EvaluationOutcome& out) {
  if (live.n_stuck > 0)
    out.warnings.push_back(fmt::format("{} chains stand still at the very same place (chain {} for one)", live.n_stuck,
                                       first_chain + live.first_stuck));
  if (live.n_duplicate > 0)
    out.warnings.push_back(fmt::format("{} chains are copies of another one (chain {} of chain {} for one)",
                                       live.n_duplicate, first_chain + live.first_duplicate,
                                       first_chain + live.twin_of_first));
}

std::string sentence_of_modes(const LiveDiagnostics& live) {
  if (live.mode_shares.empty()) return "";
  std::string text = " Share of looks nearest to each component's mean:";
  for (const double share : live.mode_shares) text += fmt::format(" {}", number_text(share, 3));
  return live.mode_changes > 0.0 ? fmt::format("{}; a chain changes its mode every {} looks.", text,
                                               number_text(1.0 / live.mode_changes, 3))
                                 : text + "; no chain ever changed its mode.";
}

ReportTable table_of(const Seen& seen) {
  const LiveDiagnostics& live = seen.live;
  ReportTable table;
  table.caption = "Live diagnostics";
  table.section = convergence_heading;
  table.columns = {"quantity",    "mean",         "its error", "deviation",        "5 %",       "median", "95 %",
                   "split R-hat", "nested R-hat", "ESS",       "correlation at 1", "at 8 looks"};
  for (std::size_t q = 0; q < live.quantities.size(); ++q) {
    const LiveQuantity& x = live.quantities[q];
    const Units u = q < seen.units.size() ? seen.units[q] : Units{};
    table.rows.push_back({seen.names[q], text_of(u.value(x.mean)), text_of(u.scale * x.mcse),
                          text_of(u.scale * x.deviation), text_of(u.value(x.quantiles[0])),
                          text_of(u.value(x.quantiles[2])), text_of(u.value(x.quantiles[4])), text_of(x.r_hat),
                          text_of(x.nested_r_hat), text_of(x.ess), text_of(x.autocorrelation[0]),
                          text_of(x.autocorrelation[3])});
  }
  const std::string looks = live.n_looks == 1 ? std::string("one look")
                                              : fmt::format("{} looks, one every {} steps", live.n_looks, seen.every);
  table.note = fmt::format(
      "Summed up while the chains ran: {} chains, {}{}. Split R-hat of the values as they "
      "are, not of their ranks; ESS: effective looks by batch means; quantiles to 1/256 of the scaled value; nested "
      "R-hat compares groups of neighbouring chains. |x|^2 is that of scaled filter space.{}{}",
      live.n_chains - live.n_lost, looks,
      seen.stopped_at < 0 ? std::string()
                          : fmt::format("; stopped after {} steps, where {} held", seen.stopped_at, seen.rule),
      live.n_lost > 0 ? fmt::format(" {} lost chains take no part.", live.n_lost) : "", sentence_of_modes(live));
  return table;
}

// The table and warnings; what is worth saying where the rule did not hold, `also` added.
void add_live(const Seen& seen, std::int64_t n_steps, const std::string& also, EvaluationOutcome& out) {
  warn_of_chains(seen.live, seen.first_chain, out);
  if (!seen.rule.empty() && seen.stopped_at < 0)
    out.warnings.push_back(fmt::format("sampling.until: {} did not hold within the {} steps{}", seen.rule, n_steps,
                                       also.empty() ? also : "; " + also));
  out.tables.push_back(table_of(seen));
}

}  // namespace

void evaluate_live(const EvaluationInput& in, EvaluationOutcome& out) {
  const SamplingResult& result = in.sampling.result;
  const LiveDiagnostics live = result.live.diagnostics();
  if (live.quantities.empty() || live.n_looks == 0) return;
  const bool one_law = chains_by_input(in.sampling.inputs, in.sampling.inputs.rows()).size() < 2;
  const std::string several =
      "chains have inputs of their own, so their laws differ and R-hat between them says little";
  const std::int64_t D = result.last_draw.cols();
  const auto n_outputs = std::min(D, in.config.sampling.diagnostics.outputs);
  add_live({.live = live,
            .names = live_names(live),
            .units = units_of(in_file_units(in.data, zeros_and_ones(D)), n_outputs),
            .every = in.sampling.stages.back().watch,
            .first_chain = in.sampling.first_chain,
            .stopped_at = result.stopped_at,
            .rule = in.config.sampling.until},
           n_steps(in.sampling.stages), one_law ? std::string() : several, out);
  if (one_law) {
    out.live_r_hat = live.worst_r_hat();
    out.live_ess = live.worst_ess();
  } else {
    out.tables.back().note += fmt::format(" Note that {}.", several);
  }
}

void evaluate_live(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  const HeeSeen& its = in.sampling.live;
  if (its.diagnostics.n_looks == 0) return;
  Seen seen{.live = its.diagnostics,
            .names = watched_names(its.looks, in.training.model.parameters),
            .units = {},
            .every = its.looks.every,
            .first_chain = its.first_chain,
            .stopped_at = its.stopped_at,
            .rule = in.config.sampling.until};
  const bool posterior = in.config.sampling.mode == "posterior";
  if (!posterior) {
    Matrix<float> ends = zeros_and_ones(in.data.n_outputs);
    invert_scaling(in.data.scaling, ends);
    seen.units = units_of(ends, its.looks.plan.n_outputs);
  }
  add_live(seen, in.config.sampling.burn_in + in.config.sampling.steps, "", out);
  std::string& note = out.tables.back().note;
  if (posterior)
    note += fmt::format(
        " Chains of one datum are compared among themselves, {} of each: R-hat, correlations and deviations are within "
        "a datum, ESS and error those of one datum, in the mean over data; means and quantiles are of all.",
        in.config.inference.chains_per_datum);
  if (in.config.sampling.mode == "layerwise")
    note += " They are compared once, at the end: a chain's observation samples the law that its own latents leave it.";
  out.live_r_hat = its.diagnostics.worst_r_hat();
  out.live_ess = its.diagnostics.worst_ess();
  out.live_by_datum = posterior;
}

}  // namespace tarn
