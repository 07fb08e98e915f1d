#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/version.hpp"

// Exit codes: 0 done, 1 failed, 2 bad usage or config; after a signal and a save 130 (SIGINT), 143 (SIGTERM), 138
// (SIGUSR1).
int main(int argc, char** argv) {
  CLI::App app{"tarn: neural circuits that sample", "tarn"};
  app.set_version_flag("--version",
                       fmt::format("tarn {} ({}), {}", tarn::version(), tarn::commit(), tarn::build_description()));
  app.require_subcommand(1);
  app.footer("Every key of a config: docs/config.md. First run: tarn run experiments/quickstart.toml");
  bool quiet = false;
  app.add_flag("-q,--quiet", quiet, "Warnings and errors only");

  tarn::cli::Action action;
  for (auto* add : {tarn::cli::add_run, tarn::cli::add_sample, tarn::cli::add_resume, tarn::cli::add_score,
                    tarn::cli::add_evaluate, tarn::cli::add_inspect, tarn::cli::add_weights, tarn::cli::add_merge,
                    tarn::cli::add_devices, tarn::cli::add_check}) {
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
    fmt::print(stderr, "tarn: {}\n", error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "tarn: out of memory; fewer chains, neurons or items may fit\n");
    return 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "tarn: {}\n", error.what());
    return 1;
  }
}
