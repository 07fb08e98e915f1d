#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/version.hpp"

namespace {

/// Says why not, in one line, and ends the program. HDF5 tries once more at exit to write what a full disk refused, and
/// crashes; all that had to be closed was closed or removed on the way here.
[[noreturn]] void end(int code, const std::string& reason) {
  fmt::print(stderr, "tarn: {}\n", tarn::one_line(reason));
  std::fflush(nullptr);
  std::_Exit(code);
}

}  // namespace

// Exit codes: 0 done, 1 failed, 2 bad usage or config; after a signal and a save 130 (SIGINT), 143 (SIGTERM), 138
// (SIGUSR1).
int main(int argc, char** argv) {
  // A write beyond the file-size limit (ulimit -f) then fails with EFBIG and gets its one line, as on a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  // HDF5 loads no filter plugins: a file could name one, and code would run because a file says so.
  ::setenv("HDF5_PLUGIN_PRELOAD", "::", 1);

  CLI::App app{"tarn: neural circuits that sample", "tarn"};
  app.set_version_flag("--version",
                       fmt::format("tarn {} ({}), {}", tarn::version(), tarn::commit(), tarn::build_description()));
  app.require_subcommand(1);
  app.footer("Every key of a config: docs/config.md. First run: tarn run experiments/quickstart.toml");
  bool quiet = false;
  app.add_flag("-q,--quiet", quiet, "Warnings and errors only");

  tarn::cli::Action action;
  for (auto* add :
       {tarn::cli::add_run, tarn::cli::add_sample, tarn::cli::add_resume, tarn::cli::add_score, tarn::cli::add_evaluate,
        tarn::cli::add_report, tarn::cli::add_compare, tarn::cli::add_inspect, tarn::cli::add_weights,
        tarn::cli::add_merge, tarn::cli::add_devices, tarn::cli::add_check, tarn::cli::add_train_classifier}) {
    add(app, action);
  }
  app.failure_message([](const CLI::App*, const CLI::Error& error) {
    return fmt::format("tarn: {}; tarn --help says more\n", error.what());
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    tarn::set_quiet(quiet);
    return action();
  } catch (const tarn::Interrupted& stop) {
    fmt::print(stderr, "tarn: {}: saved and stopped; tarn resume goes on from there\n", stop.what());
    return 128 + stop.signal();
  } catch (const tarn::UsageError& error) {
    end(2, error.what());
  } catch (const std::bad_alloc&) {
    end(1, "out of memory; fewer chains, neurons or items may fit");
  } catch (const std::exception& error) {
    end(1, error.what());
  }
}
