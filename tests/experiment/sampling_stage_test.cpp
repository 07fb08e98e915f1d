// The [sampling] table in action: inputs, clamps, starts, skew matrices, recorded neurons, and the stored draws.
#include <cmath>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/initial_weights.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::RunTest;
using testing::HasSubstr;

class SamplingStage : public RunTest {
 protected:
  // One untrained network is enough: D outputs, U inputs of a mixture in the plane or on the line.
  SamplingStage() : backend(make_cpu_backend(1)) {}

  void prepare(int inputs, const std::vector<std::string>& overrides) {
    std::vector<std::string> all{"data.inputs=" + std::to_string(inputs)};
    all.insert(all.end(), overrides.begin(), overrides.end());
    config = parse_config(
        "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0, 0.0, 0.5], [1.0, 0.5, 0.0]]\nstd = 0.5\nepoch_size = 50\n"
        "[model]\nneurons = 12\n[training]\nbatch_size = 8\nepochs = 6\n"
        "[sampling]\nschedule = \"last_level\"\nchains = 20\nsteps = 12\nthin = 4\ndt = 0.01\n",
        "stage.toml", all);
    data = prepare_data(config);
    resolve(config, facts_of(data));
    network = starting_network(config, data);
    network.sigma = 0.2;
  }
  SamplingOutcome run(const std::string& name, const ChainRange& range = {}) {
    return sampling_stage(config, data, {network}, *backend, folder / name, range);
  }
  std::string save(const std::string& name, const Matrix<float>& values, const Shape& shape = {}) {
    const auto path = folder / name;
    shape.empty() ? write_npy(path, values.view()) : write_npy(path, values.view(), shape);
    return path.string();
  }
  static Matrix<float> counting(std::int64_t rows, std::int64_t cols, float step = 0.1f) {
    Matrix<float> m(rows, cols);
    for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] = step * static_cast<float>(i % 17) - 0.5f;
    return m;
  }

  std::unique_ptr<Backend> backend;
  Config config;
  PreparedData data;
  SamplingNetwork network;
};

TEST_F(SamplingStage, RangesOfChainsAreThePartsOfTheWhole) {
  prepare(0, {});
  const SamplingOutcome whole = run("whole"), a = run("a", {0, 7}), b = run("b", {7, 20});
  for (std::int64_t i = 0; i < 20; ++i) {
    for (std::int64_t d = 0; d < 3; ++d) {
      EXPECT_EQ(whole.last_draw(i, d), i < 7 ? a.last_draw(i, d) : b.last_draw(i - 7, d));
    }
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "whole" / "samples.nc"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a" / "samples.nc")) << "a part is not merged";
  merge_draws({folder / "b" / "samples", folder / "a" / "samples"}, folder / "merged.nc");
  test::expect_same_draws(folder / "merged.nc", folder / "whole" / "samples.nc");
  for (const ChainRange& wrong : {ChainRange{-1, 5}, ChainRange{5, 5}, ChainRange{0, 21}, ChainRange{20, -1}}) {
    EXPECT_THAT(message_of([&] { run("wrong", wrong); }), HasSubstr("must lie within 0:20"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "wrong"));
}

TEST_F(SamplingStage, InputsAreThoseOfTheDataInTurnUnlessGiven) {
  prepare(1, {"sampling.chains=70"});  // more chains than data
  const SamplingOutcome in_turn = run("in_turn");
  Matrix<float> u(70, 1);
  for (std::int64_t i = 0; i < 70; ++i) u(i, 0) = data.rows(i % 50, 2);
  config.sampling.condition = save("u.npy", u);
  EXPECT_EQ(run("given").last_draw, in_turn.last_draw);
  EXPECT_EQ(in_turn.inputs, u);
  const SamplingOutcome part = run("part", {60, 70});
  EXPECT_TRUE(
      std::equal(part.last_draw.data(), part.last_draw.data() + part.last_draw.size(), in_turn.last_draw.row(60)));

  // a series of two pieces, both the same, is no series
  Matrix<float> twice(140, 1);
  std::copy_n(u.data(), 70, twice.data());
  std::copy_n(u.data(), 70, twice.row(70));
  config.sampling.condition = save("series.npy", twice, {2, 70, 1});
  EXPECT_EQ(run("series").last_draw, in_turn.last_draw);
  for (std::int64_t i = 0; i < 70; ++i) twice(70 + i, 0) += 1.0f;
  config.sampling.condition = save("change.npy", twice, {2, 70, 1});
  const SamplingOutcome changed = run("change");
  EXPECT_NE(changed.last_draw, in_turn.last_draw);
  EXPECT_EQ(changed.inputs(3, 0), twice(73, 0)) << "those of the last step";

  config.sampling.condition = save("few.npy", counting(69, 1));
  EXPECT_THAT(message_of([&] { run("few"); }), HasSubstr("needs shape [70, 1] or [T, 70, 1], found (69, 1)"));
  u(5, 0) = NAN;
  config.sampling.condition = save("nan.npy", u);
  EXPECT_THAT(message_of([&] { run("nan"); }), HasSubstr("must be finite"));
  // weights alone have no data to take inputs from
  config.sampling.condition.clear();
  data.rows = {};
  EXPECT_THAT(message_of([&] { run("none"); }), HasSubstr("sampling.condition"));
  prepare(0, {});
  config.sampling.condition = save("u20.npy", counting(20, 1));
  EXPECT_THAT(message_of([&] { run("no_inputs"); }), HasSubstr("takes no inputs"));
}

TEST_F(SamplingStage, ClampsHoldOutputsForAllOrForEach) {
  prepare(0, {"data.scaling=\"none\""});
  Matrix<float> one(3, 1);
  one(0, 0) = NAN;
  one(1, 0) = 0.25f;
  one(2, 0) = NAN;
  config.sampling.clamp = save("one.npy", one, {3});
  const SamplingOutcome all = run("all");
  for (std::int64_t i = 0; i < 20; ++i) EXPECT_EQ(all.last_draw(i, 1), 0.25f);
  EXPECT_NE(all.last_draw(0, 0), all.last_draw(1, 0));
  Matrix<float> each(20, 3);
  for (std::int64_t i = 0; i < 20; ++i) {
    each(i, 0) = 0.01f * static_cast<float>(i);
    each(i, 1) = each(i, 2) = NAN;
  }
  config.sampling.clamp = save("each.npy", each);
  const SamplingOutcome held = run("each", {5, 12});
  for (std::int64_t i = 0; i < 7; ++i) EXPECT_EQ(held.last_draw(i, 0), 0.01f * static_cast<float>(i + 5));
  config.sampling.clamp = save("wrong.npy", counting(4, 3));
  EXPECT_THAT(message_of([&] { run("wrong"); }), HasSubstr("needs shape [3] or [20, 3], found [4, 3]"));
}

TEST_F(SamplingStage, StartsFromAFileAndFromData) {
  prepare(0, {"data.scaling=\"none\"", "sampling.burn_in=0"});
  const Matrix<float> start = counting(20, 3, 0.3f);
  config.sampling.initial.kind = "file";
  config.sampling.initial.path = save("start.npy", start);
  config.sampling.steps = 1;
  config.sampling.dt = 1e-20;  // the chains stay where they are
  EXPECT_EQ(run("file").last_draw, start);
  config.sampling.initial.path = save("few.npy", counting(19, 3));
  EXPECT_THAT(message_of([&] { run("few"); }), HasSubstr("20 chains need rows"));
  config.sampling.initial.kind = "data";
  const SamplingOutcome from_data = run("data");
  for (std::int64_t i = 0; i < 20; ++i) {
    bool found = false;
    for (std::int64_t j = 0; j < 50; ++j)
      found |= std::equal(data.rows.row(j), data.rows.row(j) + 3, from_data.last_draw.row(i));
    EXPECT_TRUE(found) << "chain " << i;
  }
}

// A start far out is wished for and no escape; one that is not finite must not lift the bound of the others.
TEST_F(SamplingStage, TheBoundLeavesRoomForTheStart) {
  prepare(0, {"data.scaling=\"none\""});
  config.sampling.initial.kind = "file";
  config.sampling.dt = 1e-6;
  Matrix<float> start = counting(20, 3);
  start(4, 0) = 40.0f;
  config.sampling.initial.path = save("far.npy", start);
  EXPECT_EQ(run("far").result.n_quarantined, 0);
  start(4, 0) = INFINITY;
  config.sampling.initial.path = save("inf.npy", start);
  const SamplingOutcome outcome = run("inf");
  EXPECT_EQ(outcome.result.n_quarantined, 1);
  EXPECT_LT(outcome.stages.back().bound, 100.0);

  // space r: the bound follows x = r W_out^T of the rows, not the numbers of another law
  Matrix<float> r = counting(20, 12);
  for (std::int64_t j = 0; j < 12; ++j) r(3, j) = 1000.0f * network.W_out(0, j);
  config.sampling.initial.space = "r";
  config.sampling.initial.path = save("r.npy", r);
  EXPECT_EQ(run("r").result.n_quarantined, 0);
}

TEST_F(SamplingStage, RecordsActivity) {
  prepare(0, {"sampling.record.reservoir=true", "sampling.record.neurons=\"3,0,11\""});
  const SamplingOutcome recorded = run("recorded");
  config.sampling.record.reservoir = false;
  const SamplingOutcome plain = run("plain");
  for (std::int64_t i = 0; i < plain.last_draw.size(); ++i) {
    // 12 steps of rounding of r, of size about 1/|W_out| = 10
    EXPECT_NEAR(recorded.last_draw.data()[i], plain.last_draw.data()[i], 12 * 12 * 10 * 0x1p-24);
  }
  config.sampling.record.reservoir = true;
  config.sampling.schedule = "annealed";
  EXPECT_THAT(message_of([&] { run("annealed"); }), HasSubstr("last_level"));
}

TEST(ParseNeurons, TakesAllRandomAndLists) {
  EXPECT_EQ(parse_neurons("all", 4, 1), (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(parse_neurons("0,3,17", 20, 1), (std::vector<std::int64_t>{0, 3, 17}));
  const auto random = parse_neurons("random:5", 100, 1);
  EXPECT_EQ(random.size(), 5u);
  EXPECT_TRUE(std::is_sorted(random.begin(), random.end()));
  EXPECT_EQ(std::adjacent_find(random.begin(), random.end()), random.end());
  EXPECT_EQ(parse_neurons("random:5", 100, 1), random);
  EXPECT_NE(parse_neurons("random:5", 100, 2), random);
  EXPECT_EQ(parse_neurons("random:7", 7, 2), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  for (const char* wrong : {"", "some", "random:0", "random:21", "random:x", "1,,2", "1,", "-1", "20", "1 2", "1.5"}) {
    EXPECT_THROW(parse_neurons(wrong, 20, 1), UsageError) << wrong;
  }
}

TEST(IrreversibleMatrix, IsSkewAndOfTheGivenStrength) {
  IrreversibleConfig c;
  EXPECT_TRUE(irreversible_matrix(c, 5, 1).empty());
  c.strength = 2.5;
  const Matrix<float> J = irreversible_matrix(c, 5, 1);
  double square = 0.0;
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 5; ++j) {
      EXPECT_EQ(J(i, j), -J(j, i));
      square += static_cast<double>(J(i, j)) * J(i, j);
    }
  }
  EXPECT_NEAR(std::sqrt(square), 2.5, 1e-6);
  EXPECT_NE(irreversible_matrix(c, 5, 2), J);
  EXPECT_THROW(irreversible_matrix(c, 1, 1), UsageError);
}

// One strength for all neurons, trace of W_out S^2 W_out^T = D, and a start and noise that are others than with output noise.
// A network with a trained J runs as the circuit that it is, or as its score; what is kept is denoised by the score whatever ran.
TEST_F(SamplingStage, TrainedInIrreversibleDrift) {
  prepare(0, {"model.irreversible=2"});
  ASSERT_EQ(network.drift_map.rows(), 3);
  const SamplingSetup circuit = make_sampling(config, data, {network}, *backend);
  EXPECT_EQ(circuit.levels[0].view().M, nullptr) << "f itself";
  config.sampling.drift = "score";
  const SamplingSetup score = make_sampling(config, data, {network}, *backend);
  ASSERT_NE(score.levels[0].view().M, nullptr);
  for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(score.levels[0].view().M[i], network.drift_map.data()[i]);
  const Matrix<float> as_score = run("score").last_draw;
  config.sampling.drift = "circuit";
  EXPECT_NE(run("circuit").last_draw, as_score);

  // no steps but one of no length: the draws are the start, denoised
  config.sampling.denoise = true;
  config.sampling.steps = 1;
  config.sampling.thin = 0;
  config.sampling.dt = 1e-30;
  const SamplingOutcome denoised = run("denoised");
  config.sampling.denoise = false;
  const Matrix<float> start = run("start").last_draw;
  config.sampling.denoise = true;
  config.sampling.drift = "score";
  EXPECT_EQ(run("denoised_score").last_draw, denoised.last_draw);
  config.sampling.irreversible.strength = 1.0;
  EXPECT_EQ(run("denoised_given").last_draw, denoised.last_draw) << "with a J given";
  EXPECT_NE(start, denoised.last_draw);

  EXPECT_THAT(message_of([&] {
                prepare(0, {"model.irreversible=1", "model.kind=\"sampler_only_sc\""});
              }),
              HasSubstr("model.irreversible"));
  EXPECT_THAT(message_of([&] { prepare(2, {"model.irreversible=1"}); }), HasSubstr("needs at least two outputs"));
}

TEST_F(SamplingStage, NoisePrivateToTheNeurons) {
  prepare(0, {"sampling.record.reservoir=true", "sampling.noise=\"private\""});
  const SamplingSetup setup = make_sampling(config, data, {network}, *backend);
  ASSERT_EQ(setup.private_noise.cols(), network.n_neurons());
  const Matrix<double> diffusion = output_diffusion(network.W_out, setup.private_noise);
  double trace = 0.0;
  for (std::int64_t d = 0; d < 3; ++d) trace += diffusion(d, d);
  EXPECT_NEAR(trace, 3.0, 1e-5);
  const SamplingOutcome own = run("private");
  config.sampling.noise = "output";
  EXPECT_NE(run("output").last_draw, own.last_draw);
  config.sampling.noise = "private";
  config.sampling.record.reservoir = false;
  EXPECT_THAT(message_of([&] { run("nowhere"); }), HasSubstr("sampling.noise"));
}

}  // namespace
}  // namespace tarn
