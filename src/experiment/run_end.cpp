#include "run_end.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/experiment/run_page.hpp"
#include "tarn/io/file.hpp"
#include "tarn/report/report_file.hpp"

namespace tarn {
namespace {

std::string timing_line(const RunTimes& times, const Backend& backend, double total) {
  const auto rounded = [](double seconds) { return std::round(1e6 * seconds) / 1e6; };
  const Machine machine = machine_of(backend);
  nlohmann::ordered_json line;
  line["prepare_s"] = rounded(times.prepare);
  line["training_s"] = rounded(times.training);
  line["training_steps"] = times.training_steps;
  line["sampling_s"] = rounded(times.sampling);
  line["chain_steps"] = times.chain_steps;
  line["total_s"] = rounded(total);
  line["threads"] = times.n_threads;
  line["resumed"] = times.resumed;
  line["device"] = machine.device;
  line["hardware"] = machine.gpu.empty() ? host_description() + ", " + machine.isa : machine.gpu;
  line["operations_per_chain_step"] = times.operations_per_chain_step;
  line["nominal_peak"] = machine.gpu.empty() ? nominal_peak(times.n_threads, current_isa()) : 0.0;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

std::vector<std::string> config_header(const Config& config, const Backend& backend) {
  return {fmt::format("{}, resolved by tarn {} ({})", config.run.name, version(), commit()),
          fmt::format("device {}, instruction set {}", backend.name(), name_of(current_isa()))};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

RunOutcome end_run(const RunFolder& folder, Checkpoints& checkpoints, const Backend& backend, const Report& report,
                   const std::vector<Metric>& metrics, const RunTimes& times,
                   std::chrono::steady_clock::time_point start) {
  const double total = seconds_since(start);
  save_report(folder.report_json(), report);
  JsonLines(folder.timing()).write(timing_line(times, backend, total));
  write_run_page(folder, folder.report(), true);
  write_file_atomically(folder.done(), std::string_view("done\n"));
  checkpoints.clear();
  if (const std::string line = autotune_line(backend); !line.empty()) info("{}", line);
  info("done in {}; the report is {}", duration(total), folder.report().string());
  return {folder.path(), metrics};
}

}  // namespace tarn
