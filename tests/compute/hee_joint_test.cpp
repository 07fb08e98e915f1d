// Inference and joint generation on the CPU against ancestral draws, for every family in every position: test 3 of docs/hee.md.
#include "compute/hee_joint_checks.hpp"

namespace tarn {
namespace {

#if defined(TARN_SANITIZED)
constexpr std::int64_t n_chains = 512;
#else
constexpr std::int64_t n_chains = 8192;
#endif

class HeeJoint : public testing::TestWithParam<Family> {};

std::unique_ptr<HeeSession> on_cpu(const HeeParameters& p, const HeeOptimizer& o) {
  return make_cpu_backend(2)->make_hee_session(p, o);
}

TEST_P(HeeJoint, PosteriorsOfDrawnObservationsKeepTheModelsLaw) {
  for (const HeeParameters& p : test::models_with(GetParam()))
    test::expect_law_is_kept(on_cpu, p, false, n_chains, 4.0);
}

TEST_P(HeeJoint, JointGenerationKeepsTheModelsLaw) {
  for (const HeeParameters& p : test::models_with(GetParam())) test::expect_law_is_kept(on_cpu, p, true, n_chains, 4.0);
}

INSTANTIATE_TEST_SUITE_P(Families, HeeJoint,
                         testing::Values(Family::gaussian, Family::laplace, Family::gaussian_scale,
                                         Family::laplace_scale, Family::quartic, Family::rectified),
                         [](const auto& family) { return std::string(name_of(family.param)); });

}  // namespace
}  // namespace tarn
