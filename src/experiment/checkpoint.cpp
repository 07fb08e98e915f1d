#include "tarn/experiment/checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/io/file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

struct StateFile {
  std::int64_t number = 0;
  fs::path path;
};

// In order of their numbers.
std::vector<StateFile> state_files(const fs::path& folder) {
  std::vector<StateFile> found;
  if (!fs::is_directory(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view prefix = "state-", suffix = ".safetensors";
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    std::int64_t number = 0;
    const char *begin = name.data() + prefix.size(), *end = name.data() + name.size() - suffix.size();
    if (const auto read = std::from_chars(begin, end, number); read.ec == std::errc{} && read.ptr == end && number >= 0)
      found.push_back({number, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return found;
}

}  // namespace

Machine machine_of(const Backend& backend) {
  const bool is_gpu = backend.name() != "cpu";
  return {backend.name(), std::string(name_of(current_isa())), backend.n_threads(),
          is_gpu ? backend.description() : std::string()};
}

std::string fingerprint(const Config& config, const PreparedData& data, const std::vector<SamplingNetwork>& levels,
                        const HeeParameters* hee) {
  Xxh3 hash;
  const auto add = [&](const Matrix<float>& values) {
    hash.update(std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size()))));
  };
  add(data.rows);
  for (const SamplingNetwork& level : levels) {
    for (const auto* weights : {&level.W_in, &level.b, &level.W_out, &level.a, &level.v}) add(*weights);
  }
  if (hee != nullptr) {
    for (const auto* weights : {&hee->W, &hee->b}) std::for_each(weights->begin(), weights->end(), add);
  }
  for (const std::string* path :
       {&config.training.init, &config.sampling.condition, &config.sampling.clamp, &config.sampling.initial.path,
        &config.sampling.irreversible.matrix, &config.sampling.record.projections}) {
    const std::string part = path->empty() ? "-" : xxh3_of_file(*path);
    hash.update(as_byte_view(part));
  }
  return hash.hex();
}

Checkpoints::Checkpoints(fs::path folder, const CheckpointConfig& config, std::map<std::string, std::string> facts)
    : folder_(std::move(folder)), config_(config), facts_(std::move(facts)) {
  fs::create_directories(folder_);
}

bool Checkpoints::due() const {
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - last_;
  return noted_signal() != 0 || passed.count() >= 60.0 * config_.minutes;
}

void Checkpoints::save(TensorFile file, const std::string& stage) {
  file.metadata.insert(facts_.begin(), facts_.end());
  file.metadata["stage"] = stage;
  if (const fs::path choices = choices_file(folder_.parent_path()); fs::exists(choices))
    file.metadata["choices"] = read_text_file(choices);
  std::vector<StateFile> files = state_files(folder_);
  const std::int64_t number = files.empty() ? 0 : files.back().number + 1;
  write_safetensors(folder_ / fmt::format("state-{:06}.safetensors", number), file);
  for (std::int64_t i = 0; i + config_.keep <= std::ssize(files); ++i) {
    std::error_code ignored;  // a file too many does no harm
    fs::remove(files[static_cast<std::size_t>(i)].path, ignored);
  }
  last_ = std::chrono::steady_clock::now();
}

void Checkpoints::clear() {
  for (const auto& entry : fs::directory_iterator(folder_)) {  // with what a kill left half-written
    if (entry.path().filename().string().starts_with("state-")) fs::remove(entry.path());
  }
}

std::optional<TensorFile> Checkpoints::latest(const fs::path& folder) {
  const std::vector<StateFile> files = state_files(folder);
  std::string reason;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      TensorFile read = read_safetensors(file->path);
      read.metadata_at("stage");
      read.metadata_at("xxh3");
      if (file != files.rbegin()) warn("going on from the older {}", file->path.string());
      return read;
    } catch (const Error& error) {
      warn("{}", error.what());
      reason = error.what();
    }
  }
  if (!files.empty()) fail("{}: no checkpoint can be read ({})", folder.string(), reason);
  return std::nullopt;
}

void put_position(TensorFile& file, const TrainingPosition& at, const TrainingState& state) {
  file.put_vector("training.position",
                  std::vector<std::int64_t>{at.level, at.done, at.step, at.n_summed, state.n_updates});
  file.put_vector("training.sum", std::vector<double>{at.sum.loss, at.sum.excess, at.sum.gradient_norm});
  for (const auto& [name, array] : state.arrays) file.put("training." + name, array.view());
}

TrainingPosition training_position(const TensorFile& file) {
  const auto at = file.values<std::int64_t>("training.position", 5);
  const auto sum = file.values<double>("training.sum", 3);
  for (const std::int64_t value : at) require(value >= 0, "{}: training.position holds {}", file.source, value);
  return {at[0], at[1], at[2], {sum[0], sum[1], sum[2]}, at[3]};
}

TrainingState training_state(const TensorFile& file) {
  TrainingState state;
  state.n_updates = file.values<std::int64_t>("training.position", 5)[4];
  constexpr std::string_view prefix = "training.";
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.starts_with(prefix) || tensor.shape.size() != 2) continue;
    state.arrays[name.substr(prefix.size())] = file.matrix(name);
  }
  return state;
}

namespace {

void put_watch(TensorFile& file, const WatchState& watch) {
  const WatchClock& clock = watch.clock;
  file.put_vector("sampling.watch.clock",
                  std::vector<std::int64_t>{clock.n_looks, clock.batch_length, clock.n_batches, clock.in_batch,
                                            watch.n_chains, watch.n_quantities});
  WatchState::for_each_array(watch, [&](const char* name, const auto& array) {
    file.put_vector(fmt::format("sampling.watch.{}", name), array);
  });
}

// Whether its arrays have the right sizes is for those to see who know the run.
WatchState watch_state(const TensorFile& file) {
  WatchState watch;
  const auto clock = file.values<std::int64_t>("sampling.watch.clock", 6);
  watch.clock = {clock[0], clock[1], clock[2], clock[3]};
  watch.n_chains = clock[4];
  watch.n_quantities = clock[5];
  WatchState::for_each_array(watch, [&](const char* name, auto& array) {
    using Element = typename std::remove_reference_t<decltype(array)>::value_type;
    array = file.values<Element>(fmt::format("sampling.watch.{}", name));
  });
  return watch;
}

}  // namespace

void put_position(TensorFile& file, const SamplingPosition& at) {
  file.put_vector("sampling.position",
                  std::vector<std::int64_t>{at.tile_size, at.tile_begin, at.stage, at.in_stage, at.done, at.draw,
                                            at.x.empty() ? 0 : 1, at.stopped_at + 1});
  file.put_vector("sampling.times", std::vector<double>{at.stage_start, at.chain_steps});
  file.put_vector("sampling.first_bad_step", at.first_bad_step);
  file.put("sampling.last_draw", at.last_draw.view());
  if (!at.live.empty()) file.put_vector("sampling.live", at.live);
  if (at.watch) put_watch(file, *at.watch);
  if (at.x.empty()) return;
  file.put("sampling.x", at.x.view());
  if (!at.v.empty()) file.put("sampling.v", at.v.view());
  if (!at.r.empty()) file.put("sampling.r", at.r.view());
}

SamplingPosition sampling_position(const TensorFile& file) {
  const auto at = file.values<std::int64_t>("sampling.position", 8);
  const auto times = file.values<double>("sampling.times", 2);
  for (const std::int64_t value : at) require(value >= 0, "{}: sampling.position holds {}", file.source, value);
  SamplingPosition position;
  position.tile_size = at[0];
  position.tile_begin = at[1];
  position.stage = at[2];
  position.in_stage = at[3];
  position.done = at[4];
  position.draw = at[5];
  position.stopped_at = at[7] - 1;
  position.stage_start = times[0];
  position.chain_steps = times[1];
  position.first_bad_step = file.values<std::int64_t>("sampling.first_bad_step");
  position.last_draw = file.matrix("sampling.last_draw");
  if (at[6] != 0) position.x = file.matrix("sampling.x");
  if (file.has("sampling.v")) position.v = file.matrix("sampling.v");
  if (file.has("sampling.r")) position.r = file.matrix("sampling.r");
  if (file.has("sampling.live")) position.live = file.values<double>("sampling.live");
  if (file.has("sampling.watch.clock")) position.watch = watch_state(file);
  return position;
}

std::string synced_size(const fs::path& metrics) {
  const int descriptor = ::open(metrics.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return "0";
  const int failed = ::fsync(descriptor);
  const int code = errno;
  ::close(descriptor);
  if (failed != 0) fail("{}: cannot be written to disk: {}", metrics.string(), std::strerror(code));
  return std::to_string(fs::file_size(metrics));
}

void cut_back(const fs::path& metrics, const TensorFile& checkpoint) {
  const std::string& text = checkpoint.metadata_at("metrics_bytes");
  std::uint64_t bytes = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
    fail("{}: metrics_bytes is \"{}\", not a size", checkpoint.source, text);
  const std::uint64_t present = fs::exists(metrics) ? fs::file_size(metrics) : 0;
  if (present < bytes) {
    fail("{}: holds {} bytes, the checkpoint was written after {}; the run cannot go on exactly", metrics.string(),
         present, bytes);
  }
  if (present > bytes) fs::resize_file(metrics, bytes);
}

}  // namespace tarn
