// Recorded activity, as a neuroscientist looks at it: tuning, rates, correlations, time scales, spectra.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tarn/evaluation/autocorrelation.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/evaluation/neuron_statistics.hpp"
#include "tarn/evaluation/power_spectrum.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/report/neuron_figures.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_values = std::int64_t{1} << 26;  // 256 MiB of activity
constexpr std::int64_t most_courses = 256;                   // neurons whose course in time is looked at
constexpr std::int64_t n_bins = 24;                          // of tuning curves
constexpr std::int64_t most_stimuli = 2;                     // outputs, and inputs
constexpr std::size_t most_panels = 12;
constexpr std::int64_t segment = 256;  // samples, of spectra

// The first chains of a run with the draws that have a recording.
struct Recording {
  std::int64_t n_chains = 0, n_draws = 0;
  Matrix<float> rates;        // [n_chains * n_draws, n_recorded]
  Matrix<float> outputs;      // [n_chains * n_draws, D]
  std::vector<double> times;  // [n_draws], in tau
};

Recording read_recording(const DrawReader& reader) {
  const std::int64_t T = reader.n_draws(), J = reader.n_recorded(), D = reader.n_dims();
  Recording r;
  r.n_chains = std::clamp<std::int64_t>(most_values / (T * (J + D)), 1, reader.n_chains());
  const Matrix<float> rates = reader.recorded(0, r.n_chains), outputs = reader.chains(0, r.n_chains);
  std::vector<std::int64_t> kept;  // a draw without a recording is NaN in every chain
  const std::vector<double> times = reader.times();
  for (std::int64_t t = 0; t < T; ++t) {
    bool any = false;
    for (std::int64_t c = 0; c < r.n_chains && !any; ++c) any = std::isfinite(rates(c * T + t, 0));
    if (!any) continue;
    kept.push_back(t);
    r.times.push_back(times[static_cast<std::size_t>(t)]);
  }
  r.n_draws = static_cast<std::int64_t>(kept.size());
  r.rates = Matrix<float>(r.n_chains * r.n_draws, J);
  r.outputs = Matrix<float>(r.n_chains * r.n_draws, D);
  for (std::int64_t c = 0; c < r.n_chains; ++c) {
    for (std::int64_t k = 0; k < r.n_draws; ++k) {
      const std::int64_t from = c * T + kept[static_cast<std::size_t>(k)], to = c * r.n_draws + k;
      std::copy_n(rates.row(from), J, r.rates.row(to));
      std::copy_n(outputs.row(from), D, r.outputs.row(to));
    }
  }
  return r;
}

// Chains with one input share a number.
std::vector<std::int64_t> groups_of(const Matrix<float>& inputs, std::int64_t n_chains) {
  std::map<std::vector<float>, std::int64_t> known;
  std::vector<std::int64_t> groups;
  for (std::int64_t c = 0; c < n_chains; ++c) {
    const std::vector<float> u(inputs.row(c), inputs.row(c) + inputs.cols());
    groups.push_back(known.emplace(u, static_cast<std::int64_t>(known.size())).first->second);
  }
  return groups;
}

// The names of what was recorded: neurons by their number, then projections.
std::vector<std::string> names_of(const EvaluationInput& in, std::int64_t n_recorded) {
  const auto neurons =
      parse_neurons(in.config.sampling.record.neurons, in.training.levels.back().n_neurons(), in.config.run.seed);
  std::vector<std::string> names;
  for (std::int64_t j = 0; j < n_recorded; ++j) {
    const bool neuron = j < std::ssize(neurons);
    names.push_back(neuron ? fmt::format("neuron {}", neurons[static_cast<std::size_t>(j)])
                           : fmt::format("projection {}", j - std::ssize(neurons)));
  }
  return names;
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

void tuning(const EvaluationInput& in, const Activity& activity, const std::vector<std::string>& names,
            const std::vector<float>& stimulus, const std::string& key, const std::string& label,
            EvaluationOutcome& out) {
  const TuningCurves curves = tuning_curves(activity, stimulus, n_bins);
  if (curves.stimulus.size() < 2) return;  // one value: nothing to be tuned to
  const std::vector<double> sure = selectivity(curves);
  std::vector<std::size_t> order(sure.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t j) { return std::isnan(sure[j]); });
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return sure[a] > sure[b]; });
  const auto tuned = std::count_if(sure.begin(), sure.end(), [](double s) { return s > 10.0; });
  out.add("tuned_to_" + key, "share of neurons tuned to " + label,
          static_cast<double>(tuned) / static_cast<double>(sure.size()),
          "largest less smallest mean rate above 10 standard errors");
  // from the most to the least selective, spread evenly
  std::vector<TuningPanel> panels;
  const std::size_t n = std::min(most_panels, order.size());
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t j = order[n > 1 ? k * (order.size() - 1) / (n - 1) : 0];
    TuningPanel panel{names[j], curves.stimulus, {}, {}};
    for (std::int64_t b = 0; b < curves.mean.cols(); ++b) {
      panel.mean.push_back(curves.mean(static_cast<std::int64_t>(j), b));
      panel.error.push_back(curves.error(static_cast<std::int64_t>(j), b));
    }
    panels.push_back(std::move(panel));
  }
  if (const FigureFile file = draw(figure_tuning("tuning_" + key, label, panels), in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         fmt::format("Mean rate of single neurons against {}, in bins of equal counts: from the most selective "
                     "neuron (top left) to the least, evenly spread over {}.",
                     label, order.size())});
  }
}

// Autocorrelation times and spectra, where draws are evenly spaced.
void courses(const EvaluationInput& in, const Activity& activity, const std::vector<double>& times,
             PopulationPanels& panels, EvaluationOutcome& out) {
  const std::int64_t T = activity.n_draws(), J = std::min(most_courses, activity.n_neurons());
  if (T < 8 || activity.n_chains() == 0) return;
  const double spacing = (times.back() - times.front()) / static_cast<double>(T - 1);
  for (std::size_t t = 1; t < times.size(); ++t) {
    if (std::abs(times[t] - times[t - 1] - spacing) > 1e-6 * spacing) {
      out.warnings.push_back("recordings are not evenly spaced in time: no autocorrelation times, no spectra");
      return;
    }
  }
  const double spacing_ms = spacing * in.config.run.tau_ms;
  std::vector<std::vector<double>> densities;
  std::vector<double> frequency;
  std::int64_t unsettled = 0;
  for (std::int64_t k = 0; k < J; ++k) {
    const Matrix<float> residuals = activity.residuals(k * activity.n_neurons() / J);
    const AutocorrelationTime a = integrated_autocorrelation_time(residuals.view());
    if (std::isnan(a.time)) continue;  // constant
    panels.times_ms.push_back(a.time * spacing_ms);
    unsettled += a.settled ? 0 : 1;
    const PowerSpectrum s = power_spectrum(residuals.view(), 1e-3 * spacing_ms, segment);
    const double variance = integral(s);
    if (!(variance > 0.0)) continue;
    frequency.assign(s.frequency.begin() + 1, s.frequency.end());
    densities.emplace_back();
    for (std::size_t f = 1; f < s.density.size(); ++f) densities.back().push_back(s.density[f] / variance);
  }
  const double typical = median(panels.times_ms);
  out.add("neuron_autocorrelation_ms", "autocorrelation time of single neurons, median, ms", typical,
          fmt::format("2 int rho dt over {} neurons, draws every {:.3g} ms{}", panels.times_ms.size(), spacing_ms,
                      unsettled > 0 ? fmt::format("; {} of them may be longer: chains too short", unsettled) : ""));
  if (typical < 2.0 * spacing_ms)
    out.warnings.push_back(
        "single neurons change faster than they were recorded (sampling.thin, sampling.record.every)");
  if (densities.empty()) return;
  panels.frequency_hz = frequency;
  for (std::size_t f = 0; f < frequency.size(); ++f) {
    std::vector<double> at;
    for (const auto& density : densities) at.push_back(density[f]);
    std::sort(at.begin(), at.end());
    panels.density.push_back(std::accumulate(at.begin(), at.end(), 0.0) / static_cast<double>(at.size()));
    panels.density_low.push_back(at[at.size() / 10]);
    panels.density_high.push_back(at[at.size() - 1 - at.size() / 10]);
  }
}

}  // namespace

void evaluate_neurons(const EvaluationInput& in, EvaluationOutcome& out) {
  if (!in.config.evaluation.neurons || !in.config.sampling.record.reservoir || in.sampling.draws_file.empty()) return;
  const DrawReader reader(in.sampling.draws_file);
  if (reader.n_recorded() == 0) return;
  const Recording recording = read_recording(reader);
  if (recording.n_draws == 0) {
    out.warnings.push_back("no recording is finite: neurons were not judged");
    return;
  }
  const bool moving = !in.config.sampling.condition.empty() && read_npy(in.config.sampling.condition).shape.size() > 2;
  if (moving) out.warnings.push_back("inputs change in time: neurons were judged as if there were none");
  const bool given = in.data.n_inputs > 0 && !moving;
  const std::vector<std::int64_t> groups =
      given ? groups_of(in.sampling.inputs, recording.n_chains) : std::vector<std::int64_t>{};
  const Activity activity(recording.rates.view(), recording.n_chains, groups);
  if (activity.n_spoiled() > 0)
    out.warnings.push_back(
        fmt::format("{} of {} recorded chains are not finite and were left out of what is said of neurons",
                    activity.n_spoiled(), recording.n_chains));
  if (activity.n_chains() == 0) return;
  const std::vector<std::string> names = names_of(in, reader.n_recorded());
  const std::string what =
      fmt::format("{} recorded, {} chains of {} draws", activity.n_neurons(), activity.n_chains(), activity.n_draws());

  PopulationPanels panels;
  const RateStatistics rates = rate_statistics(activity);
  const auto J = static_cast<double>(activity.n_neurons());
  panels.mean_rates = rates.mean;
  out.add("neuron_mean_rate", "mean rate of single neurons, median", median(rates.mean), what);
  out.add("neurons_silent", "share of silent neurons", static_cast<double>(rates.n_silent) / J,
          "mean |rate| at most a hundredth of the population's");
  out.add("neurons_constant", "share of constant neurons", static_cast<double>(rates.n_constant) / J);
  out.add(
      "population_sparseness", "population sparseness", rates.population_sparseness,
      fmt::format("Treves and Rolls; {:.1f} % of all rates are below 0 and count as 0", 100.0 * rates.negative_share));
  out.add("lifetime_sparseness", "lifetime sparseness, median", median(rates.lifetime_sparseness));

  const NoiseCorrelations noise = noise_correlations(activity);
  if (!noise.pairs.empty()) {
    out.add("noise_correlation", "noise correlation, mean over pairs", noise.mean,
            fmt::format("{} pairs of {} neurons, of which {} are constant; shuffled chains: {:.2g}", noise.pairs.size(),
                        noise.n_neurons, noise.n_constant, noise.shuffled_mean));
    out.add("noise_correlation_spread", "noise correlation, deviation over pairs", noise.deviation,
            fmt::format("shuffled chains: {:.3g}", noise.shuffled_deviation));
    panels.correlations = noise.pairs;
    panels.shuffled = noise.shuffled;
  }
  courses(in, activity, recording.times, panels, out);
  if (const FigureFile file = draw(figure_population(panels), in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         "Recorded neurons: mean rates; correlations of what varies while the input does not, beside those of neurons "
         "whose chains do not belong together; integrated autocorrelation times; power spectra, each neuron's variance "
         "1."});
  }

  const auto of_draws = [&](auto&& value) {
    std::vector<float> stimulus;
    for (std::int64_t c = 0; c < recording.n_chains; ++c) {
      for (std::int64_t t = 0; t < recording.n_draws; ++t) stimulus.push_back(value(c, c * recording.n_draws + t));
    }
    return stimulus;
  };
  for (std::int64_t d = 0; d < std::min(most_stimuli, in.data.n_outputs); ++d) {
    tuning(in, activity, names, of_draws([&](std::int64_t, std::int64_t row) { return recording.outputs(row, d); }),
           fmt::format("output_{}", d), fmt::format("output x_{}", d), out);
  }
  for (std::int64_t d = 0; d < (given ? std::min(most_stimuli, in.data.n_inputs) : 0); ++d) {
    tuning(in, activity, names, of_draws([&](std::int64_t c, std::int64_t) { return in.sampling.inputs(c, d); }),
           fmt::format("input_{}", d), fmt::format("input u_{}", d), out);
  }
}

}  // namespace tarn
