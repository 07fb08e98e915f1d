// Whole runs in the plane, judged. The network is given the exact score of the law (relu(z) - relu(-z) = z, and a Gaussian's
// score is linear) and a learning rate that changes no weight, so that what comes out is known.
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "linear_network.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

using test::RunTest;
namespace fs = std::filesystem;

// N(0, C), C = [[1, .9], [.9, 1]] smoothed by 0.01: W_out W_in = I - C^-1.
SamplingNetwork exact_gaussian() {
  const double v = 1.0001, determinant = v * v - 0.81;
  Matrix<double> map(2, 2);
  map(0, 0) = map(1, 1) = 1.0 - v / determinant;
  map(0, 1) = map(1, 0) = 0.9 / determinant;
  SamplingNetwork n = test::linear_network(map);
  n.sigma = 0.01;
  return n;
}

std::string config_text(const fs::path& weights) {
  return "[run]\nname = \"plane\"\nseed = 6\n"
         "[data]\nkind = \"gaussian_mixture\"\nmeans = [[0.0, 0.0]]\ncovariances = [[[1.0, 0.9], [0.9, 1.0]]]\n"
         "epoch_size = 64\nscaling = \"none\"\n[model]\nneurons = 4\n"
         "[training]\nepochs = 1\nbatch_size = 64\ninit = \"" +
         weights.string() +
         "\"\n[training.noise]\nschedule = \"single\"\nlast = 0.01\n"
         "[training.optimizer]\nlr = 1e-20\n[training.quality]\nconfinement = 0\n"
         "[sampling]\nschedule = \"last_level\"\nchains = 1000\nsteps = 250\nthin = 0\ndt = 0.02\n"
         "[sampling.initial]\nkind = \"data\"\n"
         "[evaluation]\naccelerate = [2.8284271247461903]\naccelerate_time = 25.0\naccelerate_chains = 200\n";
}

std::map<std::string, nlohmann::json> metrics_of(const fs::path& run) {
  std::map<std::string, nlohmann::json> metrics;
  for (const std::string& line : test::lines_of(test::read_text(run / "metrics.jsonl"))) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.value("kind", "") == "evaluation") metrics[entry.at("name")] = entry;
  }
  return metrics;
}

// Every floor of ten replicates has a spread of its own; eight of its deviations above it is a false alarm of about 1e-4 at most
// under Student's law with nine degrees, and the steps of 0.02 shift a variance of 0.1 by 10 %.
TEST_F(RunTest, ExactScoreReachesTheFloors) {
  const fs::path weights = folder / "exact.safetensors";
  save_network(weights, exact_gaussian());
  const RunOutcome run = run_experiment(parse_config(config_text(weights), "plane.toml"), {folder / "runs", 2});
  auto metrics = metrics_of(run.folder);
  for (const std::string law : {"smoothed", "data"}) {
    for (const std::string direction : {"x0", "x1", "plus45", "minus45"}) {
      const auto& m = metrics.at("w1_" + law + "_" + direction);
      EXPECT_LT(m.at("value"), m.at("floor").get<double>() + 8.0 * m.at("floor_deviation").get<double>() + 0.01)
          << law << direction;
    }
    const auto& m = metrics.at("sliced_w2_" + law);
    EXPECT_LT(m.at("value"), m.at("floor").get<double>() + 8.0 * m.at("floor_deviation").get<double>() + 0.01);
  }
  // along (1, 1) the law is wide: its two arms hold nearly all that is not in the core
  EXPECT_GT(metrics.at("arm_plus45").at("value"), 0.15);
  EXPECT_LT(metrics.at("arm_minus45").at("value"), 0.05);
  for (const std::string arm : {"arm_plus45", "arm_plus135", "arm_minus135", "arm_minus45"}) {
    const auto& m = metrics.at(arm);
    EXPECT_NEAR(m.at("value"), m.at("floor").get<double>(), 6.0 * m.at("floor_deviation").get<double>() + 0.01) << arm;
  }
  EXPECT_NEAR(metrics.at("quantile_90_plus45").at("value"), 1.2816 * std::sqrt(1.9), 0.25);
  EXPECT_LT(metrics.at("excess_kurtosis_x0").at("low"), metrics.at("excess_kurtosis_x0").at("high"));

  // 2 (C (I + J)^-1 C)_22 / C_22 = 3.62 / (1 + g^2) with g = 2; 200 chains of 1250 draws: standard errors of 11 % and 5 %.
  EXPECT_NEAR(metrics.at("autocorrelation_time_x1_c0").at("value"), 3.62, 5 * 0.11 * 3.62);
  EXPECT_NEAR(metrics.at("autocorrelation_time_x1_c2.83").at("value"), 3.62 / 5.0, 5 * 0.05 * 3.62 / 5.0 + 0.02);
  // exact score, so no shift: a second moment of 1000 draws, 1.9 (1 +- 5 sqrt(2/1000))
  EXPECT_NEAR(metrics.at("second_moment_plus45_c2.83").at("value"), 1.9, 1.9 * 5.0 * std::sqrt(2.0 / 1000.0) + 0.08);
  EXPECT_TRUE(metrics.contains("w1_plus45_c0") && metrics.contains("w1_plus45_c2.83"));
  if (std::system("gnuplot --version > /dev/null 2>&1") == 0) {
    EXPECT_TRUE(fs::exists(run.folder / "figures/planar_density.svg"));
    EXPECT_TRUE(fs::exists(run.folder / "figures/distance_over_time.svg"));
  }
}

TEST_F(RunTest, AccelerationNeedsAKnownLawInThePlane) {
  const std::string peak = test::tiny_peak + "[evaluation]\naccelerate = [1.0]\n";
  try {
    run_experiment(parse_config(peak, "peak.toml"), {folder / "runs", 1});
    FAIL() << "no error";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("evaluation.accelerate"));
    EXPECT_THAT(error.what(), testing::HasSubstr("D = 1"));
  }
  EXPECT_FALSE(fs::exists(folder / "runs"));
}

}  // namespace
}  // namespace tarn
