// What live diagnostics saw of the chains: a table, and warnings that name chains.
#include <cmath>

#include "chain_views.hpp"
#include "live_watch.hpp"
#include "tarn/experiment/evaluation_stage.hpp"

namespace tarn {
namespace {

std::string text_of(double value) { return number_text(value, 4); }

// Outputs are told in the units of the draws' file.
struct Units {
  double shift = 0.0, scale = 1.0;
  double value(double x) const { return shift + scale * x; }
};
std::vector<Units> units_of(const PreparedData& data, std::int64_t D) {
  Matrix<float> ends(2, D);
  std::fill_n(ends.row(1), D, 1.0f);
  const Matrix<float> there = in_file_units(data, ends);
  std::vector<Units> units;
  for (std::int64_t d = 0; d < D; ++d) {
    const double shift = static_cast<double>(there(0, d));
    units.push_back({shift, static_cast<double>(there(1, d)) - shift});
  }
  return units;
}

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

ReportTable table_of(const EvaluationInput& in, const LiveDiagnostics& live) {
  ReportTable table;
  table.caption = "Live diagnostics";
  table.section = convergence_heading;
  table.columns = {"quantity",    "mean",         "its error", "deviation",        "5 %",       "median", "95 %",
                   "split R-hat", "nested R-hat", "ESS",       "correlation at 1", "at 8 looks"};
  const std::vector<Units> units = units_of(in.data, in.sampling.result.last_draw.cols());
  for (std::size_t q = 0; q < live.quantities.size(); ++q) {
    const LiveQuantity& x = live.quantities[q];
    const std::string name = live_name(live, q);
    const Units u = name.starts_with("x_") ? units[q] : Units{};
    table.rows.push_back({name, text_of(u.value(x.mean)), text_of(u.scale * x.mcse), text_of(u.scale * x.deviation),
                          text_of(u.value(x.quantiles[0])), text_of(u.value(x.quantiles[2])),
                          text_of(u.value(x.quantiles[4])), text_of(x.r_hat), text_of(x.nested_r_hat), text_of(x.ess),
                          text_of(x.autocorrelation[0]), text_of(x.autocorrelation[3])});
  }
  table.note = fmt::format(
      "Summed up while the chains ran: {} chains, {} looks, one every {} steps{}. Split R-hat of the values as they "
      "are, not of their ranks; ESS: effective looks by batch means; quantiles to 1/256 of the scaled value; nested "
      "R-hat compares groups of neighbouring chains. |x|^2 is that of scaled filter space.{}{}",
      live.n_chains - live.n_lost, live.n_looks, in.sampling.stages.back().watch,
      in.sampling.result.stopped_at < 0 ? std::string()
                                        : fmt::format("; stopped after {} steps, where {} held",
                                                      in.sampling.result.stopped_at, in.config.sampling.until),
      live.n_lost > 0 ? fmt::format(" {} lost chains take no part.", live.n_lost) : "", sentence_of_modes(live));
  return table;
}

}  // namespace

void evaluate_live(const EvaluationInput& in, EvaluationOutcome& out) {
  const SamplingResult& result = in.sampling.result;
  const LiveDiagnostics live = result.live.diagnostics();
  if (live.quantities.empty() || live.n_looks == 0) return;
  warn_of_chains(live, in.sampling.first_chain, out);

  const std::string& rule = in.config.sampling.until;
  const bool one_law = chains_by_input(in.sampling.inputs, in.sampling.inputs.rows()).size() < 2;
  constexpr const char* several =
      "chains have inputs of their own, so their laws differ and R-hat between them says little";
  if (!rule.empty() && result.stopped_at < 0)
    out.warnings.push_back(fmt::format("sampling.until: {} did not hold within the {} steps{}", rule,
                                       n_steps(in.sampling.stages),
                                       one_law ? std::string() : fmt::format("; {}", several)));
  if (one_law) {
    out.live_r_hat = live.worst_r_hat();
    out.live_ess = live.worst_ess();
  }
  out.tables.push_back(table_of(in, live));
  if (!one_law) out.tables.back().note += fmt::format(" Note that {}.", several);
}

}  // namespace tarn
