// The energy and exact draws of hierarchical models: the drift of inference is minus the energy's gradient, and draws have the
// moments that the families promise.
#include "tarn/models/hee_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "normals.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn::test {
namespace {

HeeParameters model(const std::vector<HeeLayer>& layers, float weight_scale = 0.4f, std::uint64_t seed = 11) {
  HeeParameters p;
  p.layers = layers;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    p.b.push_back(normals(1, layers[l].size, seed + l));
    if (l > 0) {
      p.W.push_back(normals(layers[l - 1].size, layers[l].size, seed + 100 + l));
      for (std::int64_t i = 0; i < p.W.back().size(); ++i) p.W.back().data()[i] *= weight_scale;
    }
  }
  return p;
}

std::vector<MatrixView<const float>> views(const std::vector<Matrix<float>>& x) { return {x.begin(), x.end()}; }

double activity(std::optional<Nonlinearity> f, double x) {
  if (!f) return x;
  return dispatch(*f, [x](auto phi) { return static_cast<double>(activate<phi()>(static_cast<float>(x))); });
}
double slope(std::optional<Nonlinearity> f, double x) {
  if (!f) return 1.0;
  return dispatch(*f, [x](auto phi) {
    const float a = activate<phi()>(static_cast<float>(x));
    return static_cast<double>(activate_derivative<phi()>(static_cast<float>(x), a));
  });
}

class HeeModels : public testing::TestWithParam<Family> {
 protected:
  /// The family in the middle of two others, and at the bottom and the top of its own model.
  std::vector<HeeParameters> models() const {
    const Family family = GetParam();
    return {
        model({{3, family, {}, {}}, {4, Family::gaussian, {}, Nonlinearity::tanh}}),
        model({{3, Family::gaussian, {0.7, 4.0, 0.1, 1.0}, {}}, {4, family, {}, {}}}),
        model({{2, Family::laplace, {}, {}}, {3, family, {}, Nonlinearity::softplus}, {2, Family::gaussian, {}, {}}})};
  }
};

// docs/hee.md, the drift: F_l = f'(x_l) [((T(x) - A'(eta)) g'(a))_{l-1} W_l] + T'(x_l) eta_l + (log h)'(x_l).
TEST_P(HeeModels, TheDriftOfInferenceIsMinusTheGradientOfTheEnergy) {
  for (const HeeParameters& p : models()) {
    const auto L = static_cast<std::size_t>(p.n_latent_layers());
    std::vector<Matrix<float>> x = draw_ancestral(p, 5, 0, 0, 1);
    std::vector<ExponentialFamily> family;
    for (const HeeLayer& layer : p.layers) family.emplace_back(layer.family, layer.parameters);
    for (std::size_t l = 0; l <= L; ++l) {
      // away from a boundary that a difference would step over
      for (std::int64_t i = 0; i < x[l].cols(); ++i) x[l](0, i) += family[l].least() == 0.0 ? 0.1f : 0.0f;
    }
    const auto preactivation = [&](std::size_t l, std::int64_t i) {
      auto a = static_cast<double>(p.b[l](0, i));
      for (std::int64_t j = 0; l < L && j < p.layers[l + 1].size; ++j) {
        a += static_cast<double>(p.W[l](i, j)) *
             activity(p.layers[l + 1].nonlinearity, static_cast<double>(x[l + 1](0, j)));
      }
      return a;
    };
    for (std::size_t l = 0; l <= L; ++l) {
      for (std::int64_t j = 0; j < p.layers[l].size; ++j) {
        const auto state = static_cast<double>(x[l](0, j));
        double message = 0.0;
        for (std::int64_t i = 0; l > 0 && i < p.layers[l - 1].size; ++i) {
          const double a = preactivation(l - 1, i);
          message += (family[l - 1].statistic(static_cast<double>(x[l - 1](0, i))) -
                      family[l - 1].mean_statistic(family[l - 1].link(a))) *
                     family[l - 1].link_derivative(a) * static_cast<double>(p.W[l - 1](i, j));
        }
        const double drift = slope(p.layers[l].nonlinearity, state) * message +
                             family[l].statistic_derivative(state) * family[l].link(preactivation(l, j)) +
                             family[l].log_base_derivative(state);
        // states a power of two apart, so that their difference is exact; Richardson's extrapolation of two differences
        double difference[2];
        for (int k = 0; k < 2; ++k) {
          const float h = k == 0 ? 0x1p-7f : 0x1p-8f, kept = x[l](0, j);
          double up, down;
          x[l](0, j) = kept + h;
          const double above = static_cast<double>(x[l](0, j));
          hee_energy(p, views(x), {&up, 1});
          x[l](0, j) = kept - h;
          const double below = static_cast<double>(x[l](0, j));
          hee_energy(p, views(x), {&down, 1});
          x[l](0, j) = kept;
          difference[k] = (up - down) / (above - below);
        }
        const double gradient = (4.0 * difference[1] - difference[0]) / 3.0;
        EXPECT_NEAR(drift, -gradient, 2e-3 * (1.0 + std::fabs(gradient))) << "layer " << l << " unit " << j;
      }
    }
  }
}

// Given the layer above, T(x) has mean A'(eta) and variance A''(eta): over n chains and all units the sum of standardised deviations, and
// of their squares less 1, stays within 6 standard errors (the second's measured), which chance exceeds with probability 1e-8.
TEST_P(HeeModels, AncestralDrawsHaveTheMomentsOfTheirFamilies) {
#if defined(__OPTIMIZE__)
  constexpr std::int64_t n = 4000;
#else
  constexpr std::int64_t n = 400;
#endif
  for (const HeeParameters& p : models()) {
    const auto L = static_cast<std::size_t>(p.n_latent_layers());
    const std::vector<Matrix<float>> x = draw_ancestral(p, 3407, 10, 2, n);
    for (std::size_t l = 0; l <= L; ++l) {
      const ExponentialFamily family(p.layers[l].family, p.layers[l].parameters);
      double sum = 0.0, squares = 0.0, fourth = 0.0;
      for (std::int64_t row = 0; row < n; ++row) {
        for (std::int64_t i = 0; i < p.layers[l].size; ++i) {
          auto a = static_cast<double>(p.b[l](0, i));
          for (std::int64_t j = 0; l < L && j < p.layers[l + 1].size; ++j) {
            a += static_cast<double>(p.W[l](i, j)) *
                 activity(p.layers[l + 1].nonlinearity, static_cast<double>(x[l + 1](row, j)));
          }
          const double eta = family.link(a);
          const double z = (family.statistic(static_cast<double>(x[l](row, i))) - family.mean_statistic(eta)) /
                           std::sqrt(family.variance(eta));
          sum += z;
          squares += z * z - 1.0;
          fourth += (z * z - 1.0) * (z * z - 1.0);
        }
      }
      const auto count = static_cast<double>(n * p.layers[l].size);
      EXPECT_LT(std::fabs(sum), 6.0 * std::sqrt(count)) << "layer " << l;
      EXPECT_LT(std::fabs(squares), 6.0 * std::sqrt(fourth)) << "layer " << l;
    }
  }
}

TEST_P(HeeModels, AChainsDrawDoesNotDependOnTheOthers) {
  const HeeParameters p = models().back();
  const auto all = draw_ancestral(p, 1, 0, 7, 9), some = draw_ancestral(p, 1, 4, 7, 3);
  for (std::size_t l = 0; l < all.size(); ++l) {
    for (std::int64_t row = 0; row < 3; ++row) {
      for (std::int64_t i = 0; i < all[l].cols(); ++i) EXPECT_EQ(some[l](row, i), all[l](row + 4, i));
    }
  }
  const auto next = draw_ancestral(p, 1, 0, 8, 9);
  EXPECT_NE(next[0], all[0]);
}

INSTANTIATE_TEST_SUITE_P(Families, HeeModels,
                         testing::Values(Family::gaussian, Family::laplace, Family::gaussian_scale,
                                         Family::laplace_scale, Family::quartic, Family::rectified),
                         [](const auto& family) { return std::string(name_of(family.param)); });

TEST(HeeEnergy, IsInfiniteOutsideTheDomainAndRefusesWrongShapes) {
  const HeeParameters p = model({{2, Family::rectified, {}, {}}, {2, Family::gaussian, {}, {}}});
  std::vector<Matrix<float>> x = draw_ancestral(p, 1, 0, 0, 2);
  double energy[2];
  hee_energy(p, views(x), energy);
  EXPECT_TRUE(std::isfinite(energy[0]) && std::isfinite(energy[1]));
  x[0](1, 0) = -0.1f;
  x[1](0, 0) = std::nanf("");
  hee_energy(p, views(x), energy);
  EXPECT_TRUE(std::isnan(energy[0]));
  EXPECT_EQ(energy[1], std::numeric_limits<double>::infinity());
  EXPECT_THROW(hee_energy(p, views(x), {energy, 1}), Error);
  x.pop_back();
  EXPECT_THROW(hee_energy(p, views(x), energy), Error);
}

}  // namespace
}  // namespace tarn::test
