// `tarn compare`: several runs on one page.
#include <memory>

#include "commands.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/compare_runs.hpp"

namespace tarn::cli {

void add_compare(CLI::App& app, Action& action) {
  struct Arguments {
    std::vector<std::string> runs;
    std::string out = "comparison";
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("compare", "Put several runs side by side on one page");
  command->add_option("runs", a->runs, "Run folders, two or more")->required();
  command->add_option("--out", a->out, "New folder for comparison.html and its figures")->capture_default_str();
  command->callback([a, &action] {
    action = [a] {
      const auto page = compare_runs({a->runs.begin(), a->runs.end()}, a->out);
      info("the comparison is {}", page.string());
      return 0;
    };
  });
}

}  // namespace tarn::cli
