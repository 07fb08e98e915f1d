// Exact resume of chains on the CPU.
#include "chain_resume_checks.hpp"

namespace tarn {
namespace {

class ChainResume : public testing::TestWithParam<test::Kind> {};

TEST_P(ChainResume, EveryPauseIsAPlaceToGoOn) {
  test::expect_every_pause_is_a_place_to_go_on(*make_cpu_backend(2), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Kinds, ChainResume, testing::ValuesIn(test::kinds_of_run()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace tarn
