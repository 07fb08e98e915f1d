#include "sampling/gaussian_chains.hpp"

namespace tarn::test {
namespace {

// The recursion's own covariance goes to C in proportion to dt, whatever J: the law is that of the score.
TEST(Irreversible, TheLawIsThatOfTheScoreWhateverJ) {
  for (const double g : {0.0, 1.0, 2.0}) {
    for (const double dt : {1e-3, 1e-5}) {
      const Mat2 excess = euler(dt, skew(g)).S + (-1.0) * covariance;
      for (const double e : {excess.a, excess.b, excess.d}) EXPECT_LT(std::abs(e), 4.0 * dt) << "g " << g;
    }
  }
}

// Figures to meet: 3.80 / (1 + g^2) (Lelievre, Nier and Pavliotis 2013 treat the linear case). Twelve checks at five standard
// errors: false alarm below 7e-6.
TEST(Irreversible, GaussianOutputMode) {
  const Course course{.n_chains = 800, .n_draws = 500};
  for (const double g : {0.0, 1.0, 2.0}) {
    SCOPED_TRACE(g);
    expect_law_and_time(run(Mode::output, skew(g), course), euler(course.dt, skew(g)), course, 3.8 / (1.0 + g * g));
  }
}

// The same through the neurons: the leak -r alone would not turn x.
TEST(Irreversible, GaussianReservoirMode) {
  const Course course{.n_chains = 500, .n_draws = 500};
  for (const double g : {0.0, 2.0}) {
    SCOPED_TRACE(g);
    expect_law_and_time(run(Mode::reservoir, skew(g), course), euler(course.dt, skew(g)), course, 3.8 / (1.0 + g * g));
  }
}

// Noise private to the neurons: D_x = W_out S^2 W_out^T on the outputs, and drift s (D_x + J)^T, has the law of the score again.
// Its autocorrelation time is 2 v^T C (D_x + J)^-1 C v / v^T C v. Six checks at five standard errors.
TEST(Irreversible, GaussianNoisePrivateToTheNeurons) {
  const Course course{.n_chains = 500, .n_draws = 500};
  const Matrix<double> D = output_diffusion(exact_gaussian().W_out, own_noise());
  const Mat2 diffusion{D(0, 0), D(0, 1), D(1, 0), D(1, 1)};
  EXPECT_GT(std::abs(D(0, 1)), 0.3) << "a case in which D_x is far from the identity";
  for (const double g : {0.0, 2.0}) {
    SCOPED_TRACE(g);
    const Mat2 integral = covariance * inverse(diffusion + skew(g)) * covariance;
    const double h = std::sqrt(0.5), predicted = 2.0 * form(integral, h, h) / form(covariance, h, h);
    expect_law_and_time(run(Mode::private_noise, skew(g), course), euler(course.dt, skew(g), diffusion), course,
                        predicted);
  }
}

}  // namespace
}  // namespace tarn::test
