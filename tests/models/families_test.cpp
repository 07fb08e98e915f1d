// The float templates of the families against the references in double, and the same bits from numbers and packs on every
// instruction set.
#include "tarn/core/families.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "family_cases.hpp"
#include "family_kernels.hpp"

namespace tarn::test {
namespace {

bool same(float a, float b) {
  return (a != a && b != b) || std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

class FamilyTemplates : public testing::TestWithParam<FamilyCase> {
 protected:
  ExponentialFamily reference{GetParam().family, GetParam().parameters};

  std::vector<float> evaluate(FamilyFunction function, std::vector<float> x) const {
    while (x.size() % 16 != 0) x.push_back(x.back());
    std::vector<float> y(x.size());
    family_kernels(available_isas().back())
        .pack(GetParam().family, GetParam().parameters, function, x.data(), y.data(),
              static_cast<std::int64_t>(x.size()));
    return y;
  }
  /// All values of the state that a chain may take, densest near 0.
  std::vector<float> states() const {
    std::vector<float> x;
    for (float value = 1e-6f; value < 40.0f; value *= 1.02f) {
      x.push_back(value);
      if (reference.least() < 0.0) x.push_back(-value);
    }
    return x;
  }
  /// eta over its range, up to what the links give and far beyond.
  std::vector<float> etas() const {
    const EtaRange range = reference.range();
    std::vector<float> eta;
    for (double t = 1e-6; t < 1e5; t *= 1.01) {
      if (std::isfinite(range.high)) {
        const double inside = range.high * (1.0 - 1.0 / (1.0 + t));
        if (1.0 + t > 2000.0) break;
        eta.push_back(static_cast<float>(inside));
        eta.push_back(static_cast<float>(-inside));
      } else {
        eta.push_back(static_cast<float>(t));
        if (range.low < 0.0) eta.push_back(static_cast<float>(-t));
      }
    }
    return eta;
  }
};

TEST_P(FamilyTemplates, StatisticsAndBasesEqualTheReferences) {
  const std::vector<float> x = states();
  const auto t = evaluate(FamilyFunction::statistic, x), dt = evaluate(FamilyFunction::statistic_derivative, x);
  const auto h = evaluate(FamilyFunction::log_base, x), dh = evaluate(FamilyFunction::log_base_derivative, x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = static_cast<double>(x[i]), scale = 1 + std::fabs(at);
    EXPECT_NEAR(t[i], reference.statistic(at), 4e-7 * std::fabs(reference.statistic(at))) << at;
    EXPECT_NEAR(dt[i], reference.statistic_derivative(at), 4e-7 * std::fabs(reference.statistic_derivative(at))) << at;
    // the double well's two terms cancel where it crosses 0
    const double c = GetParam().family == Family::quartic ? std::fabs(GetParam().parameters.c) * scale * scale : 0.0;
    EXPECT_NEAR(h[i], reference.log_base(at), 4e-7 * (std::fabs(reference.log_base(at)) + c)) << at;
    EXPECT_NEAR(dh[i], reference.log_base_derivative(at), 4e-7 * (std::fabs(reference.log_base_derivative(at)) + c))
        << at;
  }
}

TEST_P(FamilyTemplates, LinksEqualTheReferences) {
  std::vector<float> a;
  for (float value = -30.0f; value < 30.0f; value += 0.0137f) a.push_back(value);
  const auto eta = evaluate(FamilyFunction::link, a), slope = evaluate(FamilyFunction::link_derivative, a);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double at = static_cast<double>(a[i]);
    EXPECT_NEAR(eta[i], reference.link(at), 4e-7 * std::fabs(reference.link(at))) << at;
    // the Laplace link's slope is made from eta itself: absolute error
    EXPECT_NEAR(slope[i], reference.link_derivative(at), 6e-7 * reference.link_derivative(0.0)) << at;
    EXPECT_GT(static_cast<double>(eta[i]), reference.range().low);
    EXPECT_LT(static_cast<double>(eta[i]), reference.range().high);
  }
}

// The error stated in docs/hee.md: 1.5e-6 relative. What remains is the distance of eta from the end of its range, where A' grows as
// its inverse, and where the float nearest to a double eta is already off.
TEST_P(FamilyTemplates, ExactMeansEqualTheReferences) {
  const std::vector<float> eta = etas();
  const auto mean = evaluate(FamilyFunction::mean_statistic, eta);
  double largest = 0.0;
  for (std::size_t i = 0; i < eta.size(); ++i) {
    const double exact = reference.mean_statistic(static_cast<double>(eta[i]));
    const double error = std::fabs(mean[i] - exact) / std::fabs(exact);
    largest = std::max(largest, error);
    ASSERT_LE(error, 1.5e-6) << "eta " << eta[i];
  }
  RecordProperty("largest_relative_error", std::to_string(largest));
}

TEST_P(FamilyTemplates, StatesAreConfinedToTheDomain) {
  const std::vector<float> x{-3.0f, -0.0f, 0.0f, 2.0f};
  const auto y = evaluate(FamilyFunction::confine, x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(y[i], reference.least() == 0.0 ? std::fabs(x[i]) : x[i]);
  }
}

// The exact step of an interneuron: mean and variance of the Ornstein-Uhlenbeck process.
TEST_P(FamilyTemplates, ExactRelaxationIsTheOrnsteinUhlenbeckStep) {
  const Family family = GetParam().family;
  if (family != Family::gaussian && family != Family::gaussian_scale) {
    EXPECT_EQ(evaluate(FamilyFunction::relax, {1.5f})[0], 1.5f) << "no exact step is claimed";
    return;
  }
  const auto eta = static_cast<double>(relaxed_eta);
  const double rate = reference.spectral_gap(eta), decay = std::exp(-rate * relaxation_time);
  const double rest = family == Family::gaussian ? eta : 0.0;
  const double deviation = std::sqrt((1 - decay * decay) / rate);
  for (const float e : {-2.0f, 0.0f, 1.5f}) {
    const double exact = rest + decay * (e - rest) + deviation * relaxation_normal;
    EXPECT_NEAR(evaluate(FamilyFunction::relax, {e})[0], exact, 1e-6 * (1 + std::fabs(exact)));
  }
}

TEST_P(FamilyTemplates, NotANumberGoesThroughMeans) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(evaluate(FamilyFunction::mean_statistic, {nan})[0]));
  EXPECT_TRUE(std::isnan(evaluate(FamilyFunction::link, {nan})[0]));
  EXPECT_TRUE(std::isnan(evaluate(FamilyFunction::statistic, {nan})[0]));
}

TEST_P(FamilyTemplates, NumbersAndPacksGiveTheSameBitsOnEveryInstructionSet) {
  std::vector<float> x = states();
  for (const float eta : etas()) x.push_back(eta);
  for (float v : {0.0f, -0.0f, 1e-40f, 1e30f, -1e30f, std::numeric_limits<float>::infinity()}) x.push_back(v);
  while (x.size() % 16 != 0) x.push_back(0.5f);
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<float> expected(x.size()), y(x.size());
  for (int k = 0; k < static_cast<int>(FamilyFunction::count); ++k) {
    const auto function = static_cast<FamilyFunction>(k);
    family_kernels(Isa::baseline)
        .scalar(GetParam().family, GetParam().parameters, function, x.data(), expected.data(), n);
    for (const Isa isa : available_isas()) {
      for (const auto run : {family_kernels(isa).scalar, family_kernels(isa).pack}) {
        run(GetParam().family, GetParam().parameters, function, x.data(), y.data(), n);
        for (std::size_t i = 0; i < x.size(); ++i) {
          ASSERT_TRUE(same(y[i], expected[i])) << "function " << k << " at " << x[i] << " on " << name_of(isa);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyTemplates, testing::ValuesIn(family_cases()),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace tarn::test
