// The command line: exit codes, one-line errors, what goes to stdout and stderr, and that nothing old is written over.
#include <cmath>

#include "cli/program.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

using test::files_below;
using test::lines_of;
using test::Outcome;
using test::read_text;
using testing::HasSubstr;
using testing::MatchesRegex;
namespace fs = std::filesystem;

class Cli : public test::Program {
 protected:
  Cli() { test::write_text(folder / "tiny.toml", test::tiny_peak); }

  /// Runs the tiny experiment; its folder, from the scratch folder.
  std::string run_tiny(const std::string& more = "") const { return run("tiny.toml", more); }
  static std::string zeros(int n) {
    std::string text = "0";
    for (int i = 1; i < n; ++i) text += ",0";
    return text;
  }
};

TEST_F(Cli, SaysWhatItIs) {
  const Outcome version = tarn("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, testing::StartsWith("tarn "));
  const Outcome help = tarn("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* command :
       {"run", "sample", "score", "evaluate", "inspect", "import", "export", "merge", "devices", "check"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
  }
  const Outcome devices = tarn("devices");
  EXPECT_EQ(devices.code, 0);
  EXPECT_THAT(devices.out, testing::StartsWith("cpu "));
  EXPECT_EQ(devices.err, "");
}

TEST_F(Cli, WrongUsageExitsWithTwo) {
  for (const char* arguments : {"", "fly", "run", "run tiny.toml --fast", "sample", "score tiny.toml",
                                "run tiny.toml --threads -1", "run tiny.toml --threads many", "inspect a b"}) {
    expect_refused(arguments, 2, "");
  }
  test::write_text(folder / "bad.toml", test::tiny_peak + "epoch = 3\n");
  expect_refused("check bad.toml", 2, "unknown key sampling.epoch; did you mean");
  expect_refused("run bad.toml", 2, "bad.toml:");
  expect_refused("run tiny.toml --set training.epoch=3", 2, "did you mean training.epochs?");
  expect_refused("run tiny.toml --set training.epochs=-3", 2, "training.epochs");
  expect_refused("run tiny.toml --device gpu", 2, "run.device");
  expect_refused("run tiny.toml --seeds 0", 2, "--seeds");
  expect_refused("run tiny.toml --set data.inputs=1", 2, "data.inputs");
  expect_refused(
      "run tiny.toml --set model.kind=\\\"sampler_only_fr\\\" --set "
      "training.quality.output_scaling=\\\"inverse_sigma\\\"",
      2, "output_scaling");
  expect_refused("check", 2, "give a config file");
  test::write_text(folder / "broken.toml", "[data\nkind=");
  expect_refused("check broken.toml", 2, "broken.toml:1");
  EXPECT_FALSE(fs::exists(folder / "runs")) << "a refused run leaves nothing behind";
}

TEST_F(Cli, EvaluateJudgesAFinishedRunAgain) {
  const std::string run = run_tiny();
  expect_fine("-q evaluate " + run + " --threads 1");
  EXPECT_TRUE(fs::exists(folder / run / "evaluation-1/report.html"));
  expect_refused("evaluate nothing", 1, "nothing: no such run folder");
  expect_refused("-q evaluate " + run + " --against nothing.npy", 1, "nothing.npy");
  expect_refused("evaluate", 2, "run is required");
  fs::remove(folder / run / "samples.nc");
  expect_refused("-q evaluate " + run, 1, "samples.nc: missing");
  EXPECT_FALSE(fs::exists(folder / run / "evaluation-2")) << "a refusal leaves nothing behind";
}

TEST_F(Cli, FailuresExitWithOneOrTwoAndOneLine) {
  for (const char* arguments : {"run nothing.toml", "check nothing.toml"}) {
    const Outcome outcome = tarn(arguments);
    EXPECT_NE(outcome.code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("nothing.toml"));
    EXPECT_EQ(lines_of(outcome.err).size(), 1u);
  }
  expect_refused("run tiny.toml --device cuda:99", 1, "device \"cuda:99\"");
  expect_refused("run tiny.toml --device cpu --profile", 2, "GPU profiler");
  expect_refused("sample nothing --chains 3", 1, "nothing");
  expect_refused("inspect nothing.npy", 1, "nothing.npy");
  expect_refused("score nothing.safetensors --at p.npy --out s.npy", 1, "nothing.safetensors");
  expect_refused("merge nothing --out m.nc", 1, "nothing");
  test::write_text(folder / "torn.safetensors", "0123456789");
  expect_refused("inspect torn.safetensors", 1, "torn.safetensors");
  expect_refused("import torn.safetensors --out m.safetensors", 1, "torn.safetensors");
  expect_refused("run tiny.toml --out tiny.toml", 1, "tiny.toml");
  test::write_text(folder / "set.toml", "[data]\nkind = \"npy\"\n");
  expect_refused("run set.toml", 2, "data.path");
  EXPECT_FALSE(fs::exists(folder / "runs"));
  EXPECT_FALSE(fs::exists(folder / "m.safetensors"));
}

TEST_F(Cli, CheckAndDryRunOnlyLook) {
  const Outcome check = tarn("check tiny.toml --set run.seed=4");
  EXPECT_EQ(check.code, 0);
  EXPECT_THAT(check.out, MatchesRegex("tiny.toml: fine \\([0-9]+ keys given\\)\n"));
  const Outcome doc = tarn("check --doc");
  EXPECT_EQ(doc.out, read_text(fs::path(TARN_TEST_DATA) / ".." / ".." / "docs" / "config.md"))
      << "docs/config.md is tarn check --doc";
  const Outcome plan = tarn("run tiny.toml --dry-run");
  EXPECT_EQ(plan.code, 0);
  EXPECT_THAT(plan.out, HasSubstr("training: 300 steps"));
  EXPECT_EQ(files_below(folder).size(), 1u) << "nothing but tiny.toml";
}

TEST_F(Cli, ARunNeverWritesOverAnother) {
  expect_fine("-q run tiny.toml");
  const auto before = files_below(folder / "runs");
  ASSERT_FALSE(before.empty());
  const Outcome again = tarn("run tiny.toml");
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, "") << "the log is on stderr";
  EXPECT_THAT(again.err, HasSubstr("the report is"));
  const auto after = files_below(folder / "runs");
  EXPECT_EQ(after.size(), 2 * before.size());
  for (const auto& [name, bytes] : before) EXPECT_TRUE(after.at(name) == bytes) << name;
  const Outcome quiet = tarn("-q run tiny.toml");
  EXPECT_EQ(quiet.out, "");
  EXPECT_EQ(quiet.err, "");
}

TEST_F(Cli, TheStoredConfigRunsAgain) {
  const std::string run = run_tiny();
  fs::copy_file(folder / run / "config.toml", folder / "again.toml");
  expect_fine("-q run again.toml --threads 2 --out again");
  for (const auto& entry : fs::directory_iterator(folder / "again"))
    test::expect_same_files(folder / run, entry.path(),
                            {"config.toml", "report.json"});  // "recommended" became "given"
}

TEST_F(Cli, PartsOfASampleMergeToTheWhole) {
  const std::string run = run_tiny();
  expect_fine("-q sample " + run + " --out whole");
  // sampling once more is the run's own sampling
  test::expect_same_draws(folder / "whole" / "samples.nc", folder / run / "samples.nc");
  expect_fine("-q sample " + run + " --chain-range 0:50 --out a --threads 1");
  expect_fine("-q sample " + run + " --chain-range 50:100 --out b --threads 2");
  EXPECT_FALSE(fs::exists(folder / "a" / "samples.nc"));
  expect_refused("merge a --out part.nc", 1, "chain");
  expect_fine("-q merge b a --out merged.nc");
  test::expect_same_draws(folder / "merged.nc", folder / "whole" / "samples.nc");
  expect_refused("merge a b --out merged.nc", 1, "exists");
  expect_refused("merge a a b --out twice.nc", 1, "chain");

  for (const char* range :
       {"nonsense", "5", "5:5", "7:3", "-1:5", "0:101", "0:5x", ":5", "5:", "0:99999999999999999999"}) {
    expect_refused("sample " + run + " --out c --chain-range=" + range, 2, "chain");
  }
  EXPECT_FALSE(fs::exists(folder / "c")) << "refused before a folder is made";
  expect_refused("sample " + run + " --out a", 1, "not empty");
  expect_refused("sample " + run + " --out c --device cuda:99", 1, "device \"cuda:99\"");
  expect_refused("sample " + run + " --out c --record spikes", 2, "spikes not in {reservoir}");
}

TEST_F(Cli, SampleTakesItsOptions) {
  const std::string run = run_tiny("--set sampling.schedule=\\\"annealed\\\"");
  expect_fine("-q sample " + run + " --chains 30 --steps 40 --dt 0.002 --thin 10 --burn-in 5 --seed 9 --out draws");
  const DrawReader draws(folder / "draws" / "samples.nc");
  EXPECT_EQ(draws.n_chains(), 30);
  EXPECT_EQ(draws.steps(), (std::vector<std::int64_t>{15, 25, 35, 45}));
  EXPECT_NEAR(draws.times()[3], 0.09, 1e-6);
  const Config config = load_config((folder / "draws" / "config.toml").string());
  EXPECT_EQ(config.sampling.schedule, "last_level");
  EXPECT_EQ(config.run.seed, 9u);
  // activity, and weights alone
  expect_fine("-q sample " + run + " --steps 10 --record reservoir --record-neurons random:4 --out activity");
  expect_fine("-q sample " + run + "/weights.safetensors --chains 7 --steps 10 --dt 0.01 --out alone");
  EXPECT_EQ(DrawReader(folder / "alone" / "samples.nc").n_chains(), 7);
  // a name of its own where none is given
  expect_fine("-q sample " + run);
  expect_fine("-q sample " + run);
  EXPECT_TRUE(fs::exists(folder / run / "samples-tiny-1" / "samples.nc"));
  EXPECT_TRUE(fs::exists(folder / run / "samples-tiny-2" / "samples.nc"));
  Matrix<float> u(100, 1);
  write_npy(folder / "u.npy", u.view());
  expect_refused("sample " + run + " --condition u.npy --out d", 2, "takes no inputs");
}

TEST_F(Cli, ScoreExportAndImportAgree) {
  const std::string run = run_tiny();
  Matrix<float> points(41, 1);
  for (std::int64_t i = 0; i < 41; ++i) points(i, 0) = 0.1f * static_cast<float>(i) - 2.0f;
  write_npy(folder / "points.npy", points.view());
  expect_fine("score " + run + " --at points.npy --out from_run.npy");
  expect_fine("-q export " + run + " --out weights.npz");
  expect_refused("export " + run + " --out weights.npz", 1, "exists");
  expect_fine("-q import weights.npz --nonlinearity relu --out weights.safetensors");
  expect_refused("import weights.npz --out other.safetensors", 2, "nonlinearity");
  expect_refused("import weights.npz --nonlinearity rlu --out other.safetensors", 2, "relu");
  expect_fine("score weights.npz --nonlinearity relu --at points.npy --out from_npz.npy");
  expect_fine("score weights.safetensors --at points.npy --out from_safetensors.npy");
  expect_fine("score " + run + " --level 2 --at points.npy --out last.npy");
  expect_fine("score " + run + " --level 0 --at points.npy --out first.npy");
  const std::string score = read_text(folder / "from_run.npy");
  for (const char* same : {"from_npz.npy", "from_safetensors.npy", "last.npy"})
    EXPECT_TRUE(read_text(folder / same) == score) << same;
  EXPECT_FALSE(read_text(folder / "first.npy") == score);
  expect_refused("score " + run + " --level 3 --at points.npy --out no.npy", 2, "levels 0 to 2");
  Matrix<float> wide(3, 2);
  write_npy(folder / "wide.npy", wide.view());
  expect_refused("score " + run + " --at wide.npy --out no.npy", 1, "column");
  EXPECT_FALSE(fs::exists(folder / "no.npy"));

  // the score is that of the data's own units: it falls from positive to negative over each peak at +-1
  const Matrix<float> s = read_npy_matrix(folder / "from_run.npy");
  EXPECT_GT(s(0, 0), 0.0f);
  EXPECT_LT(s(40, 0), 0.0f);
}

TEST_F(Cli, InspectLooksIntoEveryKindOfFile) {
  const std::string run = run_tiny();
  expect_fine("-q export " + run + " --out weights.npz");
  Matrix<float> points(3, 2);
  write_npy(folder / "points.npy", points.view());
  const auto shows = [&](const std::string& file, const std::vector<std::string>& parts) {
    const Outcome outcome = tarn("inspect " + file);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const std::string& part : parts) EXPECT_THAT(outcome.out, HasSubstr(part));
  };
  shows(run, {"32 neurons", "3 noise levels kept, finished"});
  shows(run + "/weights.safetensors", {"W_in", "[32, 1]", "nonlinearity", "relu"});
  shows(run + "/samples.nc", {"100 chains, 3 draws, D = 1", "0 chains quarantined", "variance"});
  shows("weights.npz", {"W_out", "[1, 32]"});
  shows("points.npy", {"[3, 2]"});
  expect_refused("inspect tiny.toml", 2, "inspect knows");
  expect_refused("inspect runs0", 1, "not a run folder");
}

TEST_F(Cli, ARunKilledAtRandomMomentsEndsWithTheSameBytes) {
  const struct {
    const char* what;
    std::string set;
  } cases[] = {
      {"recommended", ""},
      {"annealed", "--set sampling.schedule=\\\"annealed\\\" --set training.optimizer.amsgrad=true"},
      {"sampler only",
       "--set model.neurons=1 --set model.kind=\\\"sampler_only_fr\\\" --set "
       "sampling.integrator=\\\"leimkuhler_matthews\\\""},
      {"matrix products",
       "--set data.means=[[" + zeros(19) + ",1],[" + zeros(19) + ",-1]] --set sampling.record.reservoir=true"},
  };
  for (const auto& [what, set] : cases) {
    const Outcome outcome = tarn("-q verify-resume tiny.toml --kills 3 " + set);
    EXPECT_EQ(outcome.code, 0) << what << "\n" << outcome.err;
    EXPECT_THAT(outcome.out, MatchesRegex("tiny.toml: killed [0-9]+ times .*the same bytes in every file\n")) << what;
  }
  // filters come from the run folder, they are not fitted again
  Matrix<float> rows(300, 24);
  fill_normals(3, Stream::evaluation, 0, 0, 1, rows);
  for (std::int64_t i = 0; i < rows.size(); ++i) rows.data()[i] *= static_cast<float>(1 + i % 24);
  write_npy(folder / "rows.npy", rows.view());
  for (const std::string filter : {"pca", "autoencoder"}) {
    test::write_text(folder / "set.toml",
                     "[data]\nkind = \"npy\"\npath = \"rows.npy\"\n[filter]\nkind = \"" + filter +
                         "\"\ncomponents = 18\n[model]\nneurons = 30\n[training]\nepochs = 10\n"
                         "batch_size = 32\n[training.noise]\nlevels = 3\n[sampling]\nchains = 40\n");
    const Outcome outcome = tarn("-q verify-resume set.toml --kills 3");
    EXPECT_EQ(outcome.code, 0) << filter << "\n" << outcome.err;
  }
  const Outcome nothing = tarn("verify-resume nothing.toml");
  EXPECT_EQ(nothing.code, 1);
  EXPECT_THAT(nothing.err, HasSubstr("the unbroken run ended with exit code 2"));
}

// Particles of contrastive divergence and their optimiser, and a study of several models point by point.
TEST_F(Cli, RivalsKilledAtRandomMomentsEndWithTheSameBytes) {
  Matrix<float> rows(400, 3);
  fill_normals(3, Stream::evaluation, 0, 0, 1, rows);
  write_npy(folder / "rows.npy", rows.view());
  const std::string data = "[data]\nkind = \"npy\"\npath = \"rows.npy\"\n",
                    likelihood =
                        "[evaluation]\nlikelihood_data = 20\nlikelihood_chains = 8\nlikelihood_temperatures = 10\n";
  for (const std::string kind : {"rbm", "ebm"}) {
    test::write_text(folder / "rival.toml", data + "[model]\nkind = \"" + kind +
                                                "\"\nneurons = 12\n[training]\nepochs = 60\nbatch_size = 40\n"
                                                "[sampling]\nchains = 50\nsteps = 3000\n" +
                                                likelihood);
    const Outcome outcome = tarn("-q verify-resume rival.toml --kills 4");
    EXPECT_EQ(outcome.code, 0) << kind << "\n" << outcome.err;
  }
  std::string study = data + likelihood +
                      "[training]\nepochs = 40\nbatch_size = 40\n[sampling]\nchains = 60\nsteps = 200\n"
                      "[sweep]\nstudy = \"learning\"\nseeds = 2\nlooks = 3\ntest_items = 100\nlevels = [0.0]\n";
  for (const std::string kind : {"rbm", "ebm"})
    study +=
        "[[sweep.targets]]\nname = \"" + kind + "\"\n[sweep.targets.model]\nkind = \"" + kind + "\"\nneurons = 12\n";
  test::write_text(folder / "study.toml", study);
  const Outcome outcome = tarn("-q verify-resume study.toml --kills 3");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

// Waits for the first checkpoint of a run that would take minutes, then sends a signal.
TEST_F(Cli, SignalsSaveAndStop) {
  const std::string run = "run tiny.toml --out long --set sampling.steps=400000000 --set checkpoint.minutes=100";
  const struct {
    const char* signal;
    int code;
  } cases[] = {{"INT", 130}, {"TERM", 143}, {"USR1", 138}};
  std::string arguments = "-q " + run;
  fs::path folder_of_run;
  int n_starts = 0;
  for (const auto& [signal, code] : cases) {
    test::write_text(folder / "script.sh",
                     "cd '" + folder.string() + "'\n'" TARN_PROGRAM "' " + arguments + " >.out 2>.err </dev/null &\n" +
                         "for i in $(seq 600); do sleep 0.1\n[ \"$(grep -hc 'steps each' long/*/log.txt)\" = " +
                         std::to_string(++n_starts) + " ] && break; done\nsleep 0.2\nkill -" + signal +
                         " $!\nwait $!\n");
    const int status = std::system(("bash '" + (folder / "script.sh").string() + "' 2>/dev/null").c_str());
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, code);
    const auto lines = lines_of(read_text(folder / ".err"));
    ASSERT_EQ(lines.size(), 1u) << read_text(folder / ".err");
    EXPECT_THAT(lines[0], HasSubstr(std::string("SIG") + signal + ": saved and stopped"));
    folder_of_run = fs::directory_iterator(folder / "long")->path();
    arguments = "-q resume long/" + folder_of_run.filename().string();
  }
  EXPECT_FALSE(fs::exists(folder_of_run / "DONE"));
  expect_refused("run long/" + folder_of_run.filename().string(), 2, "is not finished; tarn resume");
}

TEST_F(Cli, ResumeSaysWhatItCannotDo) {
  const std::string run = run_tiny();
  expect_refused("resume " + run, 2, "the run is finished; its report is");
  expect_refused("run " + run, 2, "this run is finished");
  expect_refused("resume nothing", 1, "no such run folder");
  fs::remove(folder / run / "DONE");
  expect_refused("resume " + run, 1, "holds no checkpoint");
  test::write_text(folder / run / "checkpoints" / "state-000000.safetensors", "torn");
  const Outcome torn = tarn("resume " + run);
  EXPECT_EQ(torn.code, 1);
  EXPECT_THAT(torn.err, HasSubstr("no checkpoint can be read"));
  expect_fine("-q sample " + run + " --out draws");
  expect_refused("resume draws", 2, "these draws are finished");
}

TEST_F(Cli, SeveralSeedsPrintATable) {
  const Outcome outcome = tarn("run tiny.toml --seeds 2 --threads 1");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out + outcome.err, HasSubstr("| figure of merit | median |"));
  EXPECT_TRUE(fs::exists(folder / "runs" / "tiny-seeds.md"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "runs"), fs::directory_iterator{}), 3);
}

}  // namespace
}  // namespace tarn
