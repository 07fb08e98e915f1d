// The nonlinearities and their derivatives against closed forms and central differences in double.
#include "tarn/core/activations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

double exact(Nonlinearity phi, double u) {
  switch (phi) {
    case Nonlinearity::relu:
      return std::max(u, 0.0);
    case Nonlinearity::leaky_relu:
      return u > 0 ? u : static_cast<double>(0.01f) * u;
    case Nonlinearity::tanh:
      return std::tanh(u);
    case Nonlinearity::softplus:
      return std::max(u, 0.0) + std::log1p(std::exp(-std::fabs(u)));
    case Nonlinearity::sigmoid:
      return 0.5 * (1.0 + std::tanh(0.5 * u));
  }
  return std::nan("");
}

double exact_derivative(Nonlinearity phi, double u) {
  switch (phi) {
    case Nonlinearity::relu:
      return u > 0 ? 1.0 : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0 ? 1.0 : static_cast<double>(0.01f);
    case Nonlinearity::tanh:
      return 1.0 / (std::cosh(u) * std::cosh(u));
    case Nonlinearity::softplus:
      return 1.0 / (1.0 + std::exp(-u));
    case Nonlinearity::sigmoid:
      return 0.25 / (std::cosh(0.5 * u) * std::cosh(0.5 * u));
  }
  return std::nan("");
}

struct Value {
  float value, derivative;
};
Value evaluate(Nonlinearity phi, float u) {
  return dispatch(phi, [u](auto kind) {
    const float a = activate<kind()>(u);
    return Value{a, activate_derivative<kind()>(u, a)};
  });
}

class Activations : public testing::TestWithParam<Nonlinearity> {};

TEST_P(Activations, EqualTheirClosedForms) {
  for (int i = -4000; i <= 4000; ++i) {
    const float u = static_cast<float>(i) * 0.005f;
    const Value v = evaluate(GetParam(), u);
    // 2.5 ulp is the largest error of the functions (math.hpp); a sigmoid of -20 is compared relatively, hence no floor
    const double a = exact(GetParam(), static_cast<double>(u));
    if (GetParam() == Nonlinearity::sigmoid && u < 0) {
      EXPECT_NEAR(v.value, 1.0 / (1.0 + std::exp(-static_cast<double>(u))), 3e-7 * v.value) << u;
    } else {
      EXPECT_NEAR(v.value, a, 3e-7 * std::fabs(a)) << u;
    }
    // tanh and sigmoid take the derivative from their own value, so it is absolute error that is bounded: 2 |a|
    // times 2.5 ulp
    EXPECT_NEAR(v.derivative, exact_derivative(GetParam(), static_cast<double>(u)), 4e-7) << u;
  }
}

// The closed forms of the derivatives are themselves held against differences, away from the kink of the rectifiers.
TEST_P(Activations, DerivativesAreDifferenceQuotients) {
  constexpr double h = 1e-5;
  for (double u = -8.0; u <= 8.0; u += 0.0371) {
    if (std::fabs(u) < 2 * h) continue;
    const double slope = (exact(GetParam(), u + h) - exact(GetParam(), u - h)) / (2 * h);
    EXPECT_NEAR(evaluate(GetParam(), static_cast<float>(u)).derivative, slope, 1e-6) << u;
  }
}

TEST_P(Activations, FarAwayTheyAreFlatOrLinear) {
  const auto phi = GetParam();
  const bool rectifier = phi == Nonlinearity::relu || phi == Nonlinearity::leaky_relu || phi == Nonlinearity::softplus;
  EXPECT_EQ(evaluate(phi, 1e4f).value, rectifier ? 1e4f : 1.0f);
  EXPECT_EQ(evaluate(phi, 1e4f).derivative, rectifier ? 1.0f : 0.0f);
  EXPECT_EQ(evaluate(phi, infinity).value, rectifier ? infinity : 1.0f);
  const float below = phi == Nonlinearity::leaky_relu ? -infinity : phi == Nonlinearity::tanh ? -1.0f : 0.0f;
  EXPECT_EQ(evaluate(phi, -infinity).value, below);
}

TEST_P(Activations, NamesGoBothWays) { EXPECT_EQ(parse_nonlinearity(name_of(GetParam())), GetParam()); }

INSTANTIATE_TEST_SUITE_P(All, Activations,
                         testing::Values(Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::tanh,
                                         Nonlinearity::softplus, Nonlinearity::sigmoid),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

TEST(ActivationsAtZero, TheRectifiersTakeTheLeftSlope) {
  for (float zero : {0.0f, -0.0f}) {
    EXPECT_EQ(evaluate(Nonlinearity::relu, zero).derivative, 0.0f);
    EXPECT_EQ(evaluate(Nonlinearity::leaky_relu, zero).derivative, leaky_slope);
    EXPECT_EQ(evaluate(Nonlinearity::relu, zero).value, 0.0f);
    EXPECT_FALSE(std::signbit(evaluate(Nonlinearity::relu, zero).value));
  }
}

TEST(ActivationsOnNaN, AllButReluPassItOn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(evaluate(Nonlinearity::relu, nan).value, 0.0f);  // the leak term of the drift shows it
  for (auto phi : {Nonlinearity::leaky_relu, Nonlinearity::tanh, Nonlinearity::softplus, Nonlinearity::sigmoid}) {
    EXPECT_TRUE(std::isnan(evaluate(phi, nan).value)) << name_of(phi);
  }
}

TEST(NonlinearityNames, AnUnknownNameIsAUsageErrorThatNamesTheAllowedOnes) {
  for (const char* name : {"", "Relu", "relu ", "gelu", "tanhh"}) {
    try {
      parse_nonlinearity(name);
      FAIL() << name;
    } catch (const UsageError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(name), std::string::npos);
      EXPECT_NE(message.find("leaky_relu"), std::string::npos);
      EXPECT_EQ(message.find('\n'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace tarn::test
