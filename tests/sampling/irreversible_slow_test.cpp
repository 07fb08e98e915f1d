// The figures of the irreversible drift again, to about half a percent.
#include "sampling/gaussian_chains.hpp"

namespace tarn::test {
namespace {

// 3.80 / (1 + g^2): twelve checks at five standard errors, false alarm below 7e-6.
TEST(IrreversibleSlow, GaussianToHalfAPercent) {
  const Course course{.dt = 0.005, .thin = 20, .n_chains = 8000, .n_draws = 2000};
  for (const double g : {0.0, 1.0, 2.0}) {
    SCOPED_TRACE(g);
    const ArmSink sink = run(Mode::output, skew(g), course);
    expect_law_and_time(sink, euler(course.dt, skew(g)), course, 3.8 / (1.0 + g * g));
  }
}

}  // namespace
}  // namespace tarn::test
