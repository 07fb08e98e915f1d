// The subcommands of `tarn`. Each adds itself to the parser; what it does runs after parsing.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace tarn::cli {

/// Set by the subcommand that was chosen; returns the exit code.
using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action);
void add_sample(CLI::App& app, Action& action);
void add_score(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_weights(CLI::App& app, Action& action);  ///< import, export
void add_merge(CLI::App& app, Action& action);
void add_devices(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);

}  // namespace tarn::cli
