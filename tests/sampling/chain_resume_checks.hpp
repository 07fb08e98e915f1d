// A sampling run that stops at any pause goes on to the same draws, bit for bit: one body of test for every backend.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "sampling/networks.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/pseudo_inverse.hpp"
#include "tarn/sampling/chain_engine.hpp"

namespace tarn::test {

struct Kind {
  const char* name;
  std::int64_t D, U, N;
  bool reservoir, annealed, denoise, clamp;
  Integrator integrator;
  std::int64_t memory = std::int64_t{1} << 30;
};
inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}
// Bits, so that NaN rows of lost chains are equal too.
inline void expect_same(const KeepingSink& found, const KeepingSink& expected, std::size_t position) {
  ASSERT_EQ(found.draws.size(), expected.draws.size());
  for (const auto& [number, draw] : expected.draws) {
    const KeepingSink::Draw& mine = found.draws.at(number);
    ASSERT_EQ(mine.step, draw.step);
    ASSERT_EQ(mine.time, draw.time);
    for (const auto& [chain, x] : draw.x)
      ASSERT_TRUE(same_bits(mine.x.at(chain), x))
          << "position " << position << ", draw " << number << ", chain " << chain;
    for (const auto& [chain, r] : draw.activity) ASSERT_TRUE(same_bits(mine.activity.at(chain), r)) << position;
  }
}

/// The networks and the run of a kind, on a backend.
struct KindOfRun {
  static constexpr std::int64_t n_chains = 23, n_pieces = 3;
  std::vector<SamplingNetwork> networks;
  std::unique_ptr<Prepared> coarse, fine;
  Matrix<float> inputs, clamp, P;
  SamplingRun run;

  KindOfRun(Backend& backend, const Kind& k) {
    networks = {some_network(Nonlinearity::tanh, k.D, k.U, k.N), some_network(Nonlinearity::tanh, k.D, k.U, k.N)};
    networks[0].W_out = normals(k.D, k.N, 9, 1.0 / static_cast<double>(k.N));
    coarse = std::make_unique<Prepared>(backend, networks[0]);
    fine = std::make_unique<Prepared>(backend, networks[1]);
    Stage stage;
    stage.network = fine->network.get();
    stage.sigma = 0.2;
    stage.dt = 0.05;
    stage.friction = 2.0;
    stage.bound = 1.15 * 1.5 * std::sqrt(static_cast<double>(k.D));  // some of the chains begin beyond it and are lost
    if (k.annealed) {
      Stage first = stage;
      first.network = coarse->network.get();
      first.sigma = 0.7;
      run.stages = annealed_schedule({first, stage}, 7, 0.05, 20, 6, k.integrator);
    } else {
      run.stages = plain_schedule(stage, 5, 20, 6);
    }
    run.stages.back().watch = 2;
    run.watch.n_outputs = std::min<std::int64_t>(k.D, 2);
    run.integrator = k.integrator;
    run.seed = 77;
    run.first_chain = 3;
    run.n_chains = n_chains;
    run.denoise = k.denoise;
    run.memory_bytes = k.memory;
    run.initial.kind = InitialKind::normal;
    run.initial.standard_deviation = 1.5;
    inputs = normals(n_pieces * n_chains, k.U, 20);
    if (k.U > 0) {
      run.inputs = inputs.view();
      run.n_input_pieces = n_pieces;
    }
    clamp = Matrix<float>(1, k.D);
    std::fill_n(clamp.data(), k.D, std::nanf(""));
    clamp(0, 0) = 0.25f;
    if (k.clamp) run.clamp = clamp.view();
    if (k.reservoir) {
      run.reservoir = true;
      P = pseudo_inverse(networks[1].W_out);
      run.P = P.view();
      run.recording.neurons = {0, 2};
    }
  }
  KindOfRun(const KindOfRun&) = delete;
  KindOfRun& operator=(const KindOfRun&) = delete;
};

inline void expect_every_pause_is_a_place_to_go_on(Backend& backend, const Kind& k) {
  const KindOfRun kind(backend, k);
  const SamplingRun& run = kind.run;

  // The unbroken run, saved at every pause.
  KeepingSink whole;
  std::vector<SamplingPosition> positions;
  std::vector<std::map<std::int64_t, KeepingSink::Draw>> draws_before;
  SamplingCheckpoints saving;
  saving.due = [] { return true; };
  saving.save = [&](const SamplingPosition& at) {
    positions.push_back(at);
    draws_before.push_back(whole.draws);
  };
  const SamplingResult expected = run_chains(backend, run, &whole, {}, saving);
  KeepingSink plain;
  const SamplingResult unsaved = run_chains(backend, run, &plain);
  expect_same(plain, whole, 0);  // saving changes nothing
  ASSERT_GT(positions.size(), 3u);

  for (std::size_t i = 0; i < positions.size(); ++i) {
    KeepingSink sink;
    sink.draws = draws_before[i];
    SamplingCheckpoints going_on;
    going_on.from = &positions[i];
    const SamplingResult result = run_chains(backend, run, &sink, {}, going_on);
    expect_same(sink, whole, i);
    EXPECT_EQ(result.first_bad_step, expected.first_bad_step) << i;
    EXPECT_EQ(result.n_quarantined, expected.n_quarantined);
    EXPECT_EQ(result.chain_steps, expected.chain_steps);
    EXPECT_EQ(result.live.pack(), expected.live.pack()) << i;
    EXPECT_EQ(std::memcmp(result.last_draw.data(), expected.last_draw.data(),
                          static_cast<std::size_t>(result.last_draw.size()) * sizeof(float)),
              0);
  }
  EXPECT_EQ(unsaved.first_bad_step, expected.first_bad_step);

  SamplingPosition wrong = positions[1];
  wrong.first_bad_step.pop_back();
  SamplingCheckpoints going_on;
  going_on.from = &wrong;
  EXPECT_THROW(run_chains(backend, run, nullptr, {}, going_on), Error);
  wrong = positions[1];
  if (!wrong.x.empty()) wrong.x = Matrix<float>(wrong.x.rows() + 1, k.D);
  wrong.stage = 99;
  EXPECT_THROW(run_chains(backend, run, nullptr, {}, going_on), Error);
  wrong = positions[1];
  if (wrong.watch) wrong.watch->recent.pop_back();
  wrong.live.clear();
  EXPECT_THROW(run_chains(backend, run, nullptr, {}, going_on), Error);
  wrong = positions[1];
  if (!wrong.x.empty()) wrong.v = wrong.v.empty() ? Matrix<float>(1, 1) : Matrix<float>();  // of another integrator
  EXPECT_THROW(run_chains(backend, run, nullptr, {}, going_on), Error);
}

inline std::vector<Kind> kinds_of_run() {
  constexpr auto em = Integrator::euler_maruyama, lm = Integrator::leimkuhler_matthews, momentum = Integrator::baoab;
  return {Kind{"plain", 1, 0, 9, false, false, false, false, em},
          Kind{"tiles", 2, 0, 9, false, false, false, false, em, 6000},
          Kind{"annealed", 2, 0, 9, false, true, true, false, em},
          Kind{"annealed_midpoint", 2, 0, 9, false, true, true, false, lm},
          Kind{"midpoint_tiles", 1, 0, 9, false, false, false, false, lm, 2000},
          Kind{"inputs_clamp_and_denoising", 2, 1, 9, false, true, true, true, em},
          Kind{"inputs_and_clamp", 2, 1, 9, false, false, false, true, em},
          Kind{"reservoir", 2, 0, 9, true, false, false, false, em},
          Kind{"reservoir_midpoint", 2, 1, 9, true, false, false, false, lm},
          Kind{"large", 20, 0, 33, false, true, true, false, em},
          Kind{"large_inputs_and_denoising", 20, 1, 33, false, true, true, true, lm},
          Kind{"large_reservoir", 20, 0, 33, true, false, false, false, em},
          Kind{"large_midpoint", 20, 1, 33, false, true, false, true, lm},
          Kind{"momentum_tiles", 2, 0, 9, false, false, false, false, momentum, 6000},
          Kind{"annealed_momentum_and_clamp", 2, 1, 9, false, true, true, true, momentum},
          Kind{"large_momentum", 20, 1, 33, false, true, false, true, momentum}};
}

}  // namespace tarn::test
