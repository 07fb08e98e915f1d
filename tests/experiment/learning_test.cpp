// Learning studies: models trained and judged on their way.
#include <cmath>

#include "experiment/run_tools.hpp"
#include "learning_results.hpp"
#include "message_of.hpp"
#include "normals.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

using test::message_of;
using testing::HasSubstr;

const std::string tiny_study =
    "[run]\nname = \"tiny\"\nseed = 5\n"
    "[data]\nkind = \"npy\"\nscaling = \"none\"\n"
    "[training]\nepochs = 120\nbatch_size = 50\n"
    "[sampling]\nchains = 150\nsteps = 30\nthin = 0\n"
    "[evaluation]\nlikelihood_data = 100\nlikelihood_chains = 16\nlikelihood_temperatures = 30\n"
    "[sweep]\nstudy = \"learning\"\nseeds = 2\nlooks = 3\ntest_items = 100\nlevels = [-100.0, 100.0]\n"
    "[[sweep.targets]]\nname = \"layers\"\n[sweep.targets.model]\nkind = \"hee\"\n"
    "[[sweep.targets.model.layers]]\nfamily = \"gaussian\"\ns = 0.5\n"
    "[[sweep.targets.model.layers]]\nfamily = \"laplace\"\nsize = 3\n"
    "[sweep.targets.inference]\ndt = 0.02\nsteps = 10\n"
    "[[sweep.targets]]\nname = \"boltzmann\"\n[sweep.targets.model]\nkind = \"rbm\"\nneurons = 4\ns = 0.5\n"
    "[sweep.targets.sampling]\ndt = 0.025\n"
    "[sweep.targets.training.optimizer]\nlr = 0.01\n[sweep.targets.training.contrastive]\nparticles = 200\nsteps = 5\n"
    "[[sweep.targets]]\nname = \"energy\"\n[sweep.targets.model]\nkind = \"ebm\"\nneurons = 4\ns = 0.5\n"
    "[sweep.targets.sampling]\ndt = 0.025\n"
    "[sweep.targets.training.contrastive]\nsteps = 2\n";

class LearningStudies : public test::RunTest {
 protected:
  LearningStudies() {
    Matrix<float> x = test::normals(500, 2);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] *= 0.5f;
    for (std::int64_t i = 0; i < x.rows(); ++i) x(i, 0) += i % 2 == 0 ? 1.0f : -1.0f;
    write_npy(path, x.view());
  }
  Config config(std::vector<std::string> more = {}) const {
    more.push_back("data.path=" + path);
    return parse_config(tiny_study, "tiny.toml", more);
  }
  const std::string path = (folder / "data.npy").string();
};

double value_of(const RunOutcome& run, const std::string& name) {
  for (const Metric& metric : run.metrics) {
    if (metric.name == name) return metric.value;
  }
  ADD_FAILURE() << name << " is missing";
  return 0.0;
}

TEST_F(LearningStudies, EveryModelIsTrainedJudgedAndTold) {
  const RunOutcome run = run_experiment(config(), {folder / "runs", 1});
  const auto lines = test::lines_of(test::read_text(run.folder / "points.csv"));
  EXPECT_EQ(lines.size(), 1U + 3 * 2 * 3);
  EXPECT_THAT(lines[0], HasSubstr("model,seed,step,log_likelihood"));
  for (const std::string name : {"layers", "boltzmann", "energy"}) {
    EXPECT_TRUE(test::fs::exists(run.folder / "points" / (name + "-seed6.json")));
    EXPECT_TRUE(std::isfinite(value_of(run, "log_likelihood_" + name))) << name;
    EXPECT_TRUE(std::isfinite(value_of(run, "sliced_w2_" + name))) << name;
  }
  EXPECT_EQ(value_of(run, "diverged_boltzmann"), 0.0);
  // two wells: a mixture of Gaussians finds them, independent normals do not
  EXPECT_GT(value_of(run, "log_likelihood_boltzmann"), value_of(run, "log_likelihood_independent"));
  const std::string page = test::read_text(run.folder / "report.html");
  EXPECT_THAT(page, HasSubstr("After equal time"));
  EXPECT_THAT(page, HasSubstr("2 of 2"));
  EXPECT_TRUE(test::fs::exists(run.folder / "DONE"));
  // the config of the folder runs again as it is, all but the seconds
  const RunOutcome again = run_experiment(load_config((run.folder / "config.toml").string()), {folder / "again", 1});
  EXPECT_EQ(test::read_text(again.folder / "points.csv"), test::read_text(run.folder / "points.csv"));
  EXPECT_EQ(test::read_text(again.folder / "metrics.jsonl"), test::read_text(run.folder / "metrics.jsonl"));
}

TEST_F(LearningStudies, WhatWasBrokenOffGoesOnToTheSameBytes) {
  const RunOutcome whole = run_experiment(config({"sweep.seeds=1"}), {folder / "runs", 1});
  const test::fs::path broken = folder / "broken";
  test::fs::copy(whole.folder, broken, test::fs::copy_options::recursive);
  for (const char* file : {"DONE", "report.html", "metrics.jsonl", "points.csv"}) test::fs::remove(broken / file);
  test::fs::remove(broken / "points" / "energy-seed5.json");
  const auto backend = make_cpu_backend(1);
  Checkpoints(broken / "checkpoints", {}, checkpoint_facts(*backend, "sweep")).save({}, "begin");
  resume_experiment(broken, {});
  test::expect_same_files(whole.folder, broken, {"report.json", "figures/learning.svg", "figures/learning.png"});
  test::fs::remove(broken / "DONE");
  Checkpoints(broken / "checkpoints", {}, checkpoint_facts(*backend, "sweep")).save({}, "begin");
  test::write_text(broken / "points" / "energy-seed5.json", "{\"looks\": 1}");
  EXPECT_THAT(message_of([&] { resume_experiment(broken, {}); }), HasSubstr("not a point of a learning study"));
}

TEST_F(LearningStudies, SeedsThatDivergeAreCountedAndSaid) {
  const Config bad = config({"sweep.seeds=1"});
  Config wild = bad;
  wild.targets[2].training.optimizer.lr = 1e20;
  wild.targets[2].given["training.optimizer.lr"] = "test";
  const RunOutcome run = run_experiment(wild, {folder / "runs", 1});
  EXPECT_EQ(value_of(run, "diverged_energy"), 1.0);
  EXPECT_EQ(value_of(run, "diverged_boltzmann"), 0.0);
  EXPECT_TRUE(std::isnan(value_of(run, "log_likelihood_energy"))) << "nothing is made of a seed that diverged";
  EXPECT_THAT(test::read_text(run.folder / "report.html"), HasSubstr("1 of 1"));
}

TEST_F(LearningStudies, MistakesAreNamed) {
  const auto says = [&](const std::vector<std::string>& more, const std::string& text) {
    EXPECT_THAT(message_of<UsageError>([&] { run_experiment(config(more), {folder / "runs", 1}); }), HasSubstr(text));
  };
  says({"sweep.test_items=300"}, "300 of 500 items leave 200 to train on; allowed: half of them or fewer");
  says({"training.optimizer.lr_schedule=cosine"}, "allowed is: constant");
  says({"sweep.study=both"}, "one of: capacity, learning");
  says({"data.kind=two_moons"}, "data.path");
  EXPECT_THAT(message_of<UsageError>([] {
                parse_config(
                    "[data]\nkind = \"npy\"\npath = \"x.npy\"\n[sweep]\nstudy = \"learning\"\n[[sweep.targets]]\n"
                    "name = \"a\"\n[sweep.targets.model]\nkind = \"sampler_only_sc\"\n",
                    "s.toml");
              }),
              HasSubstr("learning curves are of: hee, rbm, ebm"));
}

LearningResult some_result(std::vector<double> log_likelihoods) {
  LearningResult result;
  for (std::size_t k = 0; k < log_likelihoods.size(); ++k) {
    LearningLook look;
    look.step = 10 * static_cast<std::int64_t>(k + 1);
    look.log_likelihood = log_likelihoods[k];
    result.looks.push_back(look);
    result.seconds.push_back(0.5 * static_cast<double>(k + 1));
  }
  return result;
}

TEST(LearningResults, ReachAndDivergence) {
  const LearningResult rising = some_result({-5.0, -3.0, -2.0});
  EXPECT_EQ(first_reach(rising, -3.5).step, 20.0);
  EXPECT_EQ(first_reach(rising, -3.5).seconds, 1.0);
  EXPECT_TRUE(std::isinf(first_reach(rising, -1.0).step));
  EXPECT_FALSE(diverged(rising));
  EXPECT_TRUE(diverged(some_result({-5.0, -3.0, -6.0})));
  EXPECT_TRUE(diverged(some_result({-5.0, std::nan("")})));
  LearningResult stopped = rising;
  stopped.stopped = "weights are not finite";
  EXPECT_TRUE(diverged(stopped));
  EXPECT_EQ(first_reach(stopped, -3.5).step, 20.0) << "it was there before it was lost";
}

TEST(LearningResults, LooksGrowGeometrically) {
  EXPECT_EQ(look_steps(640, 7), (std::vector<std::int64_t>{10, 20, 40, 80, 160, 320, 640}));
  EXPECT_EQ(look_steps(2, 7).back(), 2);
  EXPECT_EQ(look_steps(2, 7).front(), 1);
}

}  // namespace
}  // namespace tarn
