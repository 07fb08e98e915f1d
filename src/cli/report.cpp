// `tarn report`: the page of a run, made again from its folder.
#include <memory>

#include "commands.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/run_page.hpp"

namespace tarn::cli {

void add_report(CLI::App& app, Action& action) {
  struct Arguments {
    std::string run, out;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "report", "Make the page of a run again from its folder; of an unfinished run, as far as it is");
  command->add_option("run", a->run, "Run folder")->required();
  command->add_option("--out", a->out, "HTML file to write; default: report.html in the run folder");
  command->callback([a, &action] {
    action = [a] {
      const RunFolder folder = RunFolder::open(a->run);
      const std::filesystem::path out = a->out.empty() ? folder.report() : std::filesystem::path(a->out);
      write_run_page(folder, out, std::filesystem::exists(folder.done()));
      info("the report is {}", out.string());
      return 0;
    };
  });
}

}  // namespace tarn::cli
