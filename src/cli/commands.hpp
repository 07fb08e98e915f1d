// The subcommands of `tarn`. Each adds itself to the parser; what it does runs after parsing.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

#include "tarn/experiment/runner.hpp"

namespace tarn::cli {

/// A run folder that is asked to run: says that it is finished, or how it goes on. Throws `UsageError`.
[[noreturn]] void refuse_run_folder(const std::filesystem::path& folder);

/// Goes on with a folder that `tarn sample` made.
void resume_sample(const std::filesystem::path& folder, const ResumeOptions& options);

/// Set by the subcommand that was chosen; returns the exit code.
using Action = std::function<int()>;

void add_run(CLI::App& app, Action& action);
void add_sample(CLI::App& app, Action& action);
void add_resume(CLI::App& app, Action& action);
void add_verify_resume(CLI::App& app, Action& action);
void add_score(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_weights(CLI::App& app, Action& action);  ///< import, export
void add_merge(CLI::App& app, Action& action);
void add_devices(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_train_classifier(CLI::App& app, Action& action);

}  // namespace tarn::cli
