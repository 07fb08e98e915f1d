#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/evaluate_run.hpp"

namespace tarn::cli {

void add_evaluate(CLI::App& app, Action& action) {
  struct Arguments {
    std::string run, against;
    std::vector<std::string> set;
    int threads = 0;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("evaluate", "Judge a finished run again, or its draws against a file of data");
  command->add_option("run", a->run, "Run folder, with its samples.nc")->required();
  command->add_option("--against", a->against, "Data, .npy [n, P] in the units of the run's data");
  command
      ->add_option("--set", a->set, "Replace a key of the run's config, e.g. --set evaluation.grid=5 (may be repeated)")
      ->allow_extra_args(false);
  command->add_option("--threads", a->threads, "CPU threads; 0 = all cores")->check(CLI::Range(0, 4096));
  command->callback([a, &action] {
    action = [a] {
      evaluate_run(a->run, {a->against, a->set, a->threads});
      return 0;
    };
  });
}

}  // namespace tarn::cli
