#include "live_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "json_number.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_modes = 16;

}  // namespace

Matrix<float> mode_centers(const PreparedData& data) {
  const auto* mixture = dynamic_cast<const MixtureTarget*>(data.target.get());
  if (!mixture || data.n_inputs > 0 || data.filter->kind() != "none") return {};
  const auto& components = mixture->components();
  const std::int64_t n = std::ssize(components), D = data.n_outputs;
  if (n < 2 || n > most_modes) return {};
  Matrix<float> centers(n, D);
  for (std::int64_t k = 0; k < n; ++k) {
    const auto& mean = components[static_cast<std::size_t>(k)].mean;
    std::transform(mean.begin(), mean.end(), centers.row(k), [](double m) { return static_cast<float>(m); });
    for (std::int64_t j = 0; j < k; ++j) {
      if (std::equal(centers.row(j), centers.row(j) + D, centers.row(k))) return {};
    }
  }
  apply_scaling(data.scaling, centers);
  return centers;
}

std::int64_t look_interval(std::int64_t n_steps, std::int64_t thin, bool has_rule, const LookCost& cost) {
  const double cheap = std::clamp(cost.a_look / (0.015 * cost.a_step), 64.0, 1e6);
  const std::int64_t fewest_looks = has_rule ? 16 : 8;  // a rule is judged more than once
  const auto wanted = std::clamp<std::int64_t>(n_steps / fewest_looks, 1, static_cast<std::int64_t>(cheap));
  const std::int64_t span = thin > 0 ? thin : n_steps;
  if (span < wanted) return (wanted + span - 1) / span * span;
  for (std::int64_t every = wanted; every <= std::min(4 * wanted, span); ++every) {
    if (span % every == 0) return every;
  }
  return wanted;
}

namespace {

// Operations, and what moving a quantity's sums and reading an output come to (docs/diagnostics.md, "What it costs").
LookCost cost_of(const NetworkView& n, std::int64_t n_quantities) {
  return {static_cast<double>(n.n_neurons) * static_cast<double>(2 * n.n_outputs + n.n_inputs + 4),
          7000.0 * static_cast<double>(n_quantities) + 300.0 * static_cast<double>(n.n_outputs)};
}

}  // namespace

void watch_chains(const Config& config, const PreparedData& data, SamplingRun& run) {
  const SamplingConfig& s = config.sampling;
  if (s.diagnostics.outputs == 0) return;
  Stage& last = run.stages.back();
  const std::int64_t D = last.network->view().n_outputs;
  run.watch.n_outputs = std::min(s.diagnostics.outputs, D);
  run.watch.centers = mode_centers(data);
  // At the end of a level's few steps all chains are looked at once: they are independent, but not yet at rest along the way.
  const bool at_rest = s.schedule == "last_level" || s.annealed.then_steps > 0;
  if (!at_rest) {
    last.watch = last.n_steps;
  } else if (s.diagnostics.every > 0) {
    last.watch = s.diagnostics.every;
  } else {
    last.watch = look_interval(last.n_steps, last.thin, !s.until.empty(),
                               cost_of(last.network->view(), run.watch.n_quantities(D)));
  }
  run.until = parse_stop_rule(s.until);
}

std::string summary(const LiveDiagnostics& d) {
  const auto text = [](double value) { return std::isnan(value) ? std::string("n/a") : fmt::format("{:.4g}", value); };
  std::string out = fmt::format("R-hat {}, ESS {}", text(d.worst_r_hat()), text(d.worst_ess()));
  if (d.n_stuck > 0) out += fmt::format(", {} stuck", d.n_stuck);
  if (d.n_duplicate > 0) out += fmt::format(", {} duplicate", d.n_duplicate);
  return out;
}

std::string json_line(std::int64_t step, const LiveDiagnostics& d) {
  nlohmann::ordered_json line;
  line["kind"] = "diagnostics";
  line["step"] = step;
  line["looks"] = d.n_looks;
  line["r_hat"] = json_number(d.worst_r_hat());
  line["nested_r_hat"] = json_number(d.worst_nested_r_hat());
  line["ess"] = json_number(d.worst_ess());
  line["relative_mcse"] = json_number(d.worst_relative_mcse());
  line["lost"] = d.n_lost;
  line["stuck"] = d.n_stuck;
  line["duplicate"] = d.n_duplicate;
  return line.dump();
}

std::vector<std::string> live_names(const LiveDiagnostics& d) {
  std::vector<std::string> names;
  for (std::size_t q = 0; q < d.quantities.size(); ++q)
    names.push_back(q > 0 && q + 1 == d.quantities.size() ? "|x|^2" : fmt::format("x_{}", q));
  return names;
}

std::vector<std::string> json_lines_at_end(std::int64_t step, const LiveDiagnostics& d,
                                           const std::vector<std::string>& names) {
  std::vector<std::string> lines;
  if (d.n_looks == 0) return lines;
  lines.push_back(json_line(step, d));
  for (std::size_t k = 0; k < d.quantities.size(); ++k) {
    const LiveQuantity& q = d.quantities[k];
    nlohmann::ordered_json line;
    line["kind"] = "diagnostics";
    line["step"] = step;
    line["quantity"] = names[k];
    line["mean"] = json_number(q.mean);
    line["mcse"] = json_number(q.mcse);
    line["deviation"] = json_number(q.deviation);
    line["r_hat"] = json_number(q.r_hat);
    line["nested_r_hat"] = json_number(q.nested_r_hat);
    line["ess"] = json_number(q.ess);
    for (int j = 0; j < WatchState::n_lags; ++j)
      line[fmt::format("autocorrelation_{}", WatchState::lags[j])] = json_number(q.autocorrelation[j]);
    for (std::size_t p = 0; p < std::size(live_probabilities); ++p)
      line[fmt::format("quantile_{:g}", 100.0 * live_probabilities[p])] = json_number(q.quantiles[p]);
    line["below_zero"] = json_number(q.below_zero);
    lines.push_back(line.dump());
  }
  for (std::size_t m = 0; m < d.mode_shares.size(); ++m) {
    nlohmann::ordered_json line;
    line["kind"] = "diagnostics";
    line["step"] = step;
    line["mode"] = m;
    line["share"] = json_number(d.mode_shares[m]);
    lines.push_back(line.dump());
  }
  return lines;
}

}  // namespace tarn
