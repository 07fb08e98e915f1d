#include "tarn/experiment/evaluate_run.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "linear_network.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

using test::RunTest;
namespace fs = std::filesystem;

class EvaluateRun : public RunTest {
 protected:
  // Rows in 12 dimensions of falling variance, around 3.
  Matrix<float> cloud(std::int64_t n, std::uint64_t seed) const {
    Matrix<float> x(n, 12);
    fill_normals(seed, Stream::evaluation, 0, 0, 1, x.view());
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t d = 0; d < 12; ++d) x(i, d) = 3.0f + x(i, d) / static_cast<float>(1 + d);
    }
    return x;
  }
  RunOutcome run_cloud(const std::string& more) {
    write_npy(folder / "cloud.npy", cloud(600, 1).view());
    const std::string text =
        "[run]\nname = \"cloud\"\n[data]\nkind = \"npy\"\npath = \"" + (folder / "cloud.npy").string() + "\"\n" + more +
        "[model]\nneurons = 64\n[training]\nepochs = 40\nbatch_size = 60\n[training.noise]\nlevels = 4\n"
        "[sampling]\nchains = 150\n";
    return run_experiment(parse_config(text, "cloud.toml"), {folder / "runs", 2});
  }
};

std::vector<std::string> evaluation_lines(const fs::path& run) {
  std::vector<std::string> lines = test::lines_of(test::read_text(run / "metrics.jsonl"));
  std::erase_if(lines, [](const std::string& line) { return line.find("\"evaluation\"") == std::string::npos; });
  return lines;
}

const Metric* find(const std::vector<Metric>& metrics, const std::string& name) {
  const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const Metric& m) { return m.name == name; });
  return found == metrics.end() ? nullptr : &*found;
}

// Thirty draws a chain: enough to say whether they moved, in the metrics, the report and again from the file.
TEST_F(EvaluateRun, ConvergenceOfKeptDraws) {
  const RunOutcome run =
      run_experiment(parse_config(test::tiny_peak, "peak.toml", {"sampling.thin=2"}), {folder / "runs", 2});
  const Metric* r_hat = find(run.metrics, "r_hat");
  ASSERT_NE(r_hat, nullptr);
  EXPECT_GT(r_hat->value, 1.01);  // 0.6 tau from a wide start: far from at rest
  EXPECT_NE(r_hat->note.find("100 chains of 30 draws"), std::string::npos) << r_hat->note;
  const Metric* ess = find(run.metrics, "ess_bulk");
  ASSERT_NE(ess, nullptr);
  EXPECT_GT(ess->value, 0.0);
  EXPECT_LT(ess->value, 2600.0);
  EXPECT_NE(test::read_text(run.folder / "report.html").find("Rank-normalised split R-hat"), std::string::npos);
  EXPECT_EQ(evaluation_lines(evaluate_run(run.folder).folder), evaluation_lines(run.folder));
  EXPECT_EQ(
      find(
          run_experiment(parse_config(test::tiny_peak, "peak.toml", {"sampling.thin=0"}), {folder / "runs", 2}).metrics,
          "r_hat"),
      nullptr);
}

// Score u - x exactly: x given u is a unit normal about u. Chains of two inputs lie far apart, and those of each converge.
TEST_F(EvaluateRun, ChainsAreComparedWithThoseOfTheirOwnInput) {
  Matrix<double> map(1, 2);
  map(0, 1) = 1.0;  // reads u alone
  SamplingNetwork network = test::linear_network(map);
  network.sigma = 0.1;
  save_network(folder / "exact.safetensors", network);
  Matrix<float> u(40, 1);
  for (std::int64_t i = 0; i < 40; ++i) u(i, 0) = i % 2 == 0 ? -4.0f : 4.0f;
  write_npy(folder / "u.npy", u.view());
  const std::string text =
      "[run]\nname = \"two\"\n[data]\nkind = \"gaussian_mixture\"\nmeans = [[0.0, 0.0]]\nstd = 1.0\ninputs = "
      "1\nepoch_size = 100\n"
      "scaling = \"none\"\n[model]\nneurons = 2\n[training]\nepochs = 1\nbatch_size = 100\ninit = \"" +
      (folder / "exact.safetensors").string() +
      "\"\n[training.optimizer]\nlr = 1e-12\n[training.noise]\nlevels = 1\n"
      "[sampling]\nschedule = \"last_level\"\nchains = 40\nburn_in = 100\nsteps = 4000\nthin = 20\ndt = 0.05\nuntil = "
      "\"rhat < 1.0001\"\n"
      "condition = \"" +
      (folder / "u.npy").string() + "\"\n";
  const RunOutcome run = run_experiment(parse_config(text, "two.toml"), {folder / "runs", 2});
  const Metric *r_hat = find(run.metrics, "r_hat"), *ess = find(run.metrics, "ess_bulk");
  ASSERT_TRUE(r_hat && ess);
  EXPECT_LT(r_hat->value, 1.02) << "40 chains together give 4";
  EXPECT_NE(r_hat->note.find("over 2 inputs"), std::string::npos) << r_hat->note;
  EXPECT_GT(ess->value, 100.0);
  EXPECT_LT(ess->value, 4000.0) << "of one input's chains, not of all";
  const std::string report = test::read_text(run.folder / "report.html");
  EXPECT_NE(report.find("chains have inputs of their own"), std::string::npos) << "why the rule did not hold";
  // Euler-Maruyama on a unit well: 1 / (1 - dt/2) with dt = 0.05 and half of it differ by 0.0128.
  const Metric* step = find(run.metrics, "half_step_spread");
  ASSERT_NE(step, nullptr);
  EXPECT_GT(step->value, 0.0);
  EXPECT_NE(report.find("Step dt against dt/2"), std::string::npos);
}

// The same figures of merit to the last digit, and nothing that the run wrote is touched.
TEST_F(EvaluateRun, AgainGivesTheSame) {
  const RunOutcome run = run_experiment(parse_config(test::tiny_peak, "peak.toml"), {folder / "runs", 2});
  const auto before = test::files_below(run.folder);
  const EvaluatedRun again = evaluate_run(run.folder);
  EXPECT_EQ(again.folder, run.folder / "evaluation-1");
  EXPECT_EQ(evaluation_lines(again.folder), evaluation_lines(run.folder));
  EXPECT_FALSE(evaluation_lines(again.folder).empty());
  EXPECT_TRUE(fs::exists(again.folder / "report.html"));
  for (const auto& [name, bytes] : before) EXPECT_EQ(test::read_text(run.folder / name), bytes) << name;
  EXPECT_EQ(evaluate_run(run.folder).folder, run.folder / "evaluation-2");
}

TEST_F(EvaluateRun, AgainstAFileInItsOwnComponents) {
  const RunOutcome run = run_cloud("");
  write_npy(folder / "more.npy", cloud(900, 2).view());
  fs::remove(folder / "cloud.npy");  // the file takes the place of the run's data
  const EvaluatedRun judged = evaluate_run(run.folder, {folder / "more.npy", {}, 2});
  for (const char* name : {"mean_0", "variance_7", "w1_3", "frechet_pca_space", "frechet_pca_space_gaussian",
                           "sliced_w2_pca_space", "sliced_w2_pca_space_gaussian"}) {
    ASSERT_NE(find(judged.metrics, name), nullptr) << name;
    EXPECT_TRUE(std::isfinite(find(judged.metrics, name)->value)) << name;
  }
  EXPECT_EQ(find(judged.metrics, "mean_8"), nullptr);
  // The cloud is a Gaussian, so one Gaussian reaches the floor: real against real at 150 rows.
  const Metric& gaussian = *find(judged.metrics, "frechet_pca_space_gaussian");
  EXPECT_LT(gaussian.value, gaussian.floor + 8.0 * gaussian.floor_deviation);
  EXPECT_GT(gaussian.value, 0.0);
}

// In the run's own PCA space and the units of the data: moving the file by two along x_0, which is the first component but for a
// hundredth, adds |2 e_0|^2 - 2 (2 e_0) . (mean of draws - mean of file) to the Frechet distance, whatever the network is worth.
TEST_F(EvaluateRun, AgainstAFileInTheRunsComponents) {
  const RunOutcome run = run_cloud("[filter]\nkind = \"pca\"\ncomponents = 5\n");
  Matrix<float> moved = cloud(900, 2);
  write_npy(folder / "same.npy", moved.view());
  double mean = 0.0;
  for (std::int64_t i = 0; i < moved.rows(); ++i) {
    mean += moved(i, 0) / 900.0;
    moved(i, 0) += 2.0f;
  }
  write_npy(folder / "moved.npy", moved.view());
  const EvaluatedRun same = evaluate_run(run.folder, {folder / "same.npy", {}, 2});
  const EvaluatedRun away = evaluate_run(run.folder, {folder / "moved.npy", {}, 2});
  const double added = find(away.metrics, "frechet_pca_space")->value - find(same.metrics, "frechet_pca_space")->value;
  EXPECT_NEAR(added, 4.0 - 4.0 * (find(same.metrics, "mean_0")->value - mean), 0.1);
}

TEST_F(EvaluateRun, WhatDoesNotFitIsRefused) {
  const RunOutcome run = run_cloud("");
  write_npy(folder / "narrow.npy", Matrix<float>(10, 3).view());
  write_npy(folder / "short.npy", cloud(3, 1).view());
  Matrix<float> holes = cloud(10, 1);
  holes(4, 4) = std::nanf("");
  write_npy(folder / "holes.npy", holes.view());
  const auto message = [&](const std::string& name) -> std::string {
    try {
      evaluate_run(run.folder, {folder / name, {}, 1});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message("narrow.npy"), testing::HasSubstr("narrow.npy: has 3 columns, the run's data have 12"));
  EXPECT_THAT(message("short.npy"), testing::HasSubstr("short.npy: has 3 rows"));
  EXPECT_THAT(message("holes.npy"), testing::HasSubstr("holes.npy: row 4 holds nan"));
  EXPECT_FALSE(fs::exists(run.folder / "evaluation-1")) << "nothing half-written";
}

}  // namespace
}  // namespace tarn
