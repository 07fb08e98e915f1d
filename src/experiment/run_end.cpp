#include "run_end.hpp"

#include <fmt/format.h>

#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/io/file.hpp"

namespace tarn {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

RunOutcome end_run(const RunFolder& folder, Checkpoints& checkpoints, const Report& report,
                   const std::vector<Metric>& metrics, const RunTimes& times,
                   std::chrono::steady_clock::time_point start) {
  const double total = seconds_since(start);
  write_report(folder.report(), report);
  JsonLines timing(folder.timing());
  timing.write(fmt::format(
      R"({{"prepare_s":{:.3f},"training_s":{:.3f},"training_steps":{},"sampling_s":{:.3f},"chain_steps":{:.0f},"total_s":{:.3f},"threads":{},"resumed":{}}})",
      times.prepare, times.training, times.training_steps, times.sampling, times.chain_steps, total, times.n_threads,
      times.resumed));
  write_file_atomically(folder.done(), std::string_view("done\n"));
  checkpoints.clear();
  info("done in {}; the report is {}", duration(total), folder.report().string());
  return {folder.path(), metrics};
}

}  // namespace tarn
