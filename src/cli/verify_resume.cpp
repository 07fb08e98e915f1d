// `tarn verify-resume`: a run that is killed again and again must end with the bytes of one that never was.
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/experiment/sweep.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/file.hpp"

extern char** environ;

namespace tarn::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Ending {
  bool killed = false;
  int code = -1;
  double seconds = 0.0;
};

// This program once more, killed after so many seconds where that is above 0.
Ending tarn(std::vector<std::string> arguments, double kill_after) {
  std::vector<char*> argv;
  arguments.insert(arguments.begin(), {"tarn", "--quiet"});
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const auto start = Clock::now();
  if (const int error = posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(), environ))
    fail("verify-resume: tarn cannot be started: {}", std::strerror(error));
  const auto since = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Ending ending;
  for (int status = 0;;) {
    const pid_t done = waitpid(child, &status, kill_after > 0.0 && !ending.killed ? WNOHANG : 0);
    if (done == child) {
      ending.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
      ending.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      ending.seconds = since();
      return ending;
    }
    if (done < 0 && errno != EINTR) fail("verify-resume: lost the run: {}", std::strerror(errno));
    if (kill_after > 0.0 && since() >= kill_after) {
      ::kill(child, SIGKILL);
      ending.killed = true;
    } else if (kill_after > 0.0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

// The folder of the one run below `out`, or "".
fs::path run_below(const fs::path& out) {
  if (!fs::is_directory(out)) return {};
  for (const auto& entry : fs::directory_iterator(out)) {
    if (entry.is_directory()) return entry.path();
  }
  return {};
}

bool can_resume(const fs::path& run) {
  if (run.empty() || !fs::is_directory(run / "checkpoints")) return false;
  return std::any_of(fs::directory_iterator(run / "checkpoints"), fs::directory_iterator(), [](const auto& entry) {
    const std::string name = entry.path().filename().string();
    return name.starts_with("state-") && name.ends_with(".safetensors");
  });
}

// Files that differ or stand in one folder only, but for those that hold times.
std::vector<std::string> differences(const fs::path& a, const fs::path& b) {
  std::vector<std::string> found;
  const std::vector<std::string> timed = files_with_times(load_config((a / "config.toml").string()));
  const auto names = [&](const fs::path& folder) {
    std::vector<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = fs::relative(entry.path(), folder).string();
      if (entry.is_regular_file() && std::ranges::find(timed, name) == timed.end()) all.push_back(name);
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto left = names(a), right = names(b);
  std::set_symmetric_difference(left.begin(), left.end(), right.begin(), right.end(), std::back_inserter(found));
  for (const std::string& name : left) {
    if (!std::binary_search(right.begin(), right.end(), name)) continue;
    // merged draws say when they were made, and how long that took
    const bool same = fs::path(name).filename() == "samples.nc" ? difference_but_times(a / name, b / name).empty()
                                                                : xxh3_of_file(a / name) == xxh3_of_file(b / name);
    if (!same) found.push_back(name);
  }
  return found;
}

struct Arguments {
  std::string config, out;
  std::vector<std::string> set;
  int kills = 10, threads = 0;
  std::uint64_t seed = 1;
};

int verify(const Arguments& a) {
  const fs::path work =
      a.out.empty() ? fs::temp_directory_path() / fmt::format("tarn-verify-{}", getpid()) : fs::path(a.out);
  if (fs::exists(work)) fail("{}: exists; give verify-resume a folder of its own", work.string());
  const auto run_arguments = [&](const fs::path& out) {
    std::vector<std::string> arguments{"run", a.config, "--out", out.string(), "--threads", std::to_string(a.threads)};
    for (const std::string& key : a.set) arguments.insert(arguments.end(), {"--set", key});
    // so often that every kill leaves something behind to go on from
    arguments.insert(arguments.end(), {"--set", "checkpoint.minutes=1e-4"});
    return arguments;
  };
  const Ending whole = tarn(run_arguments(work / "whole"), 0.0);
  if (whole.code != 0) fail("verify-resume: the unbroken run ended with exit code {}", whole.code);
  info("unbroken: {}", duration(whole.seconds));

  std::mt19937_64 random(a.seed);  // of the moments of death only
  std::uniform_real_distribution<double> moment(0.0, 2.0 * whole.seconds / std::max(a.kills, 1));
  const fs::path broken = work / "broken";
  int kills = 0, starts = 0, resumes = 0;
  for (int attempts = 0;; ++attempts) {
    if (attempts > 20 * a.kills + 20) fail("verify-resume: no end after {} attempts", attempts);
    const fs::path run = run_below(broken);
    const bool resumes_now = can_resume(run);
    if (!resumes_now) fs::remove_all(broken);
    std::vector<std::string> arguments = run_arguments(broken);
    if (resumes_now) arguments = {"resume", run.string()};
    ++(resumes_now ? resumes : starts);
    const Ending ending = tarn(arguments, kills < a.kills ? std::max(moment(random), 1e-3) : 0.0);
    if (ending.killed) {
      ++kills;
    } else if (ending.code == 0) {
      break;
    } else if (fs::exists(run / "DONE")) {
      break;  // killed between its last word and its end
    } else {
      fail("verify-resume: after {} kills the run ended with exit code {}; see {}", kills, ending.code, run.string());
    }
  }
  const auto different = differences(run_below(work / "whole"), run_below(broken));
  if (!different.empty()) {
    fail("verify-resume: after {} kills {} files differ: {}; both runs are in {}", kills, different.size(),
         listed(std::vector<std::string_view>(different.begin(), different.end())), work.string());
  }
  fmt::print("{}: killed {} times ({} starts, {} resumes), the same bytes in every file\n", a.config, kills, starts,
             resumes);
  if (a.out.empty()) fs::remove_all(work);
  return 0;
}

}  // namespace

void add_verify_resume(CLI::App& app, Action& action) {
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("verify-resume",
                                         "Prove exact resume: run once through and once with kills, compare all files");
  command->add_option("config", a->config, "TOML file")->required();
  command->add_option("--set", a->set, "Replace a key (may be repeated)")->allow_extra_args(false);
  command->add_option("--kills", a->kills, "How often the run is killed (SIGKILL) at a random moment")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command->add_option("--seed", a->seed, "Of the moments")->capture_default_str();
  command->add_option("--threads", a->threads, "CPU threads; 0 = all cores")->check(CLI::Range(0, 4096));
  command->add_option("--out", a->out, "Keep both runs in this new folder");
  command->callback([a, &action] { action = [a] { return verify(*a); }; });
}

}  // namespace tarn::cli
