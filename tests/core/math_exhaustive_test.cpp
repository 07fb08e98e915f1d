// exp, log, tanh, sigmoid and softplus at every one of the 2^32 floats. Minutes long, so outside CI (label slow).
#include <gtest/gtest.h>

#include <cstdio>
#include <thread>
#include <vector>

#include "math_sweep.hpp"

namespace tarn::test {
namespace {

class MathExhaustive : public testing::TestWithParam<MathClaim> {};

TEST_P(MathExhaustive, EveryFloatIsWithinTheStatedError) {
  const MathClaim& claim = GetParam();
  const IsaCases& cases = isa_cases(available_isas().back());
  const unsigned n_threads = std::max(1u, std::thread::hardware_concurrency());
  std::vector<SweepResult> parts(n_threads);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < n_threads; ++i) {
    threads.emplace_back([&, i] { parts[i] = sweep(claim, cases, i, std::uint64_t{1} << 32, n_threads); });
  }
  for (auto& thread : threads) thread.join();
  SweepResult all;
  for (const auto& part : parts) all.merge(part);
  std::printf("%s: largest error %.3f ulp at %.9g; below the normal floats %.3g at %.9g\n",
              math_function_names[static_cast<int>(claim.function)], all.ulp, static_cast<double>(all.ulp_at),
              all.absolute, static_cast<double>(all.absolute_at));
  EXPECT_EQ(all.failure, "");
  EXPECT_LE(all.ulp, claim.largest_ulp);
  EXPECT_LE(all.absolute, claim.largest_absolute);
}

INSTANTIATE_TEST_SUITE_P(Functions, MathExhaustive, testing::ValuesIn(math_claims()),
                         [](const auto& claim) { return math_function_names[static_cast<int>(claim.param.function)]; });

}  // namespace
}  // namespace tarn::test
