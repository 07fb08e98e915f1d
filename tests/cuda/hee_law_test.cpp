// What inference samples on the device: the posterior and the Lyapunov covariance of the linear-Gaussian model, the principal subspace, the
// model's own law for every family, and heating that shrinks with the ratio of the time constants (tests 1 to 4 of docs/hee.md). The
// emulator runs fewer chains; every bound follows from their number.
#include "compute/hee_joint_checks.hpp"
#include "compute/hee_learning_checks.hpp"
#include "hee_device.hpp"

namespace tarn::test {
namespace {

constexpr std::int64_t n_chains = emulated ? 512 : 65536;

class HeeLawOnDevice : public HeeDeviceTest {};

HeeDynamics dynamics_of(Integrator integrator, float dt) {
  HeeDynamics d;
  d.integrator = integrator;
  d.dt = dt;
  return d;
}

TEST_F(HeeLawOnDevice, PosteriorOfTheLinearGaussianModel) {
  expect_posterior(on_device(), dynamics_of(Integrator::euler_maruyama, 0.05f), false, n_chains);
  expect_posterior(on_device(), dynamics_of(Integrator::leimkuhler_matthews, 0.1f), true, n_chains);
  HeeDynamics d = dynamics_of(Integrator::baoab, 0.3f);
  d.friction = 1.0f;
  expect_posterior(on_device(), d, true, n_chains);
}

TEST_F(HeeLawOnDevice, SampledInterneuronsGiveTheLyapunovCovariance) {
  HeeDynamics d = dynamics_of(Integrator::euler_maruyama, 0.08f);
  d.interneurons = Interneurons::sampled;
  d.tau_ratio = 0.2f;
  expect_posterior(on_device(), d, false, n_chains);
  d.per_unit = 3;
  d.substeps = 2;
  expect_posterior(on_device(), d, false, n_chains);
}

TEST_F(HeeLawOnDevice, HeatingShrinksWithTheRatio) {
  const double error = sigmas * std::sqrt(2.0 / static_cast<double>(n_chains));
  for (const float ratio : {0.4f, 0.05f}) {
    const double expected = interneuron_heating(1.0, 1.0, 1.0, static_cast<double>(ratio), 1);
    // discretisation adds dt/2 times the posterior's rate, 2, on top: 0.02; the bound has room for it
    EXPECT_NEAR(heating(on_device(), ratio, 1, n_chains), expected, expected * error + 0.04) << "ratio " << ratio;
  }
}

TEST_F(HeeLawOnDevice, LearningFindsThePrincipalSubspace) {
  expect_principal_subspace(on_device(), emulated ? 256 : 1024, emulated ? 200 : 300);
}

TEST_F(HeeLawOnDevice, TheModelsLawIsKeptForEveryFamily) {
  for (const Family family : {Family::gaussian, Family::laplace, Family::gaussian_scale, Family::laplace_scale,
                              Family::quartic, Family::rectified}) {
    SCOPED_TRACE(name_of(family));
    for (const HeeParameters& p : models_with(family)) {
      for (const bool free_observation : {false, true})
        expect_law_is_kept(on_device(), p, free_observation, emulated ? 256 : n_chains, emulated ? 0.5 : 4.0);
    }
  }
}

}  // namespace
}  // namespace tarn::test
