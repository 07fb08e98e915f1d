// Rows of training steps: where their noise comes from, antithetic pairs, confinement points, and that making several
// steps at a time changes nothing.
#include "dsm_batch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tarn/core/noise.hpp"

namespace tarn::cpu {
namespace {

/// Row `i` of step `s`, column `k`: a number that tells all three.
class CountingSource final : public BatchSource {
 public:
  explicit CountingSource(std::int64_t n_columns) : n_columns_(n_columns) {}
  std::int64_t n_columns() const override { return n_columns_; }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 10; }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    const std::int64_t rows = out.rows / n_steps;
    for (std::int64_t r = 0; r < out.rows; ++r) {
      for (std::int64_t k = 0; k < n_columns_; ++k) out(r, k) = value(first_step + r / rows, r % rows, k);
    }
  }
  static float value(std::int64_t step, std::int64_t row, std::int64_t column) {
    return static_cast<float>(0.25 * static_cast<double>(step % 7) + 0.125 * static_cast<double>(row % 16) -
                              static_cast<double>(column));
  }

 private:
  std::int64_t n_columns_;
};

float normal_at(Stream stream, std::uint64_t chain, std::uint64_t step, std::int64_t n_components,
                std::int64_t component) {
  Matrix<float> one(1, n_components);
  fill_normals(9, stream, chain, step, 1, one);
  return one(0, component);
}

DsmLevel some_level() {
  DsmLevel level;
  level.sigma = 0.25;  // a power of two: sigma xi and xi / sigma are exact
  return level;
}

TEST(NoisyBatches, NoiseComesFromItsDocumentedAddress) {
  for (const std::int64_t D : {1, 2, 3, 17}) {
    for (const bool antithetic : {false, true}) {
      CountingSource source(D + 2);
      DsmLevel level = some_level();
      level.antithetic = antithetic;
      NoisyBatches batches;
      batches.fill(source, level, D, 6, 9, 40, 3);
      ASSERT_EQ(batches.rows(), 6);
      for (std::int64_t t = 0; t < 3; ++t) {
        const NoisyStep step = batches.step(t);
        for (std::int64_t i = 0; i < 6; ++i) {
          const std::int64_t drawn = antithetic ? i / 2 : i;
          const float sign = antithetic && i % 2 == 1 ? -1.0f : 1.0f;
          EXPECT_EQ(step.target_scale[i], 1.0f);
          for (std::int64_t k = 0; k < D + 2; ++k) {
            const float x = CountingSource::value(40 + t, drawn, k);
            if (k >= D) {
              EXPECT_EQ(step.points[i * (D + 2) + k], x) << "inputs carry no noise";
              continue;
            }
            const float xi = sign * normal_at(Stream::training_noise, static_cast<std::uint64_t>(drawn),
                                              static_cast<std::uint64_t>(40 + t), D, k);
            EXPECT_EQ(step.points[i * (D + 2) + k], x + 0.25f * xi) << "D " << D << " step " << t << " row " << i;
            EXPECT_EQ(step.targets[i * D + k], 4.0f * xi);
          }
        }
      }
    }
  }
}

TEST(NoisyBatches, ConfinementPointsAreWhatTheyAreSaidToBe) {
  constexpr std::int64_t n_steps = 500, C = 8, B = 3;
  for (const std::int64_t D : {1, 2, 3, 17}) {
    CountingSource source(D + 1);
    DsmLevel level = some_level();
    level.confinement_points = C;
    level.confinement_pull = 0.3;
    level.confinement_radius[0] = 2.0;
    level.confinement_radius[1] = 50.0;
    NoisyBatches batches;
    batches.fill(source, level, D, B, 9, 7, n_steps);
    ASSERT_EQ(batches.rows(), B + C);
    std::vector<double> shares;
    double mean[17] = {};
    for (std::int64_t t = 0; t < n_steps; ++t) {
      const NoisyStep step = batches.step(t);
      for (std::int64_t p = 0; p < C; ++p) {
        const std::int64_t row = B + p;
        double square = 0.0, length = 0.0;
        for (std::int64_t d = 0; d < D; ++d) square += std::pow(step.points[row * (D + 1) + d], 2);
        const double R = std::sqrt(square);
        ASSERT_GE(R, 2.0 * (1 - 1e-6));
        ASSERT_LE(R, 50.0 * (1 + 1e-6));
        shares.push_back(std::log(R / 2.0) / std::log(25.0));
        EXPECT_NEAR(step.target_scale[row] * R / (0.25 * 0.25), 1.0, 1e-6);
        double dot = 0.0;
        for (std::int64_t d = 0; d < D; ++d) {
          const double normal = normal_at(Stream::confinement, static_cast<std::uint64_t>(p),
                                          static_cast<std::uint64_t>(7 + t), D + 1, d);
          const double direction = step.points[row * (D + 1) + d] / R;
          EXPECT_NEAR(step.targets[row * D + d], 0.3 * direction, 1e-6);
          dot += normal * direction;
          length += normal * normal;
          mean[d] += direction;
        }
        EXPECT_NEAR(dot / std::sqrt(length), 1.0, 1e-6) << "the direction is that of the first D normals";
        // and log R that of the last, through the normal distribution function
        const double last =
            normal_at(Stream::confinement, static_cast<std::uint64_t>(p), static_cast<std::uint64_t>(7 + t), D + 1, D);
        EXPECT_NEAR(shares.back(), 0.5 * std::erfc(-last / std::sqrt(2.0)), 1e-6);
        EXPECT_EQ(step.points[row * (D + 1) + D], step.points[p % B * (D + 1) + D]) << "inputs of row p mod B";
      }
    }
    // Kolmogorov-Smirnov against uniform log R: the 1e-6 quantile of sqrt(n) times the distance is 2.69
    std::sort(shares.begin(), shares.end());
    const auto n = static_cast<double>(shares.size());
    double distance = 0.0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      distance = std::max({distance, std::fabs(shares[i] - static_cast<double>(i) / n),
                           std::fabs(shares[i] - static_cast<double>(i + 1) / n)});
    }
    EXPECT_LT(std::sqrt(n) * distance, 2.69) << "D " << D;
    // components of a uniform direction have variance 1/D: 6 standard deviations, 2e-9 each
    for (std::int64_t d = 0; d < D; ++d) EXPECT_NEAR(mean[d] / n, 0.0, 6.0 / std::sqrt(n * static_cast<double>(D)));
  }
}

TEST(NoisyBatches, StepsDoNotDependOnHowManyAreMadeAtATime) {
  CountingSource source(4);
  DsmLevel level = some_level();
  level.antithetic = true;
  level.confinement_points = 3;
  level.confinement_pull = 0.1;
  level.confinement_radius[0] = 1.0;
  level.confinement_radius[1] = 9.0;
  NoisyBatches together, singly;
  together.fill(source, level, 3, 10, 9, 100, 12);
  for (std::int64_t t = 0; t < 12; ++t) {
    singly.fill(source, level, 3, 10, 9, 100 + t, 1);
    const NoisyStep a = together.step(t), b = singly.step(0);
    ASSERT_TRUE(std::equal(a.points, a.points + 13 * 4, b.points)) << "step " << t;
    ASSERT_TRUE(std::equal(a.targets, a.targets + 13 * 3, b.targets)) << "step " << t;
    ASSERT_TRUE(std::equal(a.target_scale, a.target_scale + 13, b.target_scale)) << "step " << t;
  }
  // a smaller batch after a larger one leaves nothing of it behind
  NoisyBatches fresh;
  together.fill(source, level, 3, 4, 9, 50, 2);
  fresh.fill(source, level, 3, 4, 9, 50, 2);
  ASSERT_EQ(together.rows(), fresh.rows());
  for (std::int64_t t = 0; t < 2; ++t) {
    ASSERT_TRUE(std::equal(fresh.step(t).points, fresh.step(t).points + 7 * 4, together.step(t).points));
    ASSERT_TRUE(std::equal(fresh.step(t).target_scale, fresh.step(t).target_scale + 7, together.step(t).target_scale));
  }
}

TEST(NoisyBatches, AGivenBatchIsTakenAsItIs) {
  Matrix<float> x(2, 3), xi(2, 2);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>(i + 1);
  for (std::int64_t i = 0; i < xi.size(); ++i) xi.data()[i] = static_cast<float>(10 * (i + 1));
  NoisyBatches batches;
  batches.fill({x, xi}, some_level());
  const NoisyStep step = batches.step(0);
  EXPECT_EQ(std::vector<float>(step.points, step.points + 6),
            (std::vector<float>{3.5f, 7.0f, 3.0f, 11.5f, 15.0f, 6.0f}));
  EXPECT_EQ(std::vector<float>(step.targets, step.targets + 4), (std::vector<float>{40, 80, 120, 160}));
}

TEST(NoisyBatches, RefusesWhatMakesNoSense) {
  CountingSource source(2);
  NoisyBatches batches;
  DsmLevel level = some_level();
  EXPECT_THROW(batches.fill(source, level, 3, 4, 9, 0, 1), Error) << "fewer columns than outputs";
  EXPECT_THROW(batches.fill(source, level, 2, 0, 9, 0, 1), Error);
  level.antithetic = true;
  EXPECT_THROW(batches.fill(source, level, 2, 5, 9, 0, 1), Error);
  level.antithetic = false;
  level.confinement_points = 1;
  EXPECT_THROW(batches.fill(source, level, 2, 4, 9, 0, 1), Error) << "no radius";
  level.confinement_radius[0] = 2.0;
  level.confinement_radius[1] = 1.0;
  EXPECT_THROW(batches.fill(source, level, 2, 4, 9, 0, 1), Error);
}

}  // namespace
}  // namespace tarn::cpu
