#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/experiment/runner.hpp"

namespace tarn::cli {

void add_run(CLI::App& app, Action& action) {
  struct Arguments {
    std::string config, device, out = "runs", init;
    std::vector<std::string> set;
    std::int64_t seeds = 0;
    int threads = 0;
    bool dry_run = false, profile = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("run", "Train, sample, evaluate and report one experiment");
  command->add_option("config", a->config, "TOML file, e.g. experiments/quickstart.toml")->required();
  command->add_option("--set", a->set, "Replace a key: --set training.epochs=50 (may be repeated)")
      ->allow_extra_args(false);
  command->add_option("--device", a->device, "auto, cpu, cuda, cuda:K (run.device)");
  command->add_option("--out", a->out, "Folder for run folders")->capture_default_str();
  command->add_option("--init", a->init, "Weights to train on from (training.init)");
  command->add_option("--seeds", a->seeds, "Run this many seeds from run.seed up; prints medians and ranges");
  command->add_option("--threads", a->threads, "CPU threads; 0 = all cores")
      ->capture_default_str()
      ->check(CLI::Range(0, 4096));
  command->add_flag("--dry-run", a->dry_run,
                    "Say what would be done, with memory, time and output size; write nothing");
  command->add_flag("--profile", a->profile,
                    "Under nsys or ncu: capture a few calls of training and of sampling (docs/profiling.md)");
  command->callback([a, command, &action] {
    action = [a, command] {
      std::vector<std::string> overrides = a->set;
      if (!a->device.empty()) overrides.push_back("run.device=\"" + a->device + "\"");
      if (!a->init.empty()) overrides.push_back("training.init=\"" + a->init + "\"");
      if (std::filesystem::is_directory(a->config)) refuse_run_folder(a->config);
      const Config config = load_config(a->config, overrides);
      const RunOptions options{a->out, a->threads, a->profile};
      if (a->dry_run) {
        for (const std::string& line : plan_of(config, options)) fmt::print("{}\n", line);
        return 0;
      }
      catch_signals();
      if (command->count("--seeds") > 0) {
        run_seeds(config, options, a->seeds);
      } else {
        run_experiment(config, options);
      }
      return 0;
    };
  });
}

}  // namespace tarn::cli
