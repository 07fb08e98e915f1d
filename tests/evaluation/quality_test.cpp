#include "tarn/evaluation/quality.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "evaluation/waves.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// Three clusters on a triangle in four dimensions, unevenly wide.
Matrix<float> clusters(std::int64_t n, std::uint64_t seed) {
  Matrix<float> x(n, 4);
  fill_normals(seed, Stream::synthetic_data, 0, 0, 1, x.view());
  for (std::int64_t i = 0; i < n; ++i) {
    const float width = i % 3 == 0 ? 0.3f : 0.8f;
    for (std::int64_t j = 0; j < 4; ++j) x(i, j) = width * x(i, j) + (j == i % 3 ? 4.0f : 0.0f);
  }
  return x;
}

std::map<std::string, QualityFigure> by_name(std::vector<QualityFigure> figures) {
  std::map<std::string, QualityFigure> result;
  for (QualityFigure& f : figures) result.emplace(f.name, std::move(f));
  return result;
}

TEST(Quality, FrechetReferenceIsTheFrechetDistance) {
  const Matrix<float> x = test::wave(40, 6, 1.7), y = test::wave(50, 6, 2.9, 1.25f, 0.375f);
  GaussianMoments a(6), b(6);
  a.add(x);
  b.add(y);
  const FrechetReference distance(b);
  EXPECT_NEAR(distance(x), frechet_distance(a, b), 1e-12);
  EXPECT_NEAR(distance(x), 1.0229621406696756, 1e-6) << "scipy.linalg.sqrtm";
  EXPECT_NEAR(distance(x.view().slice(0, 5)), 3.967632002192164, 1e-6) << "fewer rows than dimensions";
  EXPECT_TRUE(std::isnan(distance(x.view().slice(0, 1))));
  EXPECT_THROW(distance(test::wave(4, 5, 1.0)), Error);
}

// Draws of the data's law stand where other data stand; the mixture is close; one Gaussian passes the Frechet distance only.
// "Stands there" is an interval twice as wide as that of the draws: at 5 comparisons of 4 standard errors a false alarm below 1e-3.
TEST(Quality, ScaleOfThreeClusters) {
  QualitySettings settings;
  settings.n_pairs = 600;
  settings.n_components = 6;
  settings.seed = 4;
  const Matrix<float> real = clusters(6000, 1), draws = clusters(1500, 2);
  const ReferenceLaws laws = fit_reference_laws(real, settings);
  ASSERT_TRUE(laws.mixture.has_value());
  const ComparedSets sets = compared_sets(draws, real, laws, settings);
  EXPECT_EQ(sets.draws.rows(), 1500);
  EXPECT_EQ(sets.real.rows(), 1500);
  EXPECT_EQ(sets.reference.rows(), 4500);
  const auto figures = by_name(quality_figures(sets, settings));
  ASSERT_EQ(figures.size(), 8u);
  for (const auto& [name, f] : figures) {
    EXPECT_LT(f.draws.low, f.draws.value) << name;
    EXPECT_GT(f.draws.high, f.draws.value) << name;
    const double width = (f.draws.high - f.draws.low) + (f.real.high - f.real.low);
    EXPECT_NEAR(f.draws.value, f.real.value, width) << name;
  }
  EXPECT_EQ(figures.at("frechet").n, 1500);
  EXPECT_EQ(figures.at("energy_distance").n, 600);
  EXPECT_EQ(figures.at("energy_distance").n_reference, 600);
  EXPECT_LT(figures.at("frechet").gaussian.value, 0.05);
  for (const char* name : {"energy_distance", "squared_mmd", "sliced_w2"}) {
    const QualityFigure& f = figures.at(name);
    EXPECT_GT(f.gaussian.low, 3.0 * std::abs(f.draws.high)) << name;
    EXPECT_LT(f.mixture.value, 0.3 * f.gaussian.value) << name;
  }
  EXPECT_LT(figures.at("precision").gaussian.high, figures.at("precision").draws.low);
  EXPECT_LT(figures.at("density").gaussian.high, figures.at("density").draws.low);

  // the same again is the same
  const auto again = quality_figures(sets, settings);
  EXPECT_EQ(again[2].draws.low, figures.at("energy_distance").draws.low);
}

TEST(Quality, LostDrawsAreCountedAndSmallSetsSaySo) {
  QualitySettings settings;
  const Matrix<float> real = clusters(300, 1);
  const ReferenceLaws laws = fit_reference_laws(real, settings);
  EXPECT_EQ(mixture_components(300, 4, 100), 15);
  EXPECT_EQ(mixture_components(60000, 100, 100), 100);
  Matrix<float> draws = clusters(40, 2);
  draws(3, 1) = std::numeric_limits<float>::quiet_NaN();
  draws(9, 0) = std::numeric_limits<float>::infinity();
  const ComparedSets sets = compared_sets(draws, real, laws, settings);
  EXPECT_EQ(sets.n_not_finite, 2);
  EXPECT_EQ(sets.draws.rows(), 38);
  for (const QualityFigure& f : quality_figures(sets, settings)) EXPECT_TRUE(std::isfinite(f.draws.value)) << f.name;

  std::fill_n(draws.data(), draws.size() - 12, std::numeric_limits<float>::quiet_NaN());  // three are left
  const ComparedSets few = compared_sets(draws, real, laws, settings);
  EXPECT_EQ(few.draws.rows(), 3);
  const auto figures = by_name(quality_figures(few, settings));
  EXPECT_TRUE(std::isfinite(figures.at("frechet").draws.value));
  EXPECT_TRUE(std::isnan(figures.at("frechet").draws.low)) << "half of three says nothing";
  EXPECT_TRUE(std::isnan(figures.at("coverage").draws.value));

  std::fill_n(draws.data(), draws.size(), std::numeric_limits<float>::quiet_NaN());
  const ComparedSets none = compared_sets(draws, real, laws, settings);
  EXPECT_EQ(none.n_not_finite, 40);
  for (const QualityFigure& f : quality_figures(none, settings)) EXPECT_TRUE(std::isnan(f.draws.value)) << f.name;
  EXPECT_THROW(compared_sets(clusters(9, 1), real.view().slice(0, 3), laws, settings), Error);
}

}  // namespace
}  // namespace tarn
