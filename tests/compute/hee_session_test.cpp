// What a session promises beside its arithmetic: a chain does not depend on the others, nothing depends on threads or on how steps
// are cut into calls, bad chains are left out, and a restored session goes on exactly.
#include <limits>

#include "compute/hee_session_checks.hpp"
#include "message_of.hpp"

namespace tarn {
namespace {

std::unique_ptr<HeeSession> on_threads(const HeeParameters& p, int n_threads, const HeeOptimizer& o = {}) {
  return make_cpu_backend(n_threads)->make_hee_session(p, o);
}

HeeParameters two_layers() {
  return test::some_hee({{20, 33, 7}, {Family::gaussian, Family::laplace, Family::rectified}, Nonlinearity::softplus});
}

HeeDynamics some_dynamics(Integrator integrator = Integrator::leimkuhler_matthews) {
  HeeDynamics d;
  d.integrator = integrator;
  d.dt = 0.01f;
  d.interneurons = Interneurons::sampled;
  d.per_unit = 2;
  d.substeps = 2;
  return d;
}

constexpr HeeRows some_rows{.n_data = 130, .chains_per_datum = 2, .first_chain = 1000};

TEST(HeeSession, ThreadsDoNotMatter) {
  const HeeParameters p = two_layers();
  const auto run = [&](int n_threads) {
    auto session = on_threads(p, n_threads);
    test::start(*session, some_rows);
    session->infer(some_dynamics(), {.seed = 1, .first_step = 3, .n_steps = 100, .statistics = true});
    return session;
  };
  const auto one = run(1), three = run(3);
  for (int l = 1; l <= 2; ++l) {
    EXPECT_EQ(test::read(*one, l, some_rows.n_rows()), test::read(*three, l, some_rows.n_rows()));
    EXPECT_EQ(one->gradient().W[static_cast<std::size_t>(l - 1)], three->gradient().W[static_cast<std::size_t>(l - 1)]);
  }
  EXPECT_EQ(one->statistics().error, three->statistics().error);
}

// The chains of the last data, alone in a session, where they lie in other panels and tiles.
TEST(HeeSession, AChainDoesNotDependOnTheOthers) {
  const HeeParameters p = two_layers();
  const std::int64_t n_rows = some_rows.n_rows(), n_some = 18, first = n_rows - n_some;
  const auto all = on_threads(p, 2), some = on_threads(p, 2);
  test::start(*all, some_rows);
  some->set_rows(
      {.n_data = n_some / 2, .chains_per_datum = 2, .first_chain = 1000 + static_cast<std::uint64_t>(first)});
  const Matrix<float> x0 = test::some_states(p, 0, some_rows.n_data);
  some->set_observations(x0.view().slice(first / 2, some_rows.n_data));
  for (int l = 1; l <= 2; ++l) some->write(l, test::some_states(p, l, n_rows).view().slice(first, n_rows));
  for (const auto& session : {all.get(), some.get()}) session->infer(some_dynamics(), {.seed = 1, .n_steps = 8});
  for (int l = 1; l <= 2; ++l) {
    const Matrix<float> x = test::read(*all, l, n_rows), alone = test::read(*some, l, n_some);
    for (std::int64_t i = 0; i < alone.size(); ++i) ASSERT_EQ(alone.data()[i], x.row(first)[i]) << "layer " << l;
  }
}

TEST(HeeSession, StepsMayBeCutIntoCalls) {
  const HeeParameters p = two_layers();
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
    const auto whole = on_threads(p, 2), parts = on_threads(p, 2);
    for (const auto& session : {whole.get(), parts.get()}) {
      test::start(*session, some_rows);
      session->reset(some_dynamics(integrator), 9, 4, 0.5f);
    }
    whole->infer(some_dynamics(integrator), {.seed = 1, .n_steps = 9, .means = true});
    parts->infer(some_dynamics(integrator), {.seed = 1, .n_steps = 4, .means = true});
    parts->infer(some_dynamics(integrator), {.seed = 1, .first_step = 4, .n_steps = 5, .means = true});
    EXPECT_EQ(test::read(*whole, 1, some_rows.n_rows()), test::read(*parts, 1, some_rows.n_rows()));
    Matrix<float> mean(some_rows.n_rows(), 33), of_parts(some_rows.n_rows(), 33);
    whole->read_mean(1, mean);
    parts->read_mean(1, of_parts);
    EXPECT_EQ(mean, of_parts);
  }
}

TEST(HeeSession, ResetStartsFromTheStatedNormals) {
  const HeeParameters p = two_layers();
  const auto session = on_threads(p, 1);
  test::start(*session, some_rows);
  session->reset(some_dynamics(Integrator::baoab), 9, 4, 0.5f);
  const std::int64_t n = some_rows.n_rows();
  const Matrix<float> xi = test::normals_of(9, Stream::initial_law, 1000, 4, n, 40),
                      eta = test::normals_of(9, Stream::dynamics_second, 1000, 4, n, 40);
  const Matrix<float> x1 = test::read(*session, 1, n), x2 = test::read(*session, 2, n);
  const HeeChainState state = session->chain_state();
  for (std::int64_t r = 0; r < n; ++r) {
    for (std::int64_t i = 0; i < 33; ++i) {
      ASSERT_EQ(x1(r, i), 0.5f * xi(r, i));
      ASSERT_EQ(state.arrays.at("momentum.1")(r, i), eta(r, i));
    }
    for (std::int64_t i = 0; i < 7; ++i) ASSERT_EQ(x2(r, i), std::abs(0.5f * xi(r, 33 + i)));  // rectified
  }
  session->reset(some_dynamics(), 9, 4, 0.0f);
  EXPECT_EQ(test::read(*session, 1, n), Matrix<float>(n, 33));
}

// The last datum is not a number, and one chain is started so far out that its first step overflows. Both are NaN at once, the rest are
// what they are without them, and learning sees the rest only.
TEST(HeeSession, QuarantineHarmsNobody) {
  const HeeParameters p = two_layers();
  const HeeRows rows{.n_data = 45, .chains_per_datum = 1};
  const auto sick = on_threads(p, 2), well = on_threads(p, 2);
  const HeeDynamics d = some_dynamics(Integrator::baoab);
  for (const auto& session : {sick.get(), well.get()}) {
    test::start(*session, rows);
    session->infer(d, {.seed = 2, .n_steps = 2});
  }
  Matrix<float> x0 = test::some_states(p, 0, 45), x1 = test::read(*sick, 1, 45);
  x0(44, 3) = std::numeric_limits<float>::quiet_NaN();
  sick->set_observations(x0);
  x1(7, 5) = 1e38f;
  sick->write(1, x1);
  for (const auto& session : {sick.get(), well.get()})
    session->infer(d, {.seed = 2, .first_step = 2, .n_steps = 6, .statistics = true, .means = true});

  const Matrix<float> found = test::read(*sick, 1, 45), expected = test::read(*well, 1, 45);
  const HeeChainState state = sick->chain_state();
  for (std::int64_t r = 0; r < 45; ++r) {
    const bool bad = r == 7 || r == 44;
    EXPECT_EQ(sick->first_bad_step()[static_cast<std::size_t>(r)], bad ? 2 : -1);
    for (std::int64_t i = 0; i < 33; ++i) {
      if (bad) {
        ASSERT_TRUE(std::isnan(found(r, i)) && std::isnan(state.arrays.at("momentum.1")(r, i)));
        ASSERT_TRUE(std::isnan(state.arrays.at("e.1")(r, i)));
      } else {
        ASSERT_EQ(found(r, i), expected(r, i)) << "row " << r;
      }
    }
  }
  EXPECT_EQ(sick->statistics().n_samples, 43 * 6);
  EXPECT_EQ(well->statistics().n_samples, 45 * 6);
  const HeeParameters gradient = sick->gradient();
  for (const Matrix<float>* values : {&gradient.W[0], &gradient.W[1], &gradient.b[0], &gradient.b[2]}) {
    for (std::int64_t i = 0; i < values->size(); ++i) ASSERT_TRUE(std::isfinite(values->data()[i]));
  }

  // Finite numbers in all layers make a chain well again.
  x1 = test::some_states(p, 1, 45);
  const Matrix<float> x2 = test::some_states(p, 2, 45);
  sick->set_observations(test::some_states(p, 0, 45));
  sick->write(1, x1);
  EXPECT_EQ(sick->first_bad_step()[7], 2);
  sick->write(2, x2);
  EXPECT_EQ(sick->first_bad_step()[7], -1);
  sick->infer(d, {.seed = 2, .first_step = 8, .n_steps = 3});
  EXPECT_EQ(sick->first_bad_step()[44], -1);
}

// A batch larger than what is held at a time: blocks of chains one after the other, one step of learning.
TEST(HeeSession, StatisticsOutliveABlockOfChains) {
  const HeeParameters p = two_layers();
  const auto whole = on_threads(p, 2), blocks = on_threads(p, 2);
  const Matrix<float> x0 = test::some_states(p, 0, 160);
  const auto run = [&](HeeSession& session, std::int64_t first, std::int64_t last) {
    session.set_rows({.n_data = last - first, .first_chain = static_cast<std::uint64_t>(first)});
    session.set_observations(x0.view().slice(first, last));
    session.infer(some_dynamics(), {.seed = 1, .n_steps = 3, .statistics = true});
  };
  run(*whole, 0, 160);
  run(*blocks, 0, 32);
  run(*blocks, 32, 160);
  EXPECT_EQ(blocks->statistics().n_samples, 480);
  const HeeParameters a = whole->gradient(), b = blocks->gradient();
  for (std::int64_t i = 0; i < a.W[0].size(); ++i) ASSERT_NEAR(a.W[0].data()[i], b.W[0].data()[i], 1e-6f);  // rounding
}

TEST(HeeSession, RestoredSessionsGoOnExactly) {
  const HeeParameters p = two_layers();
  HeeOptimizer optimizer;
  optimizer.rule = HeeRule::adam;
  optimizer.adam.amsgrad = true;
  optimizer.normalise_columns = {true, false};
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::baoab}) {
    HeeDynamics d = some_dynamics(integrator);
    if (integrator == Integrator::euler_maruyama) d.adaptation_strength = 0.7f;
    const std::vector<double> rates{1e-2, 2e-2};
    const auto stretch = [&](HeeSession& session, std::uint64_t first) {
      session.infer(d, {.seed = 3, .first_step = first, .n_steps = 5, .statistics = true});
      session.learn(rates);
    };
    const auto whole = on_threads(p, 2, optimizer), resumed = on_threads(p, 1, optimizer);
    test::start(*whole, some_rows);
    stretch(*whole, 0);
    const TrainingState training = whole->training_state();
    const HeeChainState chains = whole->chain_state();
    stretch(*whole, 5);
    resumed->set_rows(some_rows);
    resumed->restore(training);
    resumed->restore(chains);
    stretch(*resumed, 5);
    EXPECT_EQ(test::read(*whole, 2, some_rows.n_rows()), test::read(*resumed, 2, some_rows.n_rows()));
    for (std::size_t l = 0; l < 3; ++l) {
      EXPECT_EQ(whole->parameters().b[l], resumed->parameters().b[l]);
      if (l > 0) {
        EXPECT_EQ(whole->parameters().W[l - 1], resumed->parameters().W[l - 1]);
        EXPECT_NE(whole->parameters().W[l - 1], p.W[l - 1]);
      }
    }
    EXPECT_EQ(whole->training_state().arrays, resumed->training_state().arrays);
    EXPECT_EQ(whole->chain_state().arrays, resumed->chain_state().arrays);
  }
}

TEST(HeeSession, RefusesWhatDoesNotFit) {
  HeeParameters p = two_layers();
  const auto session = on_threads(p, 1);
  session->set_rows({.n_data = 4});
  const auto refusal = [&](auto&& f) { return test::message_of(f); };
  EXPECT_EQ(refusal([&] { session->set_observations(Matrix<float>(4, 19)); }),
            "observations must be [4, 20], found [4, 19]");
  EXPECT_EQ(refusal([&] {
              session->learn(std::vector<double>{0.1, 0.1});
            }),
            "learning: no statistics were collected, or no chain is well");
  HeeDynamics d = some_dynamics();
  d.tau_ratio = 1.0f;
  EXPECT_NE(refusal([&] { session->infer(d, {.n_steps = 1}); }).find("tau_ratio = tau_e/tau must lie between 0 and 1"),
            std::string::npos);
  p.W[1] = Matrix<float>(33, 8);
  EXPECT_EQ(refusal([&] { on_threads(p, 1); }), "model: W[1] is [33, 8], it should be [33, 7]");
}

}  // namespace
}  // namespace tarn
