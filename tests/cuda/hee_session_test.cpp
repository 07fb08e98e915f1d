// Hierarchical models on the device: against the plain restatement in double; against the CPU, many steps with the same noise, and learning;
// against themselves, however steps are cut into calls or recorded.
#include "cuda/hee_session.hpp"

#include <cmath>
#include <limits>

#include "compute/hee_session_checks.hpp"
#include "compute/hee_watch_checks.hpp"
#include "cuda/context.hpp"
#include "hee_device.hpp"
#include "tarn/core/error.hpp"

namespace tarn::test {
namespace {

class HeeOnDevice : public HeeDeviceTest {
 protected:
  static MakeHee on_cpu() {
    static const std::unique_ptr<Backend> cpu = make_cpu_backend(1);
    return [](const HeeParameters& p, const HeeOptimizer& o) { return cpu->make_hee_session(p, o); };
  }
};

TEST_F(HeeOnDevice, StepsOfEveryFamilyMatchDouble) {
  for (const Family family : all_families) {
    SCOPED_TRACE(name_of(family));
    for (const Interneurons kind : {Interneurons::exact, Interneurons::sampled}) {
      expect_steps(on_device(), {{5, 7}, {family, Family::gaussian}}, dynamics_of(Integrator::euler_maruyama, kind),
                   {.n_data = 3, .chains_per_datum = 2, .first_chain = 9});
    }
    for (const Integrator integrator :
         {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
      expect_steps(on_device(), {{6, 5}, {Family::gaussian, family}}, dynamics_of(integrator, Interneurons::exact),
                   {.n_data = 5});
    }
    expect_steps(on_device(), {{7, 6, 5}, {family, family, family}, Nonlinearity::softplus},
                 dynamics_of(Integrator::leimkuhler_matthews, Interneurons::sampled, 3, 2),
                 {.n_data = 2, .chains_per_datum = 3});
  }
}

TEST_F(HeeOnDevice, StepsOfEveryNonlinearityMatchDouble) {
  for (const std::string_view name : nonlinearity_names) {
    SCOPED_TRACE(name);
    expect_steps(on_device(),
                 {{6, 8, 4}, {Family::gaussian, Family::laplace, Family::gaussian}, parse_nonlinearity(name)},
                 dynamics_of(Integrator::euler_maruyama, Interneurons::exact), {.n_data = 4});
  }
}

// Groups of four units, blocks of noise and of threads that are not full; layers that begin within a block of noise.
TEST_F(HeeOnDevice, AwkwardSizesMatchDouble) {
  const auto run = [&](std::vector<std::int64_t> sizes, std::int64_t n_data, Interneurons kind, int per_unit) {
    SCOPED_TRACE(testing::Message() << sizes[0] << " " << sizes[1] << " of " << n_data);
    const HeeShape shape{sizes, std::vector<Family>(sizes.size(), Family::gaussian)};
    expect_steps(on_device(), shape, dynamics_of(Integrator::leimkuhler_matthews, kind, per_unit), {.n_data = n_data},
                 5);
  };
  run({1, 1}, 1, Interneurons::sampled, 1);
  run({1, 2}, 17, Interneurons::sampled, 2);
  run({2, 1}, 33, Interneurons::sampled, 3);
  run({31, 67}, 31, Interneurons::sampled, 1);
  run({3, 30, 1, 2}, 65, Interneurons::exact, 1);
  run({257, 3}, 3, Interneurons::sampled, 5);
}

TEST_F(HeeOnDevice, MovingObservationsAndAdaptationMatchDouble) {
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
    HeeDynamics d = dynamics_of(integrator, Interneurons::sampled);
    d.free_observation = true;
    expect_steps(on_device(), {{7, 6, 5}, {Family::laplace, Family::gaussian_scale, Family::rectified}}, d,
                 {.n_data = 4});
  }
  HeeDynamics d = dynamics_of(Integrator::euler_maruyama, Interneurons::exact);
  d.adaptation_strength = 1.5f;
  d.adaptation_tau = 0.5f;
  expect_steps(on_device(), {{7, 6, 5}, {Family::gaussian, Family::gaussian, Family::quartic}}, d, {.n_data = 4}, 6);
}

void expect_same(const HeeSession& a, const HeeSession& b, std::int64_t n_rows, float tolerance) {
  for (int l = 0; l <= a.parameters().n_latent_layers(); ++l) {
    const Matrix<float> x = read(a, l, n_rows), y = read(b, l, n_rows);
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const float expected = x.data()[i], found = y.data()[i];
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(found)) << "layer " << l << " element " << i;
      } else {
        ASSERT_NEAR(found, expected, tolerance * (1.0f + std::abs(expected))) << "layer " << l << " element " << i;
      }
    }
  }
}

// The same noise and the same arithmetic: after a few dozen steps only the rounding of products differs, and it shrinks as fast as the
// posterior pulls.
TEST_F(HeeOnDevice, ManyStepsFollowTheCpu) {
  const HeeParameters p = some_hee({{20, 24, 12}, {Family::gaussian, Family::laplace, Family::gaussian}});
  const HeeRows rows{.n_data = 10, .chains_per_datum = 3, .first_chain = 4};
  for (const Interneurons kind : {Interneurons::exact, Interneurons::sampled}) {
    const auto cpu = on_cpu()(p, {}), device = on_device()(p, {});
    for (HeeSession* session : {cpu.get(), device.get()}) {
      session->set_rows(rows);
      session->set_observations(some_states(p, 0, rows.n_data));
      session->reset(dynamics_of(Integrator::leimkuhler_matthews, kind), 3, 0, 1.0f);
      session->infer(dynamics_of(Integrator::leimkuhler_matthews, kind),
                     {.seed = 3, .first_step = 0, .n_steps = 60, .statistics = true, .means = true});
    }
    expect_same(*cpu, *device, rows.n_rows(), 1e-4f);
    Matrix<float> a(rows.n_rows(), 24), b = a;
    cpu->read_mean(1, a);
    device->read_mean(1, b);
    for (std::int64_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data()[i], b.data()[i], 1e-4f);
    const HeeStatistics s = cpu->statistics(), t = device->statistics();
    EXPECT_EQ(s.n_samples, t.n_samples);
    for (std::size_t l = 0; l < 2; ++l) {
      EXPECT_NEAR(s.error[l], t.error[l], 1e-4 * s.error[l]);
      EXPECT_NEAR(s.activity[l], t.activity[l], 1e-4);
      EXPECT_NEAR(s.activity_2[l], t.activity_2[l], 1e-4 * s.activity_2[l]);
    }
  }
}

// Ten batches of inference and learning, by each rule.
TEST_F(HeeOnDevice, LearningFollowsTheCpu) {
  const HeeParameters p = some_hee({{12, 10, 7}, {Family::gaussian, Family::laplace, Family::rectified}});
  for (const HeeRule rule : {HeeRule::plain, HeeRule::adam}) {
    for (const bool normalise : {false, true}) {
      SCOPED_TRACE(testing::Message() << (rule == HeeRule::adam ? "adam" : "plain") << normalise);
      HeeOptimizer o;
      o.rule = rule;
      o.normalise_columns = {normalise, false};
      const auto cpu = on_cpu()(p, o), device = on_device()(p, o);
      const HeeDynamics d = dynamics_of(Integrator::euler_maruyama, Interneurons::exact);
      for (HeeSession* session : {cpu.get(), device.get()}) {
        session->set_rows({.n_data = 9});
        session->set_observations(some_states(p, 0, 9));
        for (std::uint64_t batch = 0; batch < 10; ++batch) {
          session->reset(d, 3, batch, 0.5f);
          session->infer(d, {.seed = 3, .first_step = 20 * batch, .n_steps = 10});
          session->infer(d, {.seed = 3, .first_step = 20 * batch + 10, .n_steps = 10, .statistics = true});
          const double rates[] = {rule == HeeRule::adam ? 0.01 : 0.1, rule == HeeRule::adam ? 0.01 : 0.05};
          session->learn(rates);
        }
      }
      const HeeParameters &a = cpu->parameters(), &b = device->parameters();
      for (std::size_t l = 0; l < 3; ++l) {
        for (std::int64_t i = 0; i < a.b[l].size(); ++i) EXPECT_NEAR(a.b[l].data()[i], b.b[l].data()[i], 2e-4f);
        for (std::int64_t i = 0; l > 0 && i < a.W[l - 1].size(); ++i)
          EXPECT_NEAR(a.W[l - 1].data()[i], b.W[l - 1].data()[i], 2e-4f);
        EXPECT_NE(a.b[l], p.b[l]);
      }
      if (!normalise) continue;
      for (std::int64_t j = 0; j < b.W[0].cols(); ++j) {
        double square = 0.0;
        for (std::int64_t i = 0; i < b.W[0].rows(); ++i) square += std::pow(static_cast<double>(b.W[0](i, j)), 2);
        EXPECT_NEAR(square, 1.0, 1e-5);
      }
    }
  }
}

// However a stretch of steps is cut into calls, and whether its steps were recorded or not, the bits are the same.
TEST_F(HeeOnDevice, RecordedStepsEqualStepsOneByOne) {
  const HeeParameters p =
      some_hee({{9, 14, 6}, {Family::gaussian, Family::laplace, Family::quartic}, Nonlinearity::tanh});
  cuda::Context context(0);
  const HeeDynamics d = dynamics_of(Integrator::baoab, Interneurons::sampled);
  const auto recorded = cuda::make_cuda_hee_session(context, p, {}, true),
             plain = cuda::make_cuda_hee_session(context, p, {}, false);
  for (HeeSession* session : {recorded.get(), plain.get()}) start(*session, {.n_data = 7});
  for (std::uint64_t step = 0; step < 78; step += 39) {
    recorded->infer(d, {.seed = 9, .first_step = step, .n_steps = 39, .statistics = true, .means = true});
    for (std::uint64_t i = 0; i < 39; i += 13)
      plain->infer(d, {.seed = 9, .first_step = step + i, .n_steps = 13, .statistics = true, .means = true});
  }
  expect_same(*recorded, *plain, 7, 0.0f);
  const HeeParameters a = recorded->gradient(), b = plain->gradient();
  EXPECT_EQ(a.W, b.W);
  EXPECT_EQ(a.b, b.b);
}

TEST_F(HeeOnDevice, StateAndRestoreGoOnExactlyWhereTheyStopped) {
  const HeeParameters p = some_hee({{9, 14, 6}, {Family::gaussian, Family::laplace, Family::rectified}});
  HeeOptimizer o;
  o.rule = HeeRule::adam;
  const HeeDynamics d = dynamics_of(Integrator::baoab, Interneurons::sampled, 2);
  const auto advance = [&](HeeSession& session, std::uint64_t step) {
    session.infer(d, {.seed = 9, .first_step = step, .n_steps = 12, .statistics = true});
    const double rates[] = {0.01, 0.02};
    session.learn(rates);
  };
  const auto whole = on_device()(p, o), first = on_device()(p, o), second = on_device()(p, o);
  for (HeeSession* session : {whole.get(), first.get()}) start(*session, {.n_data = 7});
  for (std::uint64_t step = 0; step < 48; step += 12) advance(*whole, step);
  for (std::uint64_t step = 0; step < 24; step += 12) advance(*first, step);
  second->set_rows({.n_data = 7});
  second->restore(first->training_state());
  second->restore(first->chain_state());
  for (std::uint64_t step = 24; step < 48; step += 12) advance(*second, step);
  expect_same(*whole, *second, 7, 0.0f);
  EXPECT_EQ(whole->parameters().W, second->parameters().W);
  EXPECT_EQ(whole->parameters().b, second->parameters().b);
  EXPECT_EQ(whole->training_state().arrays, second->training_state().arrays);
}

// A chain that is given an infinite number, and one that explodes, are lost with all their state, alone, and at the CPU's step; the rest and
// what is learned from them stays finite. A chain that is given numbers again is well.
TEST_F(HeeOnDevice, LostChainsHarmNobody) {
  const HeeParameters p = some_hee({{6, 8, 4}, {Family::gaussian, Family::quartic, Family::gaussian}});
  const HeeDynamics d = dynamics_of(Integrator::euler_maruyama, Interneurons::sampled);
  const auto cpu = on_cpu()(p, {}), device = on_device()(p, {}), clean = on_device()(p, {});
  const auto states = [&](int l, bool harmed) {
    Matrix<float> x = some_states(p, l, 6);
    if (harmed && l == 2) x(1, 3) = std::numeric_limits<float>::infinity();
    if (harmed && l == 1) x(4, 2) = 100.0f;  // the cubic force is larger than a step can follow
    return x;
  };
  for (HeeSession* session : {cpu.get(), device.get(), clean.get()}) {
    session->set_rows({.n_data = 6});
    session->set_observations(some_states(p, 0, 6));
    for (int l : {1, 2}) session->write(l, states(l, session != clean.get()));
    session->infer(d, {.seed = 1, .n_steps = 30, .statistics = true});
  }
  expect_same(*cpu, *device, 6, 1e-4f);
  const auto bad = device->first_bad_step();
  EXPECT_TRUE(std::equal(bad.begin(), bad.end(), cpu->first_bad_step().begin()));
  EXPECT_EQ(bad[1], 0);
  EXPECT_GT(bad[4], 0);
  const Matrix<float> x = read(*device, 1, 6), y = read(*clean, 1, 6);
  for (const std::int64_t row : {0, 2, 3, 5}) {
    for (std::int64_t i = 0; i < 8; ++i) EXPECT_EQ(x(row, i), y(row, i));
  }
  for (const Matrix<float>& dW : device->gradient().W) {
    for (std::int64_t i = 0; i < dW.size(); ++i) ASSERT_TRUE(std::isfinite(dW.data()[i]));
  }
  for (int l : {1, 2}) device->write(l, states(l, false));
  EXPECT_EQ(device->first_bad_step()[1], -1);
  device->clear();
  device->infer(d, {.seed = 1, .n_steps = 2, .statistics = true});
  EXPECT_EQ(device->statistics().n_samples, 12);
}

TEST_F(HeeOnDevice, SchedulesOfFamilyParametersMatchTheCpu) {
  const HeeParameters p = some_hee({{6, 8}, {Family::gaussian, Family::laplace}});
  const HeeDynamics d = dynamics_of(Integrator::euler_maruyama, Interneurons::exact);
  const auto cpu = on_cpu()(p, {}), device = on_device()(p, {});
  for (HeeSession* session : {cpu.get(), device.get()}) {
    start(*session, {.n_data = 4});
    session->infer(d, {.seed = 1, .n_steps = 20});
    session->set_family_parameters(0, {.s = 0.5});
    session->set_family_parameters(1, {.rate = 5.0, .width = 0.2});
    session->infer(d, {.seed = 1, .first_step = 20, .n_steps = 20});
  }
  expect_same(*cpu, *device, 4, 1e-4f);
  EXPECT_THROW(device->set_family_parameters(0, {.s = -1.0}), Error);
  EXPECT_THROW(device->set_family_parameters(2, {}), Error);
}

TEST_F(HeeOnDevice, LooksAreOfTheStatesThatAreRead) {
  expect_watched(on_device(), 1, 2, false, 8);
  expect_watched(on_device(), 0, 0, true, 2);
  expect_watched(on_device(), 0, 0, false, 1);
}

TEST_F(HeeOnDevice, MisuseIsRefused) {
  const HeeParameters p = some_hee({{6, 8}, {Family::gaussian, Family::laplace}});
  const auto session = on_device()(p, {});
  session->set_rows({.n_data = 4});
  Matrix<float> wrong(3, 6);
  EXPECT_THROW(session->set_observations(wrong), Error);
  EXPECT_THROW(session->write(1, wrong), Error);
  EXPECT_THROW(session->read(7, wrong), Error);
  EXPECT_THROW(session->read_mean(1, wrong), Error);
  EXPECT_THROW(session->gradient(), Error);
  const double rate = 0.1;
  EXPECT_THROW(session->learn({&rate, 1}), Error);
  EXPECT_THROW(session->observe(), Error);
  HeeDynamics d;
  d.dt = -1.0f;
  EXPECT_THROW(session->infer(d, {}), Error);
}

}  // namespace
}  // namespace tarn::test
