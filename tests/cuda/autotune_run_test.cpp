// Whole runs with `run.autotune` on the emulated GPU, whose clock the tests set: equal runs give equal bytes, broken ones go on by their own choices.
#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "simt.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/io/choice_file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::read_text;
using testing::HasSubstr;

// Products of 20 outputs: a mixture of two in 20 dimensions, 40 neurons, 2 levels of 32 steps, 50 chains.
std::string wide_run() {
  std::string ones;
  for (int i = 0; i < 20; ++i) ones += i == 0 ? "1.0" : ", 1.0";
  std::string zeros = ones;
  std::replace(zeros.begin(), zeros.end(), '1', '0');
  return "[run]\nname = \"wide\"\nseed = 5\ndevice = \"cuda\"\n[data]\nkind = \"gaussian_mixture\"\nmeans = [[" + ones +
         "], [" + zeros +
         "]]\nstd = 0.5\nepoch_size = 512\n[model]\nneurons = 40\n[training]\nepochs = 8\nbatch_size = 64\n"
         "[training.noise]\nlevels = 2\nfirst = 1.0\nlast = 0.4\n[sampling]\nschedule = \"last_level\"\nchains = "
         "50\nsteps = 60\nburn_in = 10\n"
         "thin = 20\ndt = 0.01\n[checkpoint]\nminutes = 1e-9\n";
}

// What a kill does to a run.
struct Killed : std::exception {};

class AutotuneRun : public test::RunTest {
 protected:
  AutotuneRun() { setenv("TARN_CACHE_DIR", cache().c_str(), 1); }
  ~AutotuneRun() override {
    simt::set_costs({});
    unsetenv("TARN_CACHE_DIR");
  }
  fs::path cache() const { return folder / "cache"; }
  fs::path table() const { return cache() / "choices.json"; }

  /// From here on this algorithm of the emulator's three is the fastest. `n_products` further products, and the run is killed.
  void fastest(const std::string& algorithm, std::int64_t n_products = -1) {
    simt::set_costs([algorithm, layer = layer_cost, left = n_products](const std::string& work) mutable {
      if (work.find("neuron_product_kernel") != std::string::npos) return layer;
      if (!work.starts_with("product")) return 0.0;
      if (left-- == 0) throw Killed();
      return work.ends_with(algorithm) ? 100.0 : 1000.0;
    });
  }
  Config config(bool autotune) const {
    return parse_config(wide_run(), "wide.toml", {autotune ? "run.autotune=true" : "run.autotune=false"});
  }
  RunOutcome run(const std::string& name, bool autotune = true) {
    return run_experiment(config(autotune), {folder / name, 1});
  }
  double layer_cost = 1e5;  ///< of the kernel that does layers of neurons at once: the library is faster
  /// The folder of a run that is killed.
  fs::path killed(const std::string& name, const std::string& algorithm, std::int64_t n_products) {
    fastest(algorithm, n_products);
    EXPECT_THROW(run(name), Killed);
    return fs::directory_iterator(folder / name)->path();
  }
  /// All choices of the user's table become this one.
  void rewrite_table(const std::string& algorithm) {
    ChoiceTable all = parse_choices(read_text(table()), "table");
    for (auto& [device, choices] : all) {
      for (auto& [key, choice] : choices) {
        if (key.starts_with("product")) choice.value = algorithm;
      }
    }
    write_file_atomically(table(), choices_text(all));
  }
};

TEST_F(AutotuneRun, EqualRunsGiveEqualBytes) {
  fastest("halves");
  const RunOutcome first = run("first");
  const std::string chosen = read_text(choices_file(first.folder));
  EXPECT_THAT(chosen, HasSubstr("\"halves\""));
  EXPECT_THAT(chosen, testing::Not(HasSubstr("gain")));
  EXPECT_THAT(read_text(table()), HasSubstr("\"gain\": 10.0"));
  EXPECT_THAT(read_text(first.folder / "log.txt"), HasSubstr("by another algorithm than the library's first"));
  fastest("backward");  // the table is there now
  const RunOutcome second = run("second");
  EXPECT_THAT(read_text(second.folder / "log.txt"), HasSubstr("0 measured now"));
  test::expect_same_files(first.folder, second.folder);
  fs::remove(table());
  const RunOutcome third = run("third");
  EXPECT_NE(read_text(third.folder / "weights.safetensors"), read_text(first.folder / "weights.safetensors"));
}

// Layers of neurons by the kernel: it is in the run's choices, and a broken run goes on with it.
TEST_F(AutotuneRun, TheKernelOfLayersBelongsToARun) {
  layer_cost = 10.0;
  fastest("forward");
  const RunOutcome whole = run("whole");
  EXPECT_THAT(read_text(choices_file(whole.folder)), HasSubstr("\"tile 16\""));
  EXPECT_THAT(read_text(whole.folder / "log.txt"), HasSubstr("2 shapes of layers of neurons, 2 of them by another"));
  const fs::path broken = killed("killed", "forward", 150);
  fs::remove(table());
  layer_cost = 1e5;
  fastest("forward");
  resume_experiment(broken, {});
  test::expect_same_files(whole.folder, broken);
  const RunOutcome library = run("library");
  EXPECT_NE(read_text(library.folder / "weights.safetensors"), read_text(whole.folder / "weights.safetensors"));
}

TEST_F(AutotuneRun, OffReadsAndWritesNothing) {
  fastest("halves");
  const RunOutcome off = run("off", false);
  EXPECT_FALSE(fs::exists(cache()));
  EXPECT_FALSE(fs::exists(choices_file(off.folder)));
  EXPECT_THAT(read_text(off.folder / "log.txt"), testing::Not(HasSubstr("autotune:")));
  const RunOutcome tuned = run("tuned");
  EXPECT_NE(read_text(off.folder / "weights.safetensors"), read_text(tuned.folder / "weights.safetensors"));
  const RunOutcome again = run("again", false);  // though there is a table
  test::expect_same_files(off.folder, again.folder);
  // and measuring alone changes no bit
  fs::remove(table());
  fastest("forward");
  const RunOutcome first = run("first");
  for (const char* file : {"weights.safetensors", "metrics.jsonl"})
    EXPECT_EQ(read_text(off.folder / file), read_text(first.folder / file)) << file;
  test::expect_same_draws(off.folder / "samples.nc", first.folder / "samples.nc");
}

// Killed in training, in sampling, and in between; the table says otherwise by then, and another algorithm is the fastest.
TEST_F(AutotuneRun, ABrokenRunGoesOnByItsOwnChoices) {
  fastest("halves");
  const RunOutcome whole = run("whole");
  std::int64_t n_ahead = 0, n_bound = 0;
  for (const std::int64_t n_products : {150, 395, 410, 425, 440, 520}) {
    SCOPED_TRACE(n_products);
    fs::remove(table());
    const fs::path broken = killed("killed" + std::to_string(n_products), "halves", n_products);
    const Choices before = parse_choices(read_text(choices_file(broken)), "choices").begin()->second;
    // what it has not come to yet is in the table, as a run beside it would have left it
    ChoiceTable all = parse_choices(read_text(choices_file(whole.folder)), "choices");
    for (auto& [key, choice] : all.begin()->second) {
      if (before.contains(key)) choice.value = "backward";
    }
    write_file_atomically(table(), choices_text(all));
    const auto state = Checkpoints::latest(broken / "checkpoints");
    const auto kept = state->metadata.find("choices");
    n_ahead += kept == state->metadata.end() || kept->second != read_text(choices_file(broken)) ? 1 : 0;
    fastest("backward");
    resume_experiment(broken, {});
    test::expect_same_files(whole.folder, broken);
    n_bound += read_text(broken / "log.txt").find("as before the break") != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(n_ahead, 1) << "killed between a choice and the next checkpoint";
  EXPECT_GE(n_bound, 3);
}

// Hierarchical models record their steps too.
TEST_F(AutotuneRun, AHierarchicalModelsRunGoesOnToo) {
  const Config hee =
      parse_config(test::tiny_hee, "hee.toml",
                   {"run.device=\"cuda\"", "run.autotune=true", "checkpoint.minutes=1e-9", "training.epochs=1"});
  fastest("backward");
  const RunOutcome whole = run_experiment(hee, {folder / "whole", 1});
  EXPECT_THAT(read_text(choices_file(whole.folder)), HasSubstr("\"backward\""));
  fastest("backward", 700);
  EXPECT_THROW(run_experiment(hee, {folder / "killed", 1}), Killed);
  const fs::path broken = fs::directory_iterator(folder / "killed")->path();
  fastest("halves");
  resume_experiment(broken, {});
  test::expect_same_files(whole.folder, broken);
}

TEST_F(AutotuneRun, WhatABrokenRunCannotDoAgainIsRefused) {
  const fs::path broken = killed("killed", "halves", 150);
  const fs::path choices = choices_file(broken);
  const std::string text = read_text(choices);
  fastest("halves");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    for (std::size_t at = changed.find(from); at != std::string::npos; at = changed.find(from, at + to.size()))
      changed.replace(at, from.size(), to);
    test::write_text(choices, changed);
    return message_of([&] { resume_experiment(broken, {}); });
  };
  EXPECT_THAT(with("SIMT emulator", "another card"), HasSubstr("holds for another device"));
  EXPECT_THAT(with("\"halves\"", "\"backward\""), HasSubstr("is not what the checkpoint was made with"));
  EXPECT_THAT(with("\"format\": 1", "\"format\": 7"), HasSubstr("no table of choices"));
  fs::remove(choices);
  EXPECT_THAT(message_of([&] { resume_experiment(broken, {}); }), HasSubstr("--allow-inexact"));
  ResumeOptions inexact;
  inexact.allow_inexact = true;
  resume_experiment(broken, inexact);
  EXPECT_TRUE(fs::exists(broken / "DONE"));
}

TEST_F(AutotuneRun, ATableThatCannotBeIsOneWarning) {
  test::write_text(cache(), "a file in the folder's place");
  fastest("halves");
  const RunOutcome first = run("first");
  const std::string log = read_text(first.folder / "log.txt");
  const std::size_t at = log.find("will measure again");
  EXPECT_NE(at, std::string::npos);
  EXPECT_EQ(log.find("will measure again", at + 1), std::string::npos);
  EXPECT_THAT(read_text(choices_file(first.folder)), HasSubstr("halves"));
}

TEST_F(AutotuneRun, APlanSaysWhereTheTableLies) {
  simt::set_costs({});
  RunOptions options;
  options.n_threads = 1;
  const auto line = [&](const Config& c) {
    std::string found;
    for (const std::string& l : plan_of(c, options)) {
      if (l.starts_with("autotune")) found += l;
    }
    return found;
  };
  EXPECT_THAT(line(config(true)), HasSubstr(table().string() + " (0 for this device so far)"));
  EXPECT_EQ(line(config(false)), "");
  EXPECT_FALSE(fs::exists(cache()));
  Config on_cpu = config(true);
  on_cpu.run.device = "cpu";
  EXPECT_THAT(line(on_cpu), HasSubstr("nothing to choose on \"cpu\""));
}

}  // namespace
}  // namespace tarn
