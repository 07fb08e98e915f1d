// Generation on the CPU: joint, marginal and layer by layer, in single steps against the restatement, and from noise against ancestral draws,
// for every family and one and two latent layers.
#include <limits>

#include "compute/hee_generation_checks.hpp"
#include "message_of.hpp"
#include "sanitized.hpp"

namespace tarn {
namespace {

using test::Generation;
using test::GenerationRun;
using testing::Message;

constexpr std::int64_t n_chains = test::sanitized ? 512 : 8192;

std::unique_ptr<HeeSession> on_cpu(const HeeParameters& p, const HeeOptimizer& o) {
  return make_cpu_backend(2)->make_hee_session(p, o);
}

class HeeGeneration : public testing::TestWithParam<Family> {};

TEST_P(HeeGeneration, StepsMatchDouble) { test::expect_generation_steps(on_cpu, GetParam()); }

TEST_P(HeeGeneration, FromNoiseToTheModelsLaw) {
  for (const HeeParameters& p : test::models_to_generate(GetParam())) {
    for (const Generation mode : test::all_generations) {
      SCOPED_TRACE(Message() << test::generation_names[static_cast<std::size_t>(mode)] << ", observation "
                             << name_of(p.layers[0].family) << ", L = " << p.n_latent_layers());
      test::expect_generation(on_cpu, p, {.mode = mode, .integrator = test::integrator_for(p)}, n_chains);
    }
  }
}

TEST_P(HeeGeneration, WithMomentum) {
  const HeeParameters p = test::models_to_generate(GetParam())[2];
  for (const Generation mode : test::all_generations) {
    SCOPED_TRACE(test::generation_names[static_cast<std::size_t>(mode)]);
    test::expect_generation(on_cpu, p, {.mode = mode, .integrator = Integrator::baoab}, n_chains);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, HeeGeneration, testing::ValuesIn(test::all_families),
                         [](const auto& family) { return std::string(name_of(family.param)); });

HeeDynamics generating(Integrator integrator, int every, int only_layer = -1) {
  HeeDynamics d = test::dynamics_of(integrator, Interneurons::sampled);
  d.free_observation = true;
  d.observation_every = every;
  d.only_layer = only_layer;
  return d;
}

// Calls end where the observation has just moved, so that nothing is carried over but the chains.
TEST(HeeGenerationCalls, HoweverStepsAreCutAndSharedAmongThreads) {
  const HeeParameters p = test::some_hee({{20, 33, 7}, {Family::gaussian, Family::laplace, Family::gaussian}});
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
    for (const HeeDynamics& d :
         {generating(integrator, 5), generating(integrator, 1, 0), generating(integrator, 1, 1)}) {
      const auto whole = make_cpu_backend(2)->make_hee_session(p, {}),
                 cut = make_cpu_backend(1)->make_hee_session(p, {});
      for (HeeSession* session : {whole.get(), cut.get()}) {
        session->set_rows({.n_data = 70, .first_chain = 11});
        session->reset(d, 4, 0, 1.0f);
      }
      whole->infer(d, {.seed = 4, .first_step = 100, .n_steps = 20});
      for (std::uint64_t t = 0; t < 20; t += 10) cut->infer(d, {.seed = 4, .first_step = 100 + t, .n_steps = 10});
      for (int l = 0; l <= 2; ++l) EXPECT_EQ(test::read(*whole, l, 70), test::read(*cut, l, 70)) << "layer " << l;
      EXPECT_EQ(whole->chain_state().arrays, cut->chain_state().arrays);
    }
  }
}

TEST(HeeGenerationCalls, LostChainsTouchNoOther) {
  const HeeParameters p = test::some_hee({{20, 33}, {Family::gaussian, Family::gaussian}});
  for (const HeeDynamics& d : {generating(Integrator::leimkuhler_matthews, 3), generating(Integrator::baoab, 1, 0)}) {
    const auto well = on_cpu(p, {}), sick = on_cpu(p, {});
    for (HeeSession* session : {well.get(), sick.get()}) {
      session->set_rows({.n_data = 40});
      session->reset(d, 4, 0, 1.0f);
    }
    Matrix<float> x0 = test::read(*sick, 0, 40);
    x0(5, 2) = std::numeric_limits<float>::infinity();
    sick->write(0, x0);
    for (HeeSession* session : {well.get(), sick.get()}) session->infer(d, {.seed = 4, .n_steps = 6});
    const Matrix<float> expected = test::read(*well, 0, 40), found = test::read(*sick, 0, 40);
    for (std::int64_t r = 0; r < 40; ++r) {
      EXPECT_EQ(sick->first_bad_step()[static_cast<std::size_t>(r)], r == 5 ? 0 : -1);
      for (std::int64_t i = 0; i < 20; ++i) {
        if (r == 5) {
          ASSERT_TRUE(std::isnan(found(r, i)));
        } else {
          ASSERT_EQ(found(r, i), expected(r, i));
        }
      }
    }
  }
}

TEST(HeeGenerationCalls, RefusesWhatMakesNoSense) {
  const HeeParameters p = test::some_hee({{3, 2}, {Family::gaussian, Family::gaussian}});
  const auto session = on_cpu(p, {});
  session->set_rows({.n_data = 4});
  const auto refusal = [&](const HeeDynamics& d, const HeeSteps& steps) {
    return test::message_of([&] { session->infer(d, steps); });
  };
  EXPECT_EQ(refusal(generating(Integrator::baoab, 0), {.n_steps = 4}),
            "generation: the observation moves every K-th step, K one or more; found 0");
  EXPECT_EQ(refusal(generating(Integrator::baoab, 3), {.n_steps = 4}),
            "generation: 4 steps in a call are no multiple of observation_every = 3");
  EXPECT_EQ(refusal(generating(Integrator::baoab, 1, 2), {.n_steps = 4}),
            "generation: there is no layer 2 to move alone");
  EXPECT_EQ(refusal(generating(Integrator::baoab, 2, 0), {.n_steps = 4}),
            "generation: a layer that moves alone moves in every step, found observation_every = 2");
  EXPECT_EQ(refusal(generating(Integrator::baoab, 1, 0), {.n_steps = 4, .means = true}),
            "generation: a layer that moves alone has neither statistics nor posterior means");
  HeeDynamics d = generating(Integrator::baoab, 2);
  d.free_observation = false;
  EXPECT_EQ(refusal(d, {.n_steps = 4}),
            "generation: steps of the observation, or of a layer alone, need an observation that is free to move");
}

TEST(HeeGenerationCalls, CountsMatrixProducts) {
  EXPECT_EQ(n_matrix_products(generating(Integrator::baoab, 1), 1, 10), 20);
  EXPECT_EQ(n_matrix_products(generating(Integrator::baoab, 5), 2, 10), 40);
  EXPECT_EQ(n_matrix_products(generating(Integrator::baoab, 1, 2), 2, 10), 0);  // its eta is a bias
  EXPECT_EQ(n_matrix_products(generating(Integrator::baoab, 1, 0), 2, 10), 1);
}

}  // namespace
}  // namespace tarn
