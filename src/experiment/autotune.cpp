#include "tarn/experiment/autotune.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "tarn/compute/tuning.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/io/choice_file.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

// What a run keeps of its choices, and passes on to the table.
struct Record {
  std::string device;
  fs::path file;
  ChoiceCache cache;
  Choices in_use;

  void note(const std::string& key, const Choice& choice, bool measured, bool rounds) {
    if (measured) cache.add(device, key, choice);
    if (!rounds) return;
    const Choice kept{choice.value};  // how fast it was is the clock's
    if (const auto found = in_use.find(key); found != in_use.end() && found->second == kept) return;
    in_use[key] = kept;
    write_file_atomically(file, choices_text({{device, in_use}}));
  }
};

bool has_choices(const Config& config, const Backend& backend) {
  return config.run.autotune && !backend.tuning_scope().empty();
}

void tune(Backend& backend, const fs::path& folder, Choices binding, bool lenient) {
  const auto record = std::make_shared<Record>();
  record->device = backend.tuning_scope();
  record->file = choices_file(folder);
  record->in_use = binding;
  Tuning tuning;
  tuning.known = record->cache.find(record->device);
  tuning.binding = std::move(binding);
  tuning.lenient = lenient;
  tuning.on_choice = [record](const std::string& key, const Choice& choice, bool measured, bool rounds) {
    record->note(key, choice, measured, rounds);
  };
  backend.tune(tuning);
}

// All choices of the run so far. Throws `Error` where they do not hold here, or are not all there.
Choices choices_so_far(const fs::path& file, const TensorFile& checkpoint, const std::string& device) {
  ChoiceTable table;
  if (fs::exists(file)) table = parse_choices(read_text_file(file), file.string());
  for (const auto& [other, choices] : table) {
    if (other != device) fail("{}: holds for another device or library than {}", file.string(), device);
  }
  Choices choices = std::move(table[device]);
  if (const auto kept = checkpoint.metadata.find("choices"); kept != checkpoint.metadata.end()) {
    for (const auto& [other, then] : parse_choices(kept->second, checkpoint.source)) {
      for (const auto& [key, choice] : then) {
        const auto found = choices.find(key);
        if (found == choices.end() || found->second != choice)
          fail("{}: is not what the checkpoint was made with", file.string());
      }
    }
  }
  return choices;
}

// "1.21 and 1.08 times as fast"
std::string gains_text(std::vector<double> gains) {
  std::sort(gains.rbegin(), gains.rend());
  if (gains.size() > 3) return fmt::format("{:.2f} to {:.2f} times as fast", gains.back(), gains.front());
  std::string text;
  for (std::size_t i = 0; i < gains.size(); ++i)
    text += fmt::format("{}{:.2f}", i == 0 ? "" : i + 1 == gains.size() ? " and " : ", ", gains[i]);
  return text + " times as fast";
}

}  // namespace

fs::path choices_file(const fs::path& folder) { return folder / "choices.json"; }

void begin_autotune(const Config& config, Backend& backend, const fs::path& folder) {
  if (has_choices(config, backend)) tune(backend, folder, {}, false);
}

void resume_autotune(const Config& config, Backend& backend, const fs::path& folder, const TensorFile& checkpoint,
                     bool allow_inexact) {
  if (!has_choices(config, backend)) return;
  Choices binding;
  try {
    binding = choices_so_far(choices_file(folder), checkpoint, backend.tuning_scope());
  } catch (const Error& error) {
    if (!allow_inexact) {
      fail("{}; with --allow-inexact choices are made anew, but results will not be the same bits", error.what());
    }
    warn("{}; results will not be the same bits", error.what());
    fs::remove(choices_file(folder));  // no checkpoint may take it along
  }
  tune(backend, folder, std::move(binding), allow_inexact);
}

std::string autotune_line(const Backend& backend) {
  const TuningSummary s = backend.tuned();
  if (s.n_products + s.n_layers + s.n_kernels == 0) return {};
  const auto part = [](std::int64_t count, const char* of, const std::vector<double>& gains, const char* usual) {
    std::string text = fmt::format("{} shape{} of {}", count, count == 1 ? "" : "s", of);
    if (!gains.empty()) text += fmt::format(", {} of them by another {} ({})", gains.size(), usual, gains_text(gains));
    return text;
  };
  std::string line = "autotune: ";
  if (s.n_products > 0)
    line += part(s.n_products, "products", s.product_gains, "algorithm than the library's first") + "; ";
  if (s.n_layers > 0) line += part(s.n_layers, "layers of neurons", s.layer_gains, "kernel than the library's") + "; ";
  if (s.n_kernels > 0) line += part(s.n_kernels, "small chains", s.kernel_gains, "kernel than the model's") + "; ";
  line += fmt::format("{} measured now", s.n_measured);
  if (s.n_bound > 0) line += fmt::format(", {} as before the break", s.n_bound);
  return line;
}

std::string autotune_plan(const Config& config, const Backend& backend) {
  if (!config.run.autotune) return {};
  if (backend.tuning_scope().empty()) return fmt::format("autotune: nothing to choose on \"{}\"", backend.name());
  ChoiceCache cache;
  const std::string where = cache.path().empty() ? "nowhere: HOME is not set" : cache.path().string();
  return fmt::format("autotune: choices by measurement, kept in {} ({} for this device so far)", where,
                     cache.find(backend.tuning_scope()).size());
}

}  // namespace tarn
