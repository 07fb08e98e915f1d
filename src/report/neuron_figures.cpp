#include "tarn/report/neuron_figures.hpp"

#include <algorithm>
#include <cmath>

namespace tarn {
namespace {

const std::string band_color = "#cfe3f1", chance_color = "#b8bfc6";

// An even histogram over the range of all values, as densities.
Series histogram_of(const std::vector<double>& values, double low, double high, int n_bins, const std::string& name,
                    const std::string& color, Mark mark) {
  Series s{name, {}, {}, mark, color, 1.8, {}};
  std::vector<double> counts(static_cast<std::size_t>(n_bins), 0.0);
  double n = 0.0;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    n += 1.0;
    const auto bin = static_cast<int>((v - low) / (high - low) * n_bins);
    counts[static_cast<std::size_t>(std::clamp(bin, 0, n_bins - 1))] += 1.0;
  }
  const double width = (high - low) / n_bins;
  for (int i = 0; i < n_bins; ++i) {
    s.x.push_back(low + (i + 0.5) * width);
    s.y.push_back(n > 0.0 ? counts[static_cast<std::size_t>(i)] / (n * width) : 0.0);
  }
  return s;
}

AxisRange range_of(const std::vector<double>& values) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  if (low > high) return {0.0, 1.0};
  const double margin = high > low ? 0.02 * (high - low) : std::max(1e-6, 0.1 * std::abs(low));
  return {low - margin, high + margin};
}

Panel histogram_panel(const std::string& title, const std::string& x_label, const std::vector<double>& values) {
  Panel panel;
  panel.title = title;
  panel.x_label = x_label;
  panel.y_label = "density";
  panel.x_range = range_of(values);
  if (!values.empty())
    panel.series.push_back(
        histogram_of(values, panel.x_range->first, panel.x_range->second, 30, "recorded", colors::draws, Mark::bars));
  return panel;
}

}  // namespace

Figure figure_tuning(const std::string& name, const std::string& stimulus, const std::vector<TuningPanel>& neurons) {
  Figure figure;
  figure.name = name;
  figure.title = "Tuning to " + stimulus;
  figure.columns = neurons.size() > 6 ? 4 : 3;
  const auto rows = static_cast<int>((neurons.size() + static_cast<std::size_t>(figure.columns) - 1) /
                                     static_cast<std::size_t>(figure.columns));
  figure.height = 90 + 170 * std::max(rows, 1);
  for (std::size_t i = 0; i < neurons.size(); ++i) {
    const TuningPanel& n = neurons[i];
    Panel panel;
    panel.title = n.name;
    if (i + static_cast<std::size_t>(figure.columns) >= neurons.size()) panel.x_label = stimulus;
    if (i % static_cast<std::size_t>(figure.columns) == 0) panel.y_label = "mean rate";
    Series band{"two standard errors", n.stimulus, {}, Mark::band, band_color, 1.0, {}},
        line{"mean", n.stimulus, n.mean, Mark::line, colors::learned, 1.8, {}};
    for (std::size_t b = 0; b < n.mean.size(); ++b) {
      band.y.push_back(n.mean[b] - 2.0 * n.error[b]);
      band.y2.push_back(n.mean[b] + 2.0 * n.error[b]);
    }
    std::vector<double> drawn = n.mean;
    drawn.insert(drawn.end(), band.y.begin(), band.y.end());
    drawn.insert(drawn.end(), band.y2.begin(), band.y2.end());
    panel.y_range = range_of(drawn);
    panel.series = {std::move(band), std::move(line)};
    figure.panels.push_back(std::move(panel));
  }
  if (figure.panels.empty()) figure.panels.emplace_back();
  return figure;
}

Figure figure_population(const PopulationPanels& p) {
  Figure figure;
  figure.name = "neurons";
  figure.title = "The population";
  figure.columns = 2;
  figure.height = 660;
  figure.panels.push_back(histogram_panel("Mean rates", "rate", p.mean_rates));

  std::vector<double> both = p.correlations;
  both.insert(both.end(), p.shuffled.begin(), p.shuffled.end());
  Panel correlations = histogram_panel("Noise correlations of pairs", "Pearson's r", both);
  if (!both.empty()) {
    const auto [low, high] = *correlations.x_range;
    correlations.series = {
        histogram_of(p.correlations, low, high, 40, "recorded", colors::draws, Mark::bars),
        histogram_of(p.shuffled, low, high, 40, "shuffled chains: chance", colors::other, Mark::line)};
    // chance is narrow: the scale is that of the pairs
    double highest = 0.0;
    for (const double y : correlations.series[0].y) highest = std::max(highest, y);
    correlations.y_range = {0.0, 1.3 * highest};
  }
  figure.panels.push_back(std::move(correlations));
  figure.panels.push_back(histogram_panel("Autocorrelation time of single neurons", "2 ∫ρ dt, ms", p.times_ms));

  Panel spectrum;
  spectrum.title = "Power spectrum of single neurons";
  spectrum.x_label = "frequency, Hz";
  spectrum.y_label = "share of variance / Hz";
  spectrum.log_x = 10;
  spectrum.log_y = true;
  if (!p.frequency_hz.empty()) {
    spectrum.x_range = {p.frequency_hz.front(), p.frequency_hz.back()};
    spectrum.series = {
        {"10 to 90 % of neurons", p.frequency_hz, p.density_low, Mark::band, band_color, 1.0, p.density_high},
        {"mean", p.frequency_hz, p.density, Mark::line, colors::learned, 2.0, {}}};
  }
  figure.panels.push_back(std::move(spectrum));
  return figure;
}

Figure figure_calibration(const std::vector<CalibrationPanel>& outputs) {
  Figure figure;
  figure.name = "calibration";
  figure.title = "Coverage of the posterior given its input";
  figure.columns = 2;
  figure.height = 90 + 340 * static_cast<int>(std::max<std::size_t>(outputs.size(), 1));
  for (const CalibrationPanel& o : outputs) {
    Panel coverage;
    coverage.title = o.name;
    coverage.x_label = "central interval of the exact law";
    coverage.y_label = "share of draws within it";
    coverage.x_range = coverage.y_range = AxisRange{0.0, 1.0};
    Series band{"exact draws, 95 % at once", o.expected, {}, Mark::band, "#e3e6e9", 1.0, {}};
    for (const double level : o.expected) {
      band.y.push_back(std::max(0.0, level - o.band));
      band.y2.push_back(std::min(1.0, level + o.band));
    }
    coverage.series = {std::move(band),
                       {"calibrated", {0.0, 1.0}, {0.0, 1.0}, Mark::dashed, colors::truth, 1.2, {}},
                       {"draws", o.expected, o.observed, Mark::line, colors::learned, 2.0, {}}};
    figure.panels.push_back(std::move(coverage));

    Panel transforms;
    transforms.title = o.name + ", F(x | u)";
    transforms.x_label = "exact distribution function at the draw";
    transforms.y_label = "density";
    transforms.x_range = AxisRange{0.0, 1.0};
    double highest = 1.0 + 4.0 * o.histogram_deviation;
    Series bars{"draws", {}, o.histogram, Mark::bars, colors::draws, 1.0, {}};
    for (std::size_t i = 0; i < o.histogram.size(); ++i) {
      bars.x.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(o.histogram.size()));
      highest = std::max(highest, o.histogram[i]);
    }
    transforms.y_range = AxisRange{0.0, 1.15 * highest};
    const auto level = [](double y, Mark mark, const std::string& name) {
      return Series{name, {0.0, 1.0}, {y, y}, mark, colors::truth, 1.2, {}};
    };
    transforms.series = {std::move(bars), level(1.0, Mark::dashed, "calibrated"),
                         level(1.0 + 2.0 * o.histogram_deviation, Mark::line, "two deviations of a bin"),
                         level(1.0 - 2.0 * o.histogram_deviation, Mark::line, "two deviations of a bin")};
    transforms.series[2].color = transforms.series[3].color = chance_color;
    figure.panels.push_back(std::move(transforms));
  }
  if (figure.panels.empty()) figure.panels.emplace_back();
  return figure;
}

}  // namespace tarn
