// Checkpoints of a stage at work: every pause of training is a place to go on, damaged files are passed over, wrong machines and
// inputs refused.
#include <cmath>

#include "message_of.hpp"
#include "run_tools.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

using test::read_text;
using testing::HasSubstr;
namespace fs = std::filesystem;

class CheckpointTest : public test::RunTest {
 protected:
  CheckpointTest()
      : config(parse_config(test::tiny_peak, "tiny.toml",
                            {"checkpoint.minutes=1e-9", "checkpoint.keep=1000", "training.epochs=60"})) {
    data = prepare_data(config);
    resolve(config, facts_of(data));
  }
  std::map<std::string, std::string> facts() const { return checkpoint_facts(*backend, fingerprint(config, data)); }

  /// Trains in a new run folder; its checkpoints stay.
  RunFolder train(const std::string& name) {
    RunFolder run = RunFolder::create(folder / name, "run");
    Checkpoints checkpoints(run.checkpoints(), config.checkpoint, facts());
    train_stage(config, data, *backend, run, {&checkpoints, nullptr});
    return run;
  }

  std::unique_ptr<Backend> backend = make_cpu_backend(1);
  Config config;
  PreparedData data;
};

std::vector<fs::path> states(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("state-")) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST_F(CheckpointTest, TrainingGoesOnFromEveryOne) {
  const RunFolder whole = train("whole");
  const auto all = states(whole.checkpoints());
  ASSERT_GT(all.size(), 10u);
  config.checkpoint.minutes = 100.0;
  for (std::size_t i = 0; i < all.size(); i += 5) {
    const fs::path& state = all[i];
    // the folder as a kill just behind this checkpoint leaves it
    const RunFolder copy = RunFolder::create(folder / "cut", "run");
    fs::remove_all(copy.path());
    fs::create_directories(copy.checkpoints());
    fs::copy(whole.metrics(), copy.metrics());
    const TensorFile from = read_safetensors(state);
    cut_back(copy.metrics(), from);
    for (std::int64_t level = 0; level < training_position(from).level; ++level)
      fs::copy(whole.level_file(level), copy.level_file(level));
    Checkpoints checkpoints(folder / "new", config.checkpoint, facts());
    const TrainingOutcome outcome = train_stage(config, data, *backend, copy, {&checkpoints, &from});
    EXPECT_EQ(outcome.levels.size(), 3u);
    EXPECT_EQ(read_text(copy.weights()), read_text(whole.weights())) << state;
    EXPECT_EQ(read_text(copy.metrics()), read_text(whole.metrics())) << state;
    for (std::int64_t level = 0; level < 3; ++level)
      EXPECT_EQ(read_text(copy.level_file(level)), read_text(whole.level_file(level))) << state;
    EXPECT_EQ(static_cast<std::int64_t>(outcome.records.size()),
              static_cast<std::int64_t>(test::lines_of(read_text(whole.metrics())).size()));
  }
}

TEST_F(CheckpointTest, ADamagedOneIsPassedOver) {
  const RunFolder run = train("run");
  const auto all = states(run.checkpoints());
  const std::string newest = read_text(all.back());
  const std::string before = read_safetensors(all[all.size() - 2]).metadata_at("metrics_bytes");
  ASSERT_NE(read_safetensors(all.back()).metadata_at("metrics_bytes"), before);
  for (std::size_t bytes = 0; bytes < newest.size(); bytes += 997) {
    test::write_text(all.back(), newest.substr(0, bytes));
    const auto found = Checkpoints::latest(run.checkpoints());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->metadata_at("metrics_bytes"), before) << "cut to " << bytes << " bytes";
  }
  for (std::size_t at = 8; at < newest.size(); at += 997) {
    std::string flipped = newest;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    test::write_text(all.back(), flipped);
    const auto found = Checkpoints::latest(run.checkpoints());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->metadata_at("metrics_bytes"), before) << "flipped a bit of byte " << at;
  }
  for (const fs::path& state : all) test::write_text(state, newest.substr(0, newest.size() / 2));
  EXPECT_THROW(Checkpoints::latest(run.checkpoints()), Error);
  EXPECT_FALSE(Checkpoints::latest(folder / "nothing"));
}

TEST_F(CheckpointTest, TheLastFewAreKept) {
  config.checkpoint.keep = 3;
  Checkpoints checkpoints(folder / "few", config.checkpoint, {{"tarn_version", "x"}});
  EXPECT_TRUE(checkpoints.due());
  for (int i = 0; i < 5; ++i) {
    TensorFile file;
    file.put_vector("i", std::vector<std::int64_t>{i});
    checkpoints.save(file, "training");
  }
  const auto left = states(folder / "few");
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left.front().filename(), "state-000002.safetensors");
  const auto newest = Checkpoints::latest(folder / "few");
  EXPECT_EQ(newest->values<std::int64_t>("i"), (std::vector<std::int64_t>{4}));
  EXPECT_EQ(newest->metadata_at("stage"), "training");
  EXPECT_EQ(newest->metadata_at("tarn_version"), "x");
  test::write_text(folder / "few" / "state-000005.safetensors.tmp", "half");
  checkpoints.clear();
  EXPECT_TRUE(fs::is_empty(folder / "few"));
  config.checkpoint.minutes = 100.0;
  EXPECT_FALSE(Checkpoints(folder / "few", config.checkpoint, {}).due());
}

TEST_F(CheckpointTest, OnlyTheSameMachineAndInputsGiveTheSameBits) {
  TensorFile file;
  for (const auto& [key, value] : facts()) file.metadata[key] = value;
  EXPECT_EQ(resumed_backend(file, {}, false)->n_threads(), 1);
  EXPECT_EQ(resumed_backend(file, {2, false}, true)->n_threads(), 2) << "small networks do not mind";
  EXPECT_THAT(test::message_of([&] {
                resumed_backend(file, {2, false}, false);
              }),
              HasSubstr("with 1 threads, 2 were asked for"));
  EXPECT_EQ(resumed_backend(file, {2, true}, false)->n_threads(), 2);
  TensorFile other = file;
  other.metadata["instruction_set"] = "x86-64-v9";
  EXPECT_THAT(test::message_of([&] { resumed_backend(other, {}, false); }),
              HasSubstr("x86-64-v9, which is not to be had"));
  EXPECT_EQ(resumed_backend(other, {}, true)->n_threads(), 1);
  other = file;
  other.metadata["tarn_version"] = "0.0.1";
  EXPECT_THAT(test::message_of([&] { resumed_backend(other, {}, true); }), HasSubstr("written by tarn 0.0.1"));
  other.metadata["threads"] = "many";
  EXPECT_THROW(resumed_backend(other, {0, true}, true), Error);
  other = file;  // a GPU that is not here; its host's threads do not matter
  other.metadata["device"] = "cuda:99";
  other.metadata["gpu"] = "another GPU";
  EXPECT_THAT(test::message_of([&] {
                resumed_backend(other, {2, false}, false);
              }),
              testing::AllOf(HasSubstr("device \"cuda:99\""), HasSubstr("--allow-inexact")));
  EXPECT_NE(resumed_backend(other, {2, true}, false), nullptr);

  EXPECT_NO_THROW(require_same_inputs(file, fingerprint(config, data), {}));
  data.rows(3, 0) += 1e-3f;
  EXPECT_THAT(test::message_of([&] { require_same_inputs(file, fingerprint(config, data), {}); }),
              HasSubstr("have changed"));
  EXPECT_NO_THROW(require_same_inputs(file, fingerprint(config, data), {0, true}));
}

TEST_F(CheckpointTest, MetricsAreCutBackButNeverMadeUp) {
  TensorFile file;
  test::write_text(folder / "metrics.jsonl", "0123456789");
  file.metadata["metrics_bytes"] = "4";
  cut_back(folder / "metrics.jsonl", file);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), "0123");
  EXPECT_EQ(synced_size(folder / "metrics.jsonl"), "4");
  for (const char* bytes : {"5", "-1", "4x", ""}) {
    file.metadata["metrics_bytes"] = bytes;
    EXPECT_THROW(cut_back(folder / "metrics.jsonl", file), Error) << bytes;
  }
  EXPECT_EQ(synced_size(folder / "none"), "0");
}

}  // namespace
}  // namespace tarn
