#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tarn/core/log.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

// A table in Markdown: a row a figure of merit, with every seed's value, median and range. NaN is shown, and left out of the median.
std::string table_of(const Config& config, const std::vector<RunOutcome>& runs) {
  std::string text = fmt::format("# {}: {} seeds from {}\n\n| figure of merit | median | smallest | largest | floor |",
                                 config.run.name, runs.size(), config.run.seed);
  for (std::size_t i = 0; i < runs.size(); ++i) text += fmt::format(" seed {} |", config.run.seed + i);
  text += "\n|---|---|---|---|---|" + [&] {
    std::string rule;
    for (std::size_t i = 0; i < runs.size(); ++i) rule += "---|";
    return rule;
  }() + "\n";
  for (const Metric& metric : runs.front().metrics) {
    std::vector<double> finite;
    std::string cells;
    for (const RunOutcome& run : runs) {
      const auto same =
          std::find_if(run.metrics.begin(), run.metrics.end(), [&](const Metric& m) { return m.name == metric.name; });
      const double value = same == run.metrics.end() ? std::nan("") : same->value;
      cells += fmt::format(" {:.4g} |", value);
      if (std::isfinite(value)) finite.push_back(value);
    }
    const std::string floor = std::isnan(metric.floor) ? "" : fmt::format("{:.3g}", metric.floor);
    if (finite.empty()) {
      text += fmt::format("| {} | n/a | | | {} |{}\n", metric.label, floor, cells);
      continue;
    }
    text += fmt::format("| {} | {:.4g} | {:.4g} | {:.4g} | {} |{}\n", metric.label, median(finite),
                        *std::min_element(finite.begin(), finite.end()),
                        *std::max_element(finite.begin(), finite.end()), floor, cells);
  }
  return text;
}

}  // namespace

std::vector<RunOutcome> run_seeds(const Config& config, const RunOptions& options, std::int64_t n_seeds) {
  if (n_seeds < 1) fail_usage("--seeds: needs at least 1, found {}", n_seeds);
  if (is_sweep(config)) fail_usage("--seeds: a sweep has seeds of its own; say --set sweep.seeds={}", n_seeds);
  std::vector<RunOutcome> runs;
  for (std::int64_t i = 0; i < n_seeds; ++i) {
    Config one = config;
    one.run.seed = config.run.seed + static_cast<std::uint64_t>(i);
    one.run.name = fmt::format("{}-seed{}", config.run.name, one.run.seed);
    runs.push_back(run_experiment(std::move(one), options));
  }
  const std::string table = table_of(config, runs);
  std::filesystem::path path = options.out / (config.run.name + "-seeds.md");
  for (int i = 2; std::filesystem::exists(path); ++i)
    path = options.out / fmt::format("{}-seeds-{}.md", config.run.name, i);
  write_file_atomically(path, std::string_view(table));
  info("{}", table);
  info("the table is {}", path.string());
  return runs;
}

}  // namespace tarn
