// Going on with what was interrupted.
#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/runner.hpp"

namespace tarn::cli {
namespace {

namespace fs = std::filesystem;

// `tarn sample` makes a folder with draws and config, but nothing to train.
bool is_sample_folder(const fs::path& path) {
  const RunFolder folder = RunFolder::open(path);
  return !fs::exists(folder.data_maps()) && !is_sweep(load_config(folder.config().string()));
}

}  // namespace

void refuse_run_folder(const fs::path& path) {
  const RunFolder folder = RunFolder::open(path);
  if (fs::exists(folder.done()))
    fail_usage("{}: this run is finished; its report is {}", path.string(), folder.report().string());
  fail_usage("{}: this run is not finished; tarn resume {} goes on with it", path.string(), path.string());
}

void add_resume(CLI::App& app, Action& action) {
  struct Arguments {
    std::string folder;
    int threads = 0;
    bool allow_inexact = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("resume", "Go on with an interrupted run exactly where it was saved");
  command->add_option("folder", a->folder, "Run folder, or a folder that tarn sample made")->required();
  command->add_option("--threads", a->threads, "CPU threads; 0 = as many as before")->check(CLI::Range(0, 4096));
  command->add_flag("--allow-inexact", a->allow_inexact,
                    "Go on although another device, instruction set or thread count gives other bits");
  command->callback([a, &action] {
    action = [a] {
      const fs::path folder(a->folder);
      const ResumeOptions options{a->threads, a->allow_inexact};
      const bool sample = is_sample_folder(folder);
      catch_signals();
      if (!sample) {
        resume_experiment(folder, options);
      } else if (fs::exists(folder / "DONE")) {
        fail_usage("{}: these draws are finished", a->folder);
      } else {
        resume_sample(folder, options);
      }
      return 0;
    };
  });
  add_verify_resume(app, action);
}

}  // namespace tarn::cli
