// The program itself as a person calls it, for the tests of the command line.
#pragma once

#include <sys/wait.h>

#include <cstdlib>

#include "experiment/run_tools.hpp"

namespace tarn::test {

struct Outcome {
  int code = -1;
  std::string out, err;
};

/// A scratch folder in which `tarn` is run.
class Program : public RunTest {
 protected:
  /// Runs `tarn ARGUMENTS` in the scratch folder, through the shell.
  Outcome tarn(const std::string& arguments) const {
    const std::string command =
        "cd '" + folder.string() + "' && '" TARN_PROGRAM "' " + arguments + " >.out 2>.err </dev/null";
    const int status = std::system(command.c_str());
    Outcome outcome;
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = read_text(folder / ".out");
    outcome.err = read_text(folder / ".err");
    fs::remove(folder / ".out");
    fs::remove(folder / ".err");
    return outcome;
  }
  void expect_fine(const std::string& arguments) const {
    const Outcome outcome = tarn(arguments);
    EXPECT_EQ(outcome.code, 0) << arguments << "\n" << outcome.err;
  }
  /// One line on stderr that holds `text`, nothing on stdout.
  void expect_refused(const std::string& arguments, int code, const std::string& text) const {
    const Outcome outcome = tarn(arguments);
    EXPECT_EQ(outcome.code, code) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    const auto lines = lines_of(outcome.err);
    ASSERT_EQ(lines.size(), 1u) << arguments << "\n" << outcome.err;
    EXPECT_THAT(lines[0], testing::HasSubstr(text)) << arguments;
    EXPECT_TRUE(lines[0].starts_with("tarn: ")) << lines[0];
  }
  /// Runs an experiment; its folder, from the scratch folder.
  std::string run(const std::string& config, const std::string& more = "") const {
    const std::string out = "runs" + std::to_string(n_runs_++);
    expect_fine("-q run " + config + " --threads 1 --out " + out + " " + more);
    for (const auto& entry : fs::directory_iterator(folder / out)) {
      if (entry.is_directory()) return out + "/" + entry.path().filename().string();
    }
    ADD_FAILURE() << "no run folder";
    return "";
  }

 private:
  mutable int n_runs_ = 0;
};

}  // namespace tarn::test
