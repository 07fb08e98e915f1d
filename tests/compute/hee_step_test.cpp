// Steps of inference and sums of the local rule on the CPU against the plain restatement in double, for every family, nonlinearity,
// integrator and kind of interneuron.
#include "compute/hee_session_checks.hpp"

namespace tarn {
namespace {

using test::all_families;
using test::dynamics_of;
using test::HeeShape;

std::unique_ptr<HeeSession> on_cpu(const HeeParameters& p, const HeeOptimizer& o) {
  return make_cpu_backend(2)->make_hee_session(p, o);
}

TEST(HeeStep, EveryFamilyAsLayerBelow) {
  for (const Family family : all_families) {
    SCOPED_TRACE(name_of(family));
    for (const Interneurons kind : {Interneurons::exact, Interneurons::sampled}) {
      test::expect_steps(on_cpu, {{5, 7}, {family, Family::gaussian}}, dynamics_of(Integrator::euler_maruyama, kind),
                         {.n_data = 3, .chains_per_datum = 2, .first_chain = 9});
    }
  }
}

TEST(HeeStep, EveryFamilyAsLatentLayer) {
  for (const Family family : all_families) {
    SCOPED_TRACE(name_of(family));
    for (const Integrator integrator :
         {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
      test::expect_steps(on_cpu, {{6, 5}, {Family::gaussian, family}}, dynamics_of(integrator, Interneurons::exact),
                         {.n_data = 5});
    }
  }
}

TEST(HeeStep, EveryNonlinearity) {
  for (const std::string_view name : nonlinearity_names) {
    SCOPED_TRACE(name);
    test::expect_steps(on_cpu,
                       {{6, 9, 4}, {Family::gaussian, Family::laplace, Family::gaussian}, parse_nonlinearity(name)},
                       dynamics_of(Integrator::euler_maruyama, Interneurons::exact), {.n_data = 4});
  }
}

TEST(HeeStep, TwoLayersOfEveryFamily) {
  for (const Family family : all_families) {
    SCOPED_TRACE(name_of(family));
    test::expect_steps(on_cpu, {{7, 6, 5}, {family, family, family}, Nonlinearity::softplus},
                       dynamics_of(Integrator::leimkuhler_matthews, Interneurons::sampled, 3, 2),
                       {.n_data = 2, .chains_per_datum = 3});
  }
}

// Panels, packs, pieces and blocks of noise that are not full; more rows than a tile, more steps than the statistics take at a time.
TEST(HeeStep, AwkwardSizes) {
  const auto run = [](std::vector<std::int64_t> sizes, std::int64_t n_data, Interneurons kind, int per_unit,
                      std::int64_t n_steps) {
    SCOPED_TRACE(testing::Message() << sizes[0] << " " << sizes[1] << " of " << n_data);
    const HeeShape shape{sizes, std::vector<Family>(sizes.size(), Family::gaussian)};
    test::expect_steps(on_cpu, shape, dynamics_of(Integrator::leimkuhler_matthews, kind, per_unit), {.n_data = n_data},
                       n_steps);
  };
  run({1, 1}, 1, Interneurons::sampled, 1, 5);
  run({1, 2}, 17, Interneurons::sampled, 2, 6);
  run({2, 1}, 33, Interneurons::sampled, 3, 5);
  run({31, 67}, 31, Interneurons::sampled, 1, 2);
  run({3, 130, 1, 2}, 65, Interneurons::exact, 1, 9);
  run({18, 17}, 1100, Interneurons::exact, 1, 3);
}

TEST(HeeStep, ObservationMoves) {
  for (const Integrator integrator : {Integrator::euler_maruyama, Integrator::leimkuhler_matthews, Integrator::baoab}) {
    HeeDynamics d = dynamics_of(integrator, Interneurons::sampled);
    d.free_observation = true;
    test::expect_steps(on_cpu, {{7, 6, 5}, {Family::laplace, Family::gaussian_scale, Family::rectified}}, d,
                       {.n_data = 4});
  }
}

TEST(HeeStep, ActivityDrivenAdaptation) {
  HeeDynamics d = dynamics_of(Integrator::euler_maruyama, Interneurons::exact);
  d.adaptation_strength = 1.5f;
  d.adaptation_tau = 0.5f;
  test::expect_steps(on_cpu, {{7, 6, 5}, {Family::gaussian, Family::gaussian, Family::quartic}}, d, {.n_data = 4}, 6);
}

}  // namespace
}  // namespace tarn
