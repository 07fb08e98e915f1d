// Sweeps: many networks on several laws in one run folder.
#include "tarn/experiment/sweep.hpp"

#include "experiment/run_tools.hpp"
#include "fitted_drift.hpp"
#include "sweep_point.hpp"
#include "sweep_results.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/one_dimensional.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/prepared_data.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;

const std::string tiny_sweep =
    "[run]\nname = \"tiny\"\nseed = 5\n"
    "[training]\nepochs = 30\nbatch_size = 64\n[training.noise]\nlevels = 2\nlast = 0.2\n"
    "[sampling]\nchains = 400\nsteps = 60\ndt = 0.02\n"
    "[sweep]\nneurons = [4, 32]\nseeds = 2\npoints = 500\ncells = 16\nbest_fit_points = 400\nbest_fit_starts = 2\n"
    "[[sweep.targets]]\nname = \"peaks\"\n"
    "[sweep.targets.data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0], [1.0]]\nstd = 0.5\nepoch_size = 1280\n"
    "[[sweep.targets]]\nname = \"plane\"\n"
    "[sweep.targets.data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0, 0.0], [1.0, 0.5]]\nstd = 0.5\nepoch_size = "
    "1280\n"
    "[sweep.targets.sampling]\nsteps = 40\n";

class Sweeps : public test::RunTest {};

TEST_F(Sweeps, EveryNetworkIsTrainedJudgedAndTold) {
  const RunOutcome run = run_experiment(parse_config(tiny_sweep, "tiny.toml"), {folder / "runs", 2});
  // two laws; two seeds of two sizes and two rivals, and two best fits
  const auto lines = test::lines_of(test::read_text(run.folder / "points.csv"));
  EXPECT_EQ(lines.size(), 1U + 2 * (2 * (2 + 2) + 2));
  EXPECT_THAT(lines[0], HasSubstr("law,model,best_fit,neurons,seed,score_error"));
  const auto value = [&](const std::string& name) {
    for (const Metric& m : run.metrics) {
      if (m.name == name) return m.value;
    }
    ADD_FAILURE() << name << " is missing";
    return 0.0;
  };
  for (const std::string law : {"peaks", "plane"}) {
    SCOPED_TRACE(law);
    // 600 steps make no good network, but one that knows the law; a straight line has 2 or so on the peaks
    EXPECT_LT(value("score_error_" + law + "_reservoir_sampler_N32"), value("score_error_" + law + "_sampler_only_sc"));
    EXPECT_TRUE(std::isfinite(value("kl_" + law + "_reservoir_sampler_N4")));
    EXPECT_TRUE(std::isfinite(value("kl_" + law + "_sampler_only_fr_best_fit")));
  }
  // on the line both are judged by quadrature, so that no trained network is better than the best of its class
  for (const std::string kind : {"sampler_only_sc", "sampler_only_fr"})
    EXPECT_LE(value("score_error_peaks_" + kind + "_best_fit"), 1.001 * value("score_error_peaks_" + kind));
  EXPECT_TRUE(std::filesystem::exists(run.folder / "DONE"));
  EXPECT_TRUE(std::filesystem::exists(run.folder / "points" / "plane-reservoir_sampler-N00032-seed6.safetensors"));
  EXPECT_THAT(test::read_text(run.folder / "report.html"), HasSubstr("best fit"));
  // the config of the folder runs again as it is
  const RunOutcome again = run_experiment(load_config((run.folder / "config.toml").string()), {folder / "again", 1});
  test::expect_same_files(run.folder, again.folder,
                          {"config.toml", "report.json"});  // these say what a recipe filled in
  EXPECT_THROW(load_run(run.folder), UsageError);
  EXPECT_THROW(run_seeds(parse_config(tiny_sweep, "tiny.toml"), {folder / "runs", 2}, 2), UsageError);
}

TEST_F(Sweeps, WhatWasBrokenOffGoesOnToTheSameBytes) {
  const RunOutcome whole = run_experiment(parse_config(tiny_sweep, "tiny.toml"), {folder / "runs", 2});
  const test::fs::path broken = folder / "broken";
  test::fs::copy(whole.folder, broken, test::fs::copy_options::recursive);
  for (const char* file : {"DONE", "report.html", "metrics.jsonl", "points.csv"}) test::fs::remove(broken / file);
  test::fs::remove_all(broken / "figures");
  // a kill in the middle of a network: its weights may be there, its figures are not
  for (const char* point :
       {"plane-reservoir_sampler-N00032-seed6", "plane-best_fit-sampler_only_fr", "peaks-sampler_only_fr-N00001-seed6"})
    test::fs::remove(broken / "points" / (std::string(point) + ".json"));
  const auto backend = make_cpu_backend(2);
  Checkpoints(broken / "checkpoints", {}, checkpoint_facts(*backend, "sweep")).save({}, "begin");
  resume_experiment(broken, {});
  test::expect_same_files(whole.folder, broken);
  EXPECT_THROW(resume_experiment(broken, {}), UsageError) << "finished";

  test::fs::remove(broken / "DONE");
  EXPECT_THROW(resume_experiment(broken, {}), Error) << "no checkpoint";
  Checkpoints(broken / "checkpoints", {}, checkpoint_facts(*backend, "sweep")).save({}, "begin");
  test::write_text(broken / "points" / "plane-best_fit-sampler_only_fr.json", "{\"kl\": 1}");
  try {
    resume_experiment(broken, {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("not a point of a sweep"));
  }
}

TEST(SweepConfig, TargetsTakeWhatTheySayAndShareTheRest) {
  Config config = parse_config(tiny_sweep, "tiny.toml", {"training.epochs=7", "sweep.seeds=3", "run.seed=9"});
  ASSERT_EQ(config.targets.size(), 2U);
  EXPECT_TRUE(is_sweep(config));
  EXPECT_EQ(config.sweep.seeds, 3);
  EXPECT_EQ(config.targets[0].run.name, "peaks");
  EXPECT_EQ(config.targets[1].run.seed, 9U);
  EXPECT_EQ(config.targets[0].sampling.steps, 60);
  EXPECT_EQ(config.targets[1].sampling.steps, 40);
  EXPECT_EQ(config.targets[1].training.epochs, 7);
  EXPECT_EQ(config.targets[0].data.scaling, "none");
  EXPECT_EQ(config.targets[0].sampling.schedule, "last_level");
  EXPECT_FALSE(sweep_plan(config, {}).empty());
  for (Config& target : config.targets) resolve(target, facts_of(prepare_data(target)));
  Config again = parse_config(to_toml(config), "again.toml");
  EXPECT_EQ(again, config);
  again.sweep.seeds = 4;
  EXPECT_NE(again, config);
  again = config;
  again.targets[1].training.epochs = 8;
  EXPECT_NE(again, config);
}

TEST(SweepConfig, MistakesAreNamedWithTheirLine) {
  const auto message = [](const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
      parse_config(text, "s.toml", overrides);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const std::string target = "[[sweep.targets]]\nname = \"a\"\n[sweep.targets.data]\nkind = \"two_moons\"\n";
  EXPECT_EQ(message(target), "no error");
  EXPECT_THAT(message(target + "nois = 0.1\n"), HasSubstr("s.toml:5: unknown key data.nois"));
  EXPECT_THAT(message(target + target), HasSubstr("two targets are called a"));
  EXPECT_THAT(message("[sweep]\nseeds = 3\n[data]\nkind = \"two_moons\"\n"), HasSubstr("without [[sweep.targets]]"));
  EXPECT_THAT(message("[[sweep.targets]]\n[sweep.targets.data]\nkind = \"ring\"\n"), HasSubstr("needs a name"));
  EXPECT_THAT(message("[sweep]\ntargets = 3\n"), HasSubstr("one [[sweep.targets]] table a law"));
  EXPECT_THAT(message(target + "scaling = \"auto\"\n"), HasSubstr("allowed: none"));
  EXPECT_THAT(message(target + "[sweep.targets.run]\nseed = 1\n"), HasSubstr("belongs to the whole sweep"));
  EXPECT_THAT(message(target + "[sweep.targets.sampling]\nschedule = \"annealed\"\n"), HasSubstr("last_level"));
  EXPECT_THAT(message(target, {"sweep.cells=100"}), HasSubstr("not a power of two"));
  EXPECT_THAT(message(target, {"sweep.rivals=[\"hee\"]"}), HasSubstr("sampler_only_sc"));
  EXPECT_THAT(message(target, {"model.kind=sampler_only_fr"}), HasSubstr("sweep.rivals"));
}

TEST(SweepResults, NothingIsAveragedAway) {
  const double nan = std::nan("");
  EXPECT_EQ(spread_of({3.0, 1.0, 2.0}).median, 2.0);
  EXPECT_EQ(spread_of({4.0, 1.0}).median, 2.5);
  EXPECT_EQ(spread_of({4.0, 1.0, HUGE_VAL}).high, HUGE_VAL);
  EXPECT_TRUE(std::isnan(spread_of({1.0, nan, 2.0}).median));
  EXPECT_TRUE(std::isnan(spread_of({}).low));
}

TEST(FittedDrift, RunsAsTheFitSays) {
  constexpr std::int64_t D = 3;
  Matrix<float> noise(1, 64), points(40, D);
  fill_normals(31, Stream::evaluation, 0, 0, 1, noise.view());
  fill_normals(32, Stream::evaluation, 0, 0, 1, points.view());
  SynapticFit sc{Nonlinearity::relu, Matrix<double>(2 * D + 1, D), 0.0};
  for (std::int64_t i = 0; i < sc.coefficients.size(); ++i) sc.coefficients.data()[i] = noise(0, i);
  for (std::int64_t j = 0; j < D; ++j) sc.coefficients(D + 1 + j, j) -= 3.0;
  RateFit fr{Nonlinearity::tanh, Matrix<double>(D, D), {0.1, -0.2, 0.3}, Matrix<double>(D, D), 0.0, 0, 0};
  for (std::int64_t i = 0; i < D * D; ++i) {
    fr.W.data()[i] = noise(0, 30 + i);
    fr.M.data()[i] = noise(0, 45 + i);
  }
  const auto backend = make_cpu_backend(1);
  Matrix<double> x(points.rows(), D);
  std::copy_n(points.data(), points.size(), x.data());
  const auto check = [&](const NetworkView& view, const Matrix<double>& expected) {
    Matrix<float> found(points.rows(), D);
    const auto prepared = backend->prepare(view);
    backend->drift(*prepared, points.view(), found.view());
    for (std::int64_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found.data()[i], expected.data()[i], 2e-5);
  };
  const auto drift = fitted_drift(sc);
  ASSERT_TRUE(drift);
  check(drift->view(), sc.drift(x.view()));
  const FittedDrift rates = fitted_drift(fr);
  check(rates.view(), fr.drift(x.view()));
  for (std::int64_t j = 0; j < D; ++j) sc.coefficients(D + 1, j) = 0.0;  // x_0 has no part in it
  EXPECT_FALSE(fitted_drift(sc));
}

}  // namespace
}  // namespace tarn
