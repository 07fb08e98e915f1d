#include "learning_study.hpp"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "json_number.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/evaluation/set_comparison.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

std::string name_of(const Config& target, std::uint64_t seed) {
  return fmt::format("{}-seed{}", target.run.name, seed);
}

std::string seconds_line(const std::string& name, const LearningResult& result) {
  nlohmann::ordered_json line;
  line["point"] = name;
  line["processor_s"] = result.seconds;
  return line.dump();
}

// The last that was written of a point; NaN where it is not there or does not fit.
void read_seconds(const fs::path& timing, const std::string& name, LearningResult& result) {
  result.seconds.assign(result.looks.size(), std::nan(""));
  std::ifstream file(timing);
  for (std::string text; std::getline(file, text);) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    if (!line.is_object() || line.value("point", nlohmann::json()) != name || !line.contains("processor_s")) continue;
    const auto& values = line["processor_s"];
    if (!values.is_array() || values.size() != result.looks.size()) continue;
    for (std::size_t k = 0; k < values.size(); ++k) result.seconds[k] = number_of(values[k]);
  }
}

void require_same_data(const Config& sweep, const std::vector<PreparedData>& data) {
  for (std::size_t t = 1; t < data.size(); ++t) {
    if (data[t].rows == data[0].rows) continue;
    fail_usage(
        "{}: its data differ from those of {} ([{}, {}] and [{}, {}]); models of a learning study learn the same data",
        sweep.targets[t].run.name, sweep.targets[0].run.name, data[t].rows.rows(), data[t].rows.cols(),
        data[0].rows.rows(), data[0].rows.cols());
  }
}

// What draws are read against: real data, and one Gaussian, as many as a model draws.
void read_floors(const Config& sweep, const HeldOut& data, LearningStudy& study) {
  const std::int64_t n = std::min(sweep.targets.front().sampling.chains, data.training.rows.rows());
  const SetComparison real = compare_sets(data.training.rows.view().slice(0, n), data.test, sweep.run.seed);
  study.frechet_floor = real.frechet.value;
  study.sliced_w2_floor = real.sliced_w2.value;
  study.frechet_gaussian = real.frechet.gaussian;
  study.sliced_w2_gaussian = real.sliced_w2.gaussian;
}

}  // namespace

LearningStudy run_learning_study(const Config& sweep, std::vector<PreparedData> data, Backend& backend,
                                 const RunFolder& folder) {
  require_same_data(sweep, data);
  const fs::path points = folder.path() / "points";
  fs::create_directories(points);
  LearningStudy study;
  study.results.resize(data.size());
  std::vector<HeldOut> sets;
  for (PreparedData& set : data) sets.push_back(hold_out(std::move(set), sweep.sweep.test_items));
  const auto all = static_cast<std::int64_t>(sets.size()) * sweep.sweep.seeds;
  // seed after seed, so that what an interrupted study has done is a study of fewer seeds
  for (std::int64_t i = 0, number = 0; i < sweep.sweep.seeds; ++i) {
    for (std::size_t t = 0; t < sets.size(); ++t) {
      Config config = sweep.targets[t];
      config.run.seed = sweep.run.seed + static_cast<std::uint64_t>(i);
      sets[t].training.seed = config.run.seed;  // batches of its own
      const std::string name = name_of(config, config.run.seed);
      const fs::path file = points / (name + ".json");
      ++number;
      if (!fs::exists(file)) {
        stop_if_interrupted();
        const LearningResult result =
            train_and_look(config, sets[t], backend, sweep.sweep.looks, [&](const LearningLook& look) {
              info("{:>3}/{} {:<24} {:>7} updates: log likelihood {:.5g} ± {:.2g}, sliced W2 {:.3g}", number, all, name,
                   look.step, look.log_likelihood, look.log_likelihood_error, look.sliced_w2);
            });
        if (!result.stopped.empty()) warn("{}: {}", name, result.stopped);
        JsonLines(folder.timing()).write(seconds_line(name, result));
        write_file_atomically(file, learning_line(result));
      }
      study.results[t].push_back(read_learning(file));
      read_seconds(folder.timing(), name, study.results[t].back());
    }
  }
  std::int64_t n = std::min(sweep.targets.front().evaluation.likelihood_data, sets.front().test.rows());
  if (n == 0) n = sets.front().test.rows();
  for (const double l : log_density(sets.front().base, sets.front().test.view().slice(0, n)))
    study.independent += l / static_cast<double>(n);
  read_floors(sweep, sets.front(), study);
  return study;
}

std::vector<std::string> learning_plan(const Config& sweep, const std::vector<PreparedData>& data) {
  require_same_data(sweep, data);
  std::vector<std::string> lines{"data: " + data.front().description};
  for (std::size_t t = 0; t < data.size(); ++t) {
    const HeldOut set = hold_out(data[t], sweep.sweep.test_items);
    const std::int64_t steps = learning_steps(sweep.targets[t], set.training);
    lines.push_back(fmt::format("{}: {} seeds of {}, {} updates by batches of {}, judged {} times by {} test items",
                                sweep.targets[t].run.name, sweep.sweep.seeds, sweep.targets[t].model.kind, steps,
                                sweep.targets[t].training.batch_size, std::ssize(look_steps(steps, sweep.sweep.looks)),
                                set.test.rows()));
  }
  return lines;
}

}  // namespace tarn
