// What is chosen by measurement, and when, on a machine whose clock the tests set.
#include "tuner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <tuple>

#include "compute/large_session_checks.hpp"
#include "cuda/device.hpp"
#include "cuda_network.hpp"
#include "dsm_session.hpp"
#include "memory.hpp"
#include "message_of.hpp"
#include "product_trial.hpp"
#include "sanitized.hpp"
#include "simt.hpp"
#include "small_chains.hpp"
#include "streams.hpp"
#include "tarn/core/log.hpp"

namespace tarn {
namespace {

using cuda::Context;
using cuda::DeviceBuffer;
using cuda::Product;
using test::message_of;
using test::normal_matrix;
using testing::HasSubstr;

// Work costs what the first of these says whose words its text holds, else 1000.
simt::Costs costs(std::vector<std::pair<std::string, double>> by_words) {
  return [by_words](const std::string& work) {
    for (const auto& [words, cost] : by_words) {
      if (work.find(words) != std::string::npos) return cost;
    }
    return 1000.0;
  };
}

struct Note {
  std::string key, value;
  double gain;
  bool measured, rounds;
};

class TunerTest : public testing::Test {
 protected:
  TunerTest() { set_quiet(true); }
  void TearDown() override {
    simt::set_costs({});
    simt::set_memory_limit(0);
  }

  Tuning noting(Choices known = {}, Choices binding = {}) {
    Tuning tuning;
    tuning.known = std::move(known);
    tuning.binding = std::move(binding);
    tuning.on_choice = [this](const std::string& of, const Choice& c, bool measured, bool rounds) {
      notes.push_back({of, c.value, c.gain, measured, rounds});
    };
    return tuning;
  }

  // C of one product `[7, 9]` over 301 terms, times `batch`; by a context that chooses as `tuning` says, or not at all.
  std::vector<float> product(const Tuning* tuning, float beta = 0.0f, std::int64_t batch = 1, int n_calls = 1) {
    Context context(0);
    if (tuning) context.tuner.begin(*tuning);
    const StreamHandle stream = context.stream.handle();
    DeviceBuffer<float> a(batch * m * k), b(batch * k * n), c(batch * m * ldc);
    const Matrix<float> host_a = normal_matrix(batch * m, k, 1), host_b = normal_matrix(batch * k, n, 2);
    Matrix<float> host_c = normal_matrix(batch * m, ldc, 3);
    const cuda::SettleOnThrow settle(stream);  // a call that is refused leaves copies under way
    cuda::copy_async(a.data(), host_a.data(), a.size(), stream);
    cuda::copy_async(b.data(), host_b.data(), b.size(), stream);
    cuda::copy_async(c.data(), std::as_const(host_c).data(), c.size(), stream);
    Product p;
    p.m = m;
    p.n = n;
    p.k = p.lda = k;
    p.ldb = n;
    p.ldc = ldc;
    p.a = a.data();
    p.b = b.data();
    p.c = c.data();
    p.beta = beta;
    p.batch = batch;
    if (batch > 1) {
      p.stride_a = m * k;
      p.stride_b = k * n;
      p.stride_c = m * ldc;
    }
    key = cuda::key_of(p);
    for (int call = 0; call < n_calls; ++call) context.blas->product(p, stream);
    cuda::copy_async(host_c.data(), std::as_const(c).data(), c.size(), stream);
    context.stream.synchronize();
    summary = context.tuner.summary();
    return {host_c.data(), host_c.data() + host_c.size()};
  }
  std::vector<float> product_by(const std::string& way, float beta = 0.0f, std::int64_t batch = 1, int n_calls = 1) {
    product(nullptr, beta, batch);  // for the key
    Tuning tuning;
    tuning.binding[key] = {way};
    return product(&tuning, beta, batch, n_calls);
  }

  static constexpr std::int64_t m = 7, n = 9, k = 304, ldc = 12;
  std::vector<Note> notes;
  std::string key;
  TuningSummary summary;
  using StreamHandle = cuda::StreamHandle;
};

TEST_F(TunerTest, TheHostsAlgorithmsDifferInRounding) {
  const auto forward = product(nullptr), backward = product_by("backward"), halves = product_by("halves");
  EXPECT_EQ(product_by("forward"), forward);
  EXPECT_NE(forward, backward);
  EXPECT_NE(forward, halves);
  EXPECT_NE(backward, halves);
  for (std::size_t i = 0; i < forward.size(); ++i) {
    EXPECT_NEAR(forward[i], backward[i], 1e-4);
    EXPECT_NEAR(forward[i], halves[i], 1e-4);
  }
}

TEST_F(TunerTest, TheFastestIsTaken) {
  for (const auto& [fastest, other] : {std::pair{"halves", "backward"}, {"backward", "halves"}}) {
    SCOPED_TRACE(fastest);
    notes.clear();
    simt::set_costs(costs({{fastest, 500.0}}));
    const Tuning tuning = noting();
    EXPECT_EQ(product(&tuning, 0.0f, 1, 3), product_by(fastest));
    ASSERT_EQ(notes.size(), 1u);  // and `product_by` has nobody to tell
    EXPECT_EQ(notes[0].value, fastest);
    EXPECT_NEAR(notes[0].gain, 2.0, 1e-3);
    EXPECT_TRUE(notes[0].measured && notes[0].rounds);
  }
}

TEST_F(TunerTest, TheFirstStaysUnlessAnotherIsThreePerCentFaster) {
  for (const auto& [cost, expected] : {std::pair{980.0, "forward"}, {960.0, "halves"}}) {
    SCOPED_TRACE(cost);
    notes.clear();
    simt::set_costs(costs({{"halves", cost}}));
    const Tuning tuning = noting();
    product(&tuning);
    EXPECT_EQ(summary.product_gains.size(), cost < 970.0 ? 1u : 0u);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_EQ(notes[0].value, expected);
  }
}

// A median of turns is not moved by two that were disturbed.
TEST_F(TunerTest, DisturbedTurnsDoNotCount) {
  int calls = 0;
  simt::set_costs([&](const std::string& work) {
    if (work.find("halves") == std::string::npos) return 1000.0;
    ++calls;
    return calls == 4 || calls == 6 ? 1e5 : 500.0;
  });
  const Tuning tuning = noting();
  product(&tuning);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].value, "halves");
}

// Trials write elsewhere: with beta = 1 each call adds once to what was there.
TEST_F(TunerTest, WhatWasInTheResultStays) {
  for (const float beta : {0.0f, 1.0f, -0.5f}) {
    SCOPED_TRACE(beta);
    simt::set_costs(costs({{"backward", 10.0}}));
    const Tuning tuning = noting();
    EXPECT_EQ(product(&tuning, beta, 1, 2), product_by("backward", beta, 1, 2));
  }
}

TEST_F(TunerTest, SlicesAreCutNoFurther) {
  simt::set_costs(costs({{"halves", 1.0}, {"backward", 800.0}}));
  const Tuning tuning = noting();
  EXPECT_EQ(product(&tuning, 0.0f, 4), product_by("backward", 0.0f, 4));
  // ... though the table says so
  notes.clear();
  const Tuning asked = noting({{key, {"halves", 2.0}}});
  product(&asked, 0.0f, 4);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].value, "backward");
  EXPECT_TRUE(notes[0].measured);
}

TEST_F(TunerTest, WhatIsKnownIsNotMeasuredAgain) {
  product(nullptr);
  simt::set_costs(costs({{"backward", 10.0}}));
  const Tuning tuning = noting({{key, {"halves", 1.5}}});
  EXPECT_EQ(product(&tuning), product_by("halves"));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_FALSE(notes[0].measured);
  EXPECT_EQ(notes[0].gain, 1.5);
}

TEST_F(TunerTest, WhatBindsIsTakenWhateverIsKnown) {
  product(nullptr);
  const Tuning tuning = noting({{key, {"halves", 1.5}}}, {{key, {"backward"}}});
  EXPECT_EQ(product(&tuning), product_by("backward"));
  EXPECT_EQ(summary.n_bound, 1);
}

TEST_F(TunerTest, WhatBindsAndCannotBeUsedIsRefused) {
  product(nullptr);
  simt::set_costs(costs({{"halves", 10.0}}));
  Tuning tuning = noting({}, {{key, {"sideways"}}});
  const std::string message = message_of([&] { product(&tuning); });
  EXPECT_THAT(message, HasSubstr(key));
  EXPECT_THAT(message, HasSubstr("--allow-inexact"));
  tuning.lenient = true;
  EXPECT_EQ(product(&tuning), product_by("halves"));
  // the table's, in contrast, is only measured anew
  const Tuning known = noting({{key, {"sideways"}}});
  EXPECT_EQ(product(&known), product_by("halves"));
}

TEST_F(TunerTest, AnotherShapeHasAnotherKey) {
  product(nullptr);
  const std::string one = key;
  product(nullptr, 1.0f);
  EXPECT_NE(key, one);
  product(nullptr, 0.0f, 2);
  EXPECT_NE(key, one);
  Product p;
  const std::string aligned = cuda::key_of(p);
  p.c = reinterpret_cast<float*>(4);
  EXPECT_NE(cuda::key_of(p), aligned);
}

TEST_F(TunerTest, WithoutMemoryForTrialsTheFirstIsTaken) {
  simt::set_costs(costs({{"halves", 10.0}}));
  Context context(0);
  context.tuner.begin(noting());
  const StreamHandle stream = context.stream.handle();
  constexpr std::int64_t rows = 1 << 16;
  DeviceBuffer<float> a(rows * 16), b(16 * 16), c(rows * 16);
  for (auto* buffer : {&a, &b, &c}) cuda::zero_async(buffer->data(), buffer->size(), stream);
  Product p;
  p.m = rows;
  p.n = p.k = p.lda = p.ldb = p.ldc = 16;
  p.a = a.data();
  p.b = b.data();
  p.c = c.data();
  simt::set_memory_limit(simt::used_bytes() + (std::size_t{1} << 20));
  context.blas->product(p, stream);
  context.stream.synchronize();
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].value, "forward");
  EXPECT_FALSE(notes[0].measured);
}

// A step's products are chosen before the step is recorded, so that replayed steps are those that were launched one by one.
TEST_F(TunerTest, RecordedStepsTakeTheSameAlgorithms) {
  const DsmParameters p = test::some_parameters(Nonlinearity::softplus, 20, 2, 70);
  const auto run = [&](bool graphs, bool tuned) {
    Context context(0);
    if (tuned) context.tuner.begin(noting());
    const auto session = cuda::make_cuda_session(context, p, test::everything(), {.graphs = graphs});
    return test::train(*session, p, test::confined_level(true, 5), 14, std::vector<float>(21, 1e-3f), 100);
  };
  simt::set_costs(costs({{"backward", 10.0}}));
  const test::Trained stepwise = run(false, true);
  test::expect_same(run(true, true), stepwise);
  EXPECT_NE(run(true, false).parameters.V, stepwise.parameters.V);
}

// Products with a column a neuron are the library's or the kernel's, whichever is faster; steps are then those of a session that was told so.
TEST_F(TunerTest, TheFastestOfProductsWithNeurons) {
  const DsmParameters p = test::some_parameters(Nonlinearity::tanh, 20, 0, 70);
  const auto run = [&](const Tuning* tuning, int tile) {
    Context context(0);
    if (tuning) context.tuner.begin(*tuning);
    const auto session = cuda::make_cuda_session(context, p, {}, {.small = false, .neuron_tile = tile});
    return test::train(*session, p, test::confined_level(false, 5), 14, std::vector<float>(5, 1e-3f), 5);
  };
  const auto chosen = [&](const std::string& way) {
    return std::count_if(notes.begin(), notes.end(), [&](const Note& note) {
      return note.key.rfind("neurons ", 0) == 0 && note.value == way && note.measured && note.rounds;
    });
  };
  for (const auto& [words, way, tile] : {std::tuple{", 48>", "tile 48", 48}, {"forward", "library", 0}}) {
    SCOPED_TRACE(way);
    notes.clear();
    simt::set_costs(costs({{words, 10.0}, {"activate", 10.0}, {"slope", 10.0}}));
    const Tuning tuning = noting();
    test::expect_same(run(&tuning, 0), run(nullptr, tile));
    EXPECT_EQ(chosen(way), 2) << "forward and back";
  }
  Choices known;
  for (const Note& note : notes) {
    if (note.key.rfind("neurons ", 0) == 0) known[note.key] = {"tile 47"};
  }
  ASSERT_EQ(known.size(), 2u);
  notes.clear();
  const Tuning nonsense = noting(known);
  run(&nonsense, 0);
  EXPECT_EQ(chosen("library"), 2);
}

// Ways that are nothing but their costs; one does not work, though the library offers it.
struct FakeWays final : cuda::Ways {
  explicit FakeWays(cuda::StreamHandle s) : stream(s) {}
  std::vector<std::string> candidates() override { return {"usual", "broken", "quick"}; }
  bool is_usable(const std::string& way) override { return way != "broken"; }
  void reserve() override {}
  void enqueue(const std::string& way) override {
    if (way == "broken") fail("not supported");
    ++n_trials;
    simt::enqueue(stream, [way] { simt::spend(way); });
  }
  cuda::StreamHandle stream;
  int n_trials = 0;
};

TEST_F(TunerTest, AWayThatFailsIsPassedOver) {
  simt::set_costs(costs({{"quick", 500.0}}));
  Context context(0);
  context.tuner.begin(noting());
  FakeWays ways(context.stream.handle());
  EXPECT_EQ(context.tuner.choose(cuda::Tuner::Kind::product, "one", ways, ways.stream), "quick");
  const int before = ways.n_trials;
  EXPECT_EQ(context.tuner.choose(cuda::Tuner::Kind::product, "one", ways, ways.stream), "quick");
  EXPECT_EQ(ways.n_trials, before);
  EXPECT_EQ(notes.size(), 1u);
}

TEST_F(TunerTest, NoGainIsInfinite) {
  simt::set_costs(costs({{"quick", 0.0}}));
  Context context(0);
  context.tuner.begin(noting());
  FakeWays ways(context.stream.handle());
  EXPECT_EQ(context.tuner.choose(cuda::Tuner::Kind::layer, "one", ways, ways.stream), "quick");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_TRUE(std::isfinite(notes[0].gain)) << "a table cannot hold it";
  EXPECT_TRUE(notes[0].rounds);
}

// A trial would spoil the recording: what is first seen there is done the usual way, and a run that goes on is told so.
TEST_F(TunerTest, NothingIsTriedInARecording) {
  simt::set_costs(costs({{"quick", 500.0}}));
  Context context(0);
  context.tuner.begin(noting({{"two", {"quick", 2.0}}}));
  FakeWays ways(context.stream.handle());
  const cuda::CudaGraph graph(context.stream, [&](cuda::StreamHandle recording) {
    EXPECT_EQ(context.tuner.choose(cuda::Tuner::Kind::product, "one", ways, recording), "usual");
    EXPECT_EQ(context.tuner.choose(cuda::Tuner::Kind::product, "two", ways, recording), "quick");
  });
  EXPECT_EQ(ways.n_trials, 0);
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_FALSE(notes[0].measured);
  EXPECT_TRUE(notes[0].rounds);
}

TEST_F(TunerTest, TheFastestKernelOfSmallChains) {
  const test::LargeCase net(Nonlinearity::relu, 1, 0, 33);
  constexpr std::int64_t n_chains = 40;
  Context context(0);
  const cuda::CudaNetwork network(net.view(), context);
  const auto ranked = cuda::ranked_small_variants(*network.small(), n_chains, context.info);
  ASSERT_GE(ranked.size(), 4u);
  EXPECT_EQ(ranked.front(), cuda::choose_small_variant(*network.small(), n_chains, context.info));
  cuda::LargeWorkspace workspace;
  const auto advance = [&](Context& on, const cuda::CudaNetwork& with, int n_calls) {
    const StreamHandle stream = on.stream.handle();
    Matrix<float> x = normal_matrix(n_chains, 1, 1);
    std::vector<std::int64_t> bad(n_chains, -1);
    DeviceBuffer<float> device_x(n_chains);
    DeviceBuffer<std::int64_t> device_bad(n_chains);
    cuda::copy_async(device_x.data(), std::as_const(x).data(), n_chains, stream);
    cuda::copy_async(device_bad.data(), std::as_const(bad).data(), n_chains, stream);
    cuda::DeviceChains chains;
    chains.n = n_chains;
    chains.x = device_x.data();
    chains.first_bad_step = device_bad.data();
    LangevinSteps steps;
    steps.dt = 0.1f;
    steps.n_steps = 5;
    for (int call = 0; call < n_calls; ++call) {
      cuda::advance_chains(with, steps, chains, workspace, on);
      steps.first_step += 5;
    }
    cuda::copy_async(x.data(), std::as_const(device_x).data(), n_chains, stream);
    on.stream.synchronize();
    return x;
  };
  const Matrix<float> expected = advance(context, network, 2);
  for (const auto& v : ranked) {
    if (test::sanitized && v.block < 512) continue;  // each kernel once: they are slow there
    SCOPED_TRACE(v.lanes * 1000000 + v.chains * 10000 + v.block);
    simt::set_costs([&](const std::string& work) {
      const bool is_this = work.find(fmt::format(", {}, {}, ", v.lanes, v.chains)) != std::string::npos &&
                           work.find(fmt::format(" blocks of {} threads", v.block)) != std::string::npos;
      return is_this ? 100.0 : 1000.0;
    });
    notes.clear();
    Context measuring(0);
    measuring.tuner.begin(noting());
    const cuda::CudaNetwork on_it(net.view(), measuring);
    EXPECT_EQ(advance(measuring, on_it, 2), expected);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_FALSE(notes[0].rounds);
    EXPECT_NEAR(notes[0].gain, v == ranked.front() ? 1.0 : 10.0, 0.2);
    const std::int64_t before = simt::kernels_run();
    Context knowing(0);
    knowing.tuner.begin(noting({{notes[0].key, {notes[0].value, notes[0].gain}}}));
    const cuda::CudaNetwork again(net.view(), knowing);
    EXPECT_EQ(advance(knowing, again, 2), expected);
    EXPECT_LE(simt::kernels_run() - before, 3) << "nothing was tried";
  }
}

TEST_F(TunerTest, ATableOfNonsenseIsMeasuredAnew) {
  const test::LargeCase net(Nonlinearity::relu, 1, 0, 5);
  for (const char* value : {"", "32x1", "32x1x256x", "7x1x256", "32x1x100", "32x1x4096"}) {
    SCOPED_TRACE(value);
    notes.clear();
    simt::set_costs(costs({}));
    Context context(0);
    context.tuner.begin(noting({{"small chains relu, D 1, U 0, N 5, 3 chains", {value}}}));
    const cuda::CudaNetwork network(net.view(), context);
    DeviceBuffer<float> x(3);
    DeviceBuffer<std::int64_t> bad(3);
    cuda::zero_async(x.data(), 3, context.stream.handle());
    cuda::zero_async(bad.data(), 3, context.stream.handle());
    cuda::DeviceChains chains;
    chains.n = 3;
    chains.x = x.data();
    chains.first_bad_step = bad.data();
    LangevinSteps steps;
    steps.dt = 0.1f;
    steps.n_steps = 1;
    cuda::LargeWorkspace workspace;
    cuda::advance_chains(network, steps, chains, workspace, context);
    context.stream.synchronize();
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_EQ(notes[0].key, "small chains relu, D 1, U 0, N 5, 3 chains");
    EXPECT_TRUE(notes[0].measured);
  }
}

}  // namespace
}  // namespace tarn
