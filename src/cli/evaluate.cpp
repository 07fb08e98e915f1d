#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/evaluate_features.hpp"
#include "tarn/experiment/evaluate_run.hpp"

namespace tarn::cli {

void add_evaluate(CLI::App& app, Action& action) {
  struct Arguments {
    std::string run, against, out = "runs";
    std::vector<std::string> set, features;
    std::int64_t mixture = 100;
    std::uint64_t seed = 3407;
    int threads = 0;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "evaluate",
      "Judge a finished run again, its draws against a file of data, or one file of features against another");
  CLI::Option* run = command->add_option("run", a->run, "Run folder, with its samples.nc");
  command->add_option("--against", a->against, "Data, .npy [n, P] in the units of the run's data")->needs(run);
  CLI::Option* features =
      command
          ->add_option("--features", a->features, "In place of a run: REAL.npy FAKE.npy, [n, D] each (docs/quality.md)")
          ->expected(2)
          ->excludes(run);
  command->add_option("--out", a->out, "--features: folder for the folder of results")
      ->capture_default_str()
      ->needs(features);
  command->add_option("--seed", a->seed, "--features: seed of subsets and draws")
      ->capture_default_str()
      ->needs(features);
  command->add_option("--mixture", a->mixture, "--features: components of the mixture at most; 0: none")
      ->capture_default_str()
      ->needs(features)
      ->check(CLI::Range(0, 10000));
  command
      ->add_option("--set", a->set, "Replace a key of the run's config, e.g. --set evaluation.grid=5 (may be repeated)")
      ->allow_extra_args(false);
  command->add_option("--threads", a->threads, "CPU threads; 0 = all cores")->check(CLI::Range(0, 4096));
  command->callback([a, &action] {
    action = [a] {
      if (!a->features.empty()) {
        evaluate_features(a->features[0], a->features[1], {a->out, a->seed, a->mixture, a->threads});
        return 0;
      }
      if (a->run.empty()) fail_usage("evaluate: run is required, or --features REAL.npy FAKE.npy");
      evaluate_run(a->run, {a->against, a->set, a->threads});
      return 0;
    };
  });
}

}  // namespace tarn::cli
