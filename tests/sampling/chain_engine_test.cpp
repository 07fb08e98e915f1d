// The chain engine against plain calls of the backend: what is kept and when, tiles, ranges of chains, inputs, clamps, denoising,
// reservoir mode, memory.
#include "tarn/sampling/chain_engine.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>

#include "sampling/networks.hpp"
#include "sanitized.hpp"
#include "tarn/models/pseudo_inverse.hpp"

namespace tarn {
namespace {

using test::KeepingSink;
using test::normals;
using test::Prepared;
using test::some_network;

class ChainEngine : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend = make_cpu_backend(2);

  SamplingRun run_of(const Prepared& network, std::int64_t n_chains, std::vector<Stage> stages) {
    SamplingRun run;
    for (Stage& s : stages) s.network = network.network.get();
    run.stages = std::move(stages);
    run.n_chains = n_chains;
    run.seed = 12;
    return run;
  }
  static Stage stage(std::int64_t n_steps, std::int64_t thin = 0, bool keep_end = true) {
    Stage s;
    s.sigma = 0.3;
    s.dt = 0.02;
    s.n_steps = n_steps;
    s.thin = thin;
    s.keep_end = keep_end;
    return s;
  }
  /// The state of one chain after each step, by the backend alone; `u[step]` and `clamp` may be empty.
  std::vector<std::vector<float>> path(const Prepared& network, const SamplingRun& run, std::int64_t chain,
                                       std::int64_t n_steps, const std::vector<std::vector<float>>& u = {},
                                       std::vector<float> clamp = {}) {
    const std::int64_t D = network.runnable.view().n_outputs;
    Matrix<float> x(1, D);
    draw_initial_state(run.initial, network.runnable.view(), run.seed,
                       run.first_chain + static_cast<std::uint64_t>(chain), x);
    Matrix<float> v(1, D);
    draw_initial_momentum(run.seed, run.first_chain + static_cast<std::uint64_t>(chain), run.first_step, v);
    std::vector<std::vector<float>> states;
    std::int64_t bad = -1;
    for (std::int64_t t = 0; t < n_steps; ++t) {
      LangevinSteps steps;
      steps.integrator = run.integrator;
      steps.dt = static_cast<float>(run.stages.front().dt);
      steps.friction = static_cast<float>(run.stages.front().friction);
      steps.seed = run.seed;
      steps.first_chain = run.first_chain + static_cast<std::uint64_t>(chain);
      steps.first_step = run.first_step + static_cast<std::uint64_t>(t);
      steps.n_steps = 1;
      ChainBlock block;
      block.x = x;
      block.v = v;
      std::vector<float> now;
      if (!u.empty()) {
        now = u[static_cast<std::size_t>(t)];
        block.u = {now.data(), 1, static_cast<std::int64_t>(now.size())};
      }
      if (!clamp.empty()) block.clamp = {clamp.data(), 1, D};
      block.first_bad_step = &bad;
      backend->advance(*network.network, steps, block);
      states.emplace_back(x.row(0), x.row(0) + D);
    }
    return states;
  }
};

TEST_F(ChainEngine, KeepsTheDrawsThatTheScheduleSays) {
  const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 0, 30));
  SamplingRun run = run_of(network, 5, plain_schedule(stage(0), 7, 20, 6));
  run.first_step = 3;
  run.first_chain = 100;
  KeepingSink sink;
  double reported = 0.0;
  const SamplingResult result = run_chains(*backend, run, &sink, [&](double done, std::int64_t lost) {
    reported = done;
    EXPECT_EQ(lost, 0);
  });
  ASSERT_EQ(sink.draws.size(), 4u);
  EXPECT_EQ(result.n_draws, 4);
  EXPECT_EQ(reported, 5 * 27.0);
  EXPECT_EQ(result.chain_steps, 5 * 27.0);
  EXPECT_EQ(result.n_quarantined, 0);
  EXPECT_EQ(result.first_bad_step, std::vector<std::int64_t>(5, -1));
  const std::int64_t steps[] = {13, 19, 25, 27};
  for (std::int64_t chain = 0; chain < 5; ++chain) {
    const auto states = path(network, run, chain, 27);
    for (std::int64_t d = 0; d < 4; ++d) {
      const auto& draw = sink.draws.at(d);
      EXPECT_EQ(draw.step, steps[d]);
      EXPECT_NEAR(draw.time, 0.02 * static_cast<double>(steps[d]), 1e-12);
      EXPECT_EQ(draw.x.at(100 + chain), states[static_cast<std::size_t>(steps[d] - 1)])
          << "draw " << d << " chain " << chain;
    }
    EXPECT_TRUE(std::equal(result.last_draw.row(chain), result.last_draw.row(chain) + 2, states.back().begin()));
  }
}

// v is at rest when a run begins, and goes on from draw to draw; a run that begins later begins with another one.
TEST_F(ChainEngine, MomentumStartsAtRestAndGoesOn) {
  const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 0, 30));
  Stage moving = stage(0);
  moving.friction = 1.5;
  SamplingRun run = run_of(network, 5, plain_schedule(moving, 7, 20, 6));
  run.integrator = Integrator::baoab;
  run.first_step = 3;
  run.first_chain = 100;
  KeepingSink sink;
  run_chains(*backend, run, &sink);
  const std::int64_t steps[] = {13, 19, 25, 27};
  for (std::int64_t chain = 0; chain < 5; ++chain) {
    const auto states = path(network, run, chain, 27);
    for (std::int64_t d = 0; d < 4; ++d)
      EXPECT_EQ(sink.draws.at(d).x.at(100 + chain), states[static_cast<std::size_t>(steps[d] - 1)]) << d;
  }
  run.stages.back().friction = 0.0;
  EXPECT_THROW(run_chains(*backend, run, nullptr), Error);
}

TEST_F(ChainEngine, AScheduleWithoutStepsGivesTheStart) {
  const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 0, 30));
  SamplingRun run = run_of(network, 3, plain_schedule(stage(0), 0, 0, 0));
  const SamplingResult result = run_chains(*backend, run, nullptr);
  Matrix<float> start(3, 2);
  draw_initial_state(run.initial, network.runnable.view(), run.seed, 0, start);
  EXPECT_EQ(result.last_draw, start);
}

// With Leimkuhler and Matthews each stage begins with a normal that no other step has seen: stages of 3 and 2 steps read the
// normals 0..3 and 4..6.
TEST_F(ChainEngine, SharedNoiseStartsAfreshWithEachStage) {
  const Prepared network(*backend, some_network(Nonlinearity::tanh, 2, 0, 30));
  Stage first = stage(3, 0, false), second = stage(2);
  second.dt = 0.01;
  SamplingRun run = run_of(network, 4, {first, second});
  run.integrator = Integrator::leimkuhler_matthews;
  const SamplingResult result = run_chains(*backend, run, nullptr);
  Matrix<float> x(4, 2);
  draw_initial_state(run.initial, network.runnable.view(), run.seed, 0, x);
  std::vector<std::int64_t> bad(4, -1);
  LangevinSteps steps;
  steps.integrator = run.integrator;
  steps.seed = run.seed;
  ChainBlock block;
  block.x = x;
  block.first_bad_step = bad.data();
  steps.dt = 0.02f;
  steps.n_steps = 3;
  backend->advance(*network.network, steps, block);
  steps.dt = 0.01f;
  steps.first_step = 4;
  steps.n_steps = 2;
  backend->advance(*network.network, steps, block);
  EXPECT_EQ(result.last_draw, x);
}

TEST_F(ChainEngine, TilesRangesAndThreadsMakeNoDifference) {
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
    const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 1, 30));
    const Matrix<float> u = normals(2 * 500, 1, 5);
    SamplingRun run = run_of(network, 500, plain_schedule(stage(0), 3, 30, 4));
    run.integrator = integrator;
    run.inputs = u;
    run.n_input_pieces = 2;
    run.denoise = true;
    KeepingSink whole, tiles, threads, ranges;
    const SamplingResult all = run_chains(*backend, run, &whole);
    EXPECT_EQ(whole.n_blocks, all.n_draws);

    SamplingRun small = run;
    small.memory_bytes = 4096;
    EXPECT_EQ(run_chains(*backend, small, &tiles).last_draw, all.last_draw);
    EXPECT_GT(tiles.n_blocks, 2 * all.n_draws) << "several tiles";
    EXPECT_EQ(tiles.draws, whole.draws);

    const auto one = make_cpu_backend(1);
    const Prepared again(*one, some_network(Nonlinearity::relu, 2, 1, 30));
    SamplingRun single = run;
    for (Stage& s : single.stages) s.network = again.network.get();
    EXPECT_EQ(run_chains(*one, single, &threads).last_draw, all.last_draw);
    EXPECT_EQ(threads.draws, whole.draws);

    for (const auto& [begin, end] : {std::pair{0, 123}, std::pair{123, 500}}) {
      SamplingRun part = run;
      part.first_chain = static_cast<std::uint64_t>(begin);
      part.n_chains = end - begin;
      Matrix<float> own(2 * (end - begin), 1);
      for (int t = 0; t < 2; ++t) std::copy_n(u.row(t * 500 + begin), end - begin, own.row(t * (end - begin)));
      part.inputs = own;
      const SamplingResult result = run_chains(*backend, part, &ranges);
      EXPECT_TRUE(std::equal(result.last_draw.data(), result.last_draw.data() + result.last_draw.size(),
                             all.last_draw.row(begin)));
    }
    EXPECT_EQ(ranges.draws, whole.draws);
  }
}

// 10 steps shared by 3 pieces: piece p covers steps ceil(10 p / 3) to ceil(10 (p + 1) / 3).
TEST_F(ChainEngine, InputPiecesTakeTheirTurn) {
  const Prepared network(*backend, some_network(Nonlinearity::tanh, 1, 2, 20));
  const Matrix<float> u = normals(3 * 4, 2, 6, 2.0);
  SamplingRun run = run_of(network, 4, plain_schedule(stage(0), 0, 10, 1));
  run.inputs = u;
  run.n_input_pieces = 3;
  KeepingSink sink;
  run_chains(*backend, run, &sink);
  const int piece_of_step[] = {0, 0, 0, 0, 1, 1, 1, 2, 2, 2};
  for (std::int64_t chain = 0; chain < 4; ++chain) {
    std::vector<std::vector<float>> inputs;
    for (const int piece : piece_of_step) inputs.emplace_back(u.row(piece * 4 + chain), u.row(piece * 4 + chain) + 2);
    const auto states = path(network, run, chain, 10, inputs);
    for (std::int64_t t = 0; t < 10; ++t)
      EXPECT_EQ(sink.draws.at(t).x.at(chain), states[static_cast<std::size_t>(t)]) << t;
  }
}

// A draw belongs to the step before it: it is denoised with the inputs of that step, though another piece begins right after.
TEST_F(ChainEngine, DrawsAreDenoisedWithTheInputsOfTheirStep) {
  const Prepared network(*backend, some_network(Nonlinearity::tanh, 1, 2, 20));
  const Matrix<float> u = normals(2 * 4, 2, 6, 3.0);
  SamplingRun run = run_of(network, 4, plain_schedule(stage(0), 0, 10, 5));
  run.inputs = u;
  run.n_input_pieces = 2;
  KeepingSink plain, denoised;
  run_chains(*backend, run, &plain);
  run.denoise = true;
  run_chains(*backend, run, &denoised);
  for (std::int64_t draw = 0; draw < 2; ++draw) {
    for (std::int64_t chain = 0; chain < 4; ++chain) {
      const float x = plain.draws.at(draw).x.at(chain)[0];
      Matrix<float> point(1, 3), score(1, 1);
      point(0, 0) = x;
      std::copy_n(u.row(draw * 4 + chain), 2, point.row(0) + 1);
      backend->drift(*network.network, point, score);
      EXPECT_EQ(denoised.draws.at(draw).x.at(chain)[0], x + static_cast<float>(0.3 * 0.3) * score(0, 0))
          << "draw " << draw;
    }
  }
}

TEST_F(ChainEngine, ClampHoldsOutputsAndDenoisingLeavesThemAlone) {
  const Prepared network(*backend, some_network(Nonlinearity::relu, 3, 0, 30));
  Matrix<float> clamp(1, 3);
  clamp(0, 0) = NAN;
  clamp(0, 1) = 0.75f;
  clamp(0, 2) = NAN;
  SamplingRun run = run_of(network, 6, plain_schedule(stage(0), 0, 8, 1));
  run.clamp = clamp;
  KeepingSink sink, denoised;
  run_chains(*backend, run, &sink);
  for (std::int64_t chain = 0; chain < 6; ++chain) {
    const auto states = path(network, run, chain, 8, {}, {NAN, 0.75f, NAN});
    for (std::int64_t t = 0; t < 8; ++t) {
      EXPECT_EQ(sink.draws.at(t).x.at(chain), states[static_cast<std::size_t>(t)]);
      EXPECT_EQ(sink.draws.at(t).x.at(chain)[1], 0.75f);
    }
  }
  run.denoise = true;
  run_chains(*backend, run, &denoised);
  for (std::int64_t chain = 0; chain < 6; ++chain) {
    EXPECT_EQ(denoised.draws.at(7).x.at(chain)[1], 0.75f);
    EXPECT_NE(denoised.draws.at(7).x.at(chain)[0], sink.draws.at(7).x.at(chain)[0]);
  }
  // one row a chain
  Matrix<float> each(6, 3);
  for (std::int64_t i = 0; i < 6; ++i) {
    each(i, 0) = static_cast<float>(i);
    each(i, 1) = each(i, 2) = NAN;
  }
  run.clamp = each;
  run.denoise = false;
  run.memory_bytes = 1;
  const SamplingResult result = run_chains(*backend, run, nullptr);
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(result.last_draw(i, 0), static_cast<float>(i));
}

TEST_F(ChainEngine, DenoisingLeavesTheChainsThemselvesAlone) {
  const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 0, 30));
  SamplingRun run = run_of(network, 6, plain_schedule(stage(0), 0, 8, 1));
  KeepingSink plain, denoised;
  run_chains(*backend, run, &plain);
  run.denoise = true;
  const SamplingResult result = run_chains(*backend, run, &denoised);
  for (std::int64_t t = 0; t < 8; ++t) {
    for (std::int64_t chain = 0; chain < 6; ++chain) {
      Matrix<float> x(1, 2), score(1, 2);
      std::copy_n(plain.draws.at(t).x.at(chain).data(), 2, x.data());
      backend->drift(*network.network, x, score);
      for (std::int64_t d = 0; d < 2; ++d) {
        const float expected = x(0, d) + static_cast<float>(0.3 * 0.3) * score(0, d);
        EXPECT_EQ(denoised.draws.at(t).x.at(chain)[static_cast<std::size_t>(d)], expected);
        if (t == 7) {
          EXPECT_EQ(result.last_draw(chain, d), expected);
        }
      }
    }
  }
}

TEST_F(ChainEngine, CountsQuarantinedChains) {
  SamplingNetwork pushing = some_network(Nonlinearity::relu, 2, 0, 30);
  const Prepared network(*backend, pushing);
  Matrix<float> start = normals(8, 2, 7);
  start(2, 0) = NAN;
  start(5, 1) = 100.0f;
  Stage s = stage(0);
  s.bound = 20.0;
  SamplingRun run = run_of(network, 8, plain_schedule(s, 0, 10, 5));
  run.first_step = 40;
  run.initial.kind = InitialKind::file;
  run.initial.rows = start;
  KeepingSink sink;
  std::int64_t lost = 0;
  const SamplingResult result = run_chains(*backend, run, &sink, [&](double, std::int64_t n) { lost = n; });
  EXPECT_EQ(result.n_quarantined, 2);
  EXPECT_EQ(lost, 2);
  EXPECT_EQ(result.first_bad_step, (std::vector<std::int64_t>{-1, -1, 40, -1, -1, 40, -1, -1}));
  for (std::int64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(std::isnan(result.last_draw(i, 0)), i == 2 || i == 5);
    EXPECT_EQ(std::isnan(sink.draws.at(0).x.at(i)[1]), i == 2 || i == 5);
  }
}

// Output and reservoir mode see the same noise. Each step of reservoir mode rounds r, and x = r W_out^T is a sum over N of
// terms that add up to `size`; over 1000 steps of a drift that pulls together (its slope lies below 0) the errors of about
// 1/|slope dt| = 50 steps survive, each of a few half ulp of `size`.
TEST_F(ChainEngine, ReservoirModeFollowsOutputMode) {
  for (const std::int64_t D : {1, 3, 20}) {
    for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews}) {
      const SamplingNetwork weights = some_network(Nonlinearity::tanh, D, 1, 60);
      const Prepared network(*backend, weights);
      const Matrix<float> P = pseudo_inverse(weights.W_out), u = normals(40, 1, 8);
      SamplingRun run = run_of(network, 40, plain_schedule(stage(0), 0, 1000, 100));
      run.integrator = integrator;
      run.inputs = u;
      KeepingSink outputs, reservoir;
      run_chains(*backend, run, &outputs);
      run.reservoir = true;
      run.P = P;
      run.recording.neurons.resize(60);
      for (std::int64_t j = 0; j < 60; ++j) run.recording.neurons[static_cast<std::size_t>(j)] = j;
      run_chains(*backend, run, &reservoir);
      double worst = 0.0, size = 0.0;
      for (std::int64_t t = 0; t < 10; ++t) {
        for (std::int64_t chain = 0; chain < 40; ++chain) {
          const auto& r = reservoir.draws.at(t).activity.at(chain);
          for (std::int64_t d = 0; d < D; ++d) {
            const float x = reservoir.draws.at(t).x.at(chain)[static_cast<std::size_t>(d)];
            double sum = 0.0, terms = 0.0;
            for (std::int64_t j = 0; j < 60; ++j) {
              sum += static_cast<double>(weights.W_out(d, j)) * r[static_cast<std::size_t>(j)];
              terms += std::fabs(weights.W_out(d, j) * r[static_cast<std::size_t>(j)]);
            }
            EXPECT_NEAR(x, sum, 60 * 0x1p-24 * terms) << "x = r W_out^T";
            size = std::max(size, terms);
            worst = std::max(worst, std::fabs(static_cast<double>(x) -
                                              outputs.draws.at(t).x.at(chain)[static_cast<std::size_t>(d)]));
          }
        }
      }
      EXPECT_LT(worst, 50 * 4 * 0x1p-24 * size) << "D " << D;
      EXPECT_GT(worst, 0.0) << "two ways of working it out, not one";
    }
  }
}

TEST_F(ChainEngine, RecordsNeuronsAndProjections) {
  const SamplingNetwork weights = some_network(Nonlinearity::relu, 2, 0, 20);
  const Prepared network(*backend, weights);
  const Matrix<float> P = pseudo_inverse(weights.W_out);
  SamplingRun run = run_of(network, 3, plain_schedule(stage(0), 0, 6, 1));
  run.reservoir = true;
  run.P = P;
  run.recording.neurons.resize(20);
  for (std::int64_t j = 0; j < 20; ++j) run.recording.neurons[static_cast<std::size_t>(j)] = j;
  KeepingSink all, some;
  run_chains(*backend, run, &all);
  run.recording.neurons = {17, 4};
  run.recording.projections = normals(2, 20, 9);
  run.recording.every = 2;
  run_chains(*backend, run, &some);
  for (std::int64_t t = 0; t < 6; ++t) {
    ASSERT_EQ(some.draws.at(t).activity.size(), t % 2 == 0 ? 3u : 0u) << "every second draw";
    if (t % 2 == 1) continue;
    for (std::int64_t chain = 0; chain < 3; ++chain) {
      const auto &r = all.draws.at(t).activity.at(chain), &found = some.draws.at(t).activity.at(chain);
      ASSERT_EQ(found.size(), 4u);
      EXPECT_EQ(found[0], r[17]);
      EXPECT_EQ(found[1], r[4]);
      for (std::int64_t q = 0; q < 2; ++q) {
        double sum = 0.0;
        for (std::int64_t j = 0; j < 20; ++j)
          sum += static_cast<double>(run.recording.projections(q, j)) * r[static_cast<std::size_t>(j)];
        EXPECT_EQ(found[static_cast<std::size_t>(2 + q)], static_cast<float>(sum));
      }
    }
  }
}

TEST_F(ChainEngine, MemoryDoesNotGrowWithTheNumberOfSteps) {
  if (test::sanitized) GTEST_SKIP() << "sanitizers keep freed memory";
  class Counter final : public Sink {
   public:
    void take(const DrawBlock& block) override { n += block.x.rows; }
    std::int64_t n = 0;
  } sink;
  const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 0, 4));
  const auto resident_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  run_chains(*backend, run_of(network, 1000, plain_schedule(stage(0), 0, 100, 1)), &sink);
  const auto before = resident_kib();
  run_chains(*backend, run_of(network, 1000, plain_schedule(stage(0), 0, 10000, 1)), &sink);
  EXPECT_EQ(sink.n, 1000 * 10100);
  EXPECT_LT(resident_kib() - before, 2048) << "the draws alone would be 80 MB";
}

TEST_F(ChainEngine, RefusesWhatDoesNotFit) {
  const Prepared network(*backend, some_network(Nonlinearity::relu, 2, 1, 30)),
      other(*backend, some_network(Nonlinearity::relu, 3, 1, 30));
  const Matrix<float> u = normals(5, 1, 5), clamp(4, 2);
  const SamplingRun good = [&] {
    SamplingRun run = run_of(network, 5, plain_schedule(stage(0), 0, 4, 1));
    run.inputs = u;
    return run;
  }();
  run_chains(*backend, good, nullptr);
  const auto refuses = [&](auto&& change) {
    SamplingRun run = good;
    change(run);
    EXPECT_THROW(run_chains(*backend, run, nullptr), Error);
  };
  refuses([](SamplingRun& r) { r.stages.clear(); });
  refuses([](SamplingRun& r) { r.n_chains = 0; });
  refuses([](SamplingRun& r) { r.inputs = {}; });
  refuses([](SamplingRun& r) { r.n_input_pieces = 2; });
  refuses([&](SamplingRun& r) { r.clamp = clamp; });
  refuses([](SamplingRun& r) { r.stages[0].dt = 0.0; });
  refuses([](SamplingRun& r) { r.stages[0].dt = NAN; });
  refuses([&](SamplingRun& r) {
    r.stages.push_back(r.stages[0]);
    r.stages[1].network = other.network.get();
  });
  refuses([](SamplingRun& r) { r.reservoir = true; });  // P is missing
  // NaN inputs would vanish in relu neurons, with nothing to show for it
  Matrix<float> holes = u;
  holes(3, 0) = NAN;
  refuses([&](SamplingRun& r) { r.inputs = holes; });
}

}  // namespace
}  // namespace tarn
