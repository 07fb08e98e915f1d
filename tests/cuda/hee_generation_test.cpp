// Generation on the device: joint, marginal and layer by layer, in single steps against the restatement, however steps are recorded, and
// against ancestral draws. The emulator runs few chains and a short while, so that it starts joint and marginal chains from exact draws.
#include "compute/hee_generation_checks.hpp"
#include "cuda/context.hpp"
#include "cuda/hee_session.hpp"
#include "hee_device.hpp"

namespace tarn::test {
namespace {

class HeeGenerationOnDevice : public HeeDeviceTest {};

TEST_F(HeeGenerationOnDevice, StepsOfEveryFamilyMatchDouble) {
  for (const Family family : all_families) {
    SCOPED_TRACE(name_of(family));
    expect_generation_steps(on_device(), family);
  }
}

// Recordings hold whole rounds of a few inner steps, or some of many; the CPU knows of neither.
TEST_F(HeeGenerationOnDevice, ManyStepsFollowTheCpu) {
  const HeeParameters p = some_hee({{9, 6, 5}, {Family::gaussian, Family::laplace, Family::gaussian}});
  const auto cpu_backend = make_cpu_backend(1);
  for (const auto& [K, only_layer] : {std::pair{1, -1}, {3, -1}, {8, -1}, {21, -1}, {1, 0}, {1, 1}, {1, 2}}) {
    SCOPED_TRACE(testing::Message() << "K = " << K << ", layer " << only_layer);
    HeeDynamics d = dynamics_of(Integrator::leimkuhler_matthews, Interneurons::sampled);
    d.free_observation = true;
    d.observation_every = K;
    d.only_layer = only_layer;
    const auto cpu = cpu_backend->make_hee_session(p, {}), device = device_->make_hee_session(p, {});
    for (HeeSession* session : {cpu.get(), device.get()}) {
      session->set_rows({.n_data = 10, .first_chain = 4});
      session->reset(d, 3, 0, 1.0f);
      for (std::uint64_t call = 0; call < 2; ++call)
        session->infer(d, {.seed = 3, .first_step = 42 * call, .n_steps = K == 8 ? 40 : 42});
    }
    for (int l = 0; l <= 2; ++l) {
      const Matrix<float> a = read(*cpu, l, 10), b = read(*device, l, 10);
      for (std::int64_t i = 0; i < a.size(); ++i)
        ASSERT_NEAR(a.data()[i], b.data()[i], 1e-4f * (1.0f + std::abs(a.data()[i]))) << "layer " << l;
    }
  }
}

TEST_F(HeeGenerationOnDevice, RecordedStepsAreTheSame) {
  const HeeParameters p = some_hee({{9, 6}, {Family::gaussian, Family::quartic}});
  for (const int K : {1, 3, 11}) {
    HeeDynamics d = dynamics_of(Integrator::baoab, Interneurons::exact);
    d.free_observation = true;
    d.observation_every = K;
    cuda::Context context(0);
    const auto recorded = cuda::make_cuda_hee_session(context, p, {}, true),
               plain = cuda::make_cuda_hee_session(context, p, {}, false);
    for (HeeSession* session : {recorded.get(), plain.get()}) {
      session->set_rows({.n_data = 7});
      session->reset(d, 3, 0, 1.0f);
      session->infer(d, {.seed = 3, .n_steps = 66});
    }
    for (int l = 0; l <= 1; ++l) EXPECT_EQ(read(*recorded, l, 7), read(*plain, l, 7)) << "K = " << K;
  }
}

TEST_F(HeeGenerationOnDevice, TheModelsLawForEveryFamily) {
  for (const Family family : all_families) {
    for (const HeeParameters& p : models_to_generate(family)) {
      for (const Generation mode : all_generations) {
        SCOPED_TRACE(testing::Message() << name_of(family) << ", " << generation_names[static_cast<std::size_t>(mode)]
                                        << ", L = " << p.n_latent_layers());
        const bool from_noise = !emulated || mode == Generation::layerwise;
        expect_generation(on_device(), p,
                          {.mode = mode,
                           .integrator = emulated ? Integrator::baoab : integrator_for(p),
                           .duration = emulated ? (from_noise ? 12.0 : 2.4) : 20.0,
                           .from_noise = from_noise,
                           .inner_steps = 2},
                          emulated ? 512 : 16384);
      }
    }
  }
}

}  // namespace
}  // namespace tarn::test
