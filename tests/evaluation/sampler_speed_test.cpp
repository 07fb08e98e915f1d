#include "tarn/evaluation/sampler_speed.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// Coordinates x' = a_k x + sqrt(1 - a_k^2) s xi about the law's mean, s the law's standard deviation: rho_n = a^n, and of the squares a^2n. The
// energy is half the sum of the standardised squares.
class Autoregressive final : public RunningChains {
 public:
  Autoregressive(std::vector<double> a, std::int64_t n_laws, std::int64_t chains_a_law)
      : a_(std::move(a)), chains_a_law_(chains_a_law), y_(n_laws * chains_a_law, std::ssize(a_)) {
    fill_normals(5, Stream::evaluation, 0, 0, 1, y_);
  }
  std::int64_t n_chains() const override { return y_.rows(); }
  std::int64_t chains_a_law() const override { return chains_a_law_; }
  std::int64_t n_coordinates() const override { return y_.cols(); }
  void advance(std::int64_t n_steps) override {
    Matrix<float> xi(y_.rows(), y_.cols());
    for (std::int64_t t = 0; t < n_steps; ++t) {
      fill_normals(5, Stream::evaluation, 0, ++step_, 1, xi);
      for (std::int64_t i = 0; i < y_.rows(); ++i) {
        for (std::int64_t k = 0; k < y_.cols(); ++k) {
          const double a = a_[static_cast<std::size_t>(k)];
          y_(i, k) = static_cast<float>(a * y_(i, k) + std::sqrt(1.0 - a * a) * xi(i, k));
        }
      }
    }
  }
  void read(MatrixView<float> x, std::span<float> energy) override {
    for (std::int64_t i = 0; i < y_.rows(); ++i) {
      const auto law = static_cast<float>(i / chains_a_law_);
      float& e = energy[static_cast<std::size_t>(i)];
      e = 100.0f * law;  // a constant of the law's own
      for (std::int64_t k = 0; k < y_.cols(); ++k) {
        x(i, k) = 10.0f * law + (1.0f + law) * y_(i, k);
        e += 0.5f * y_(i, k) * y_(i, k);
      }
    }
    if (lost >= 0) x(lost, 0) = NAN;
  }
  std::int64_t lost = -1;

 private:
  std::vector<double> a_;
  std::int64_t chains_a_law_;
  Matrix<float> y_;
  std::uint64_t step_ = 0;
};

double time_of(double a) { return (1.0 + a) / (1.0 - a); }

// The stated error is some 4 % of the time; five of those, in three checks each. With three coordinates the choice of the largest estimate
// adds nothing: the others are far below.
TEST(SamplerSpeed, FindsTheSlowestOfEach) {
  // x: the second coordinate; its squares are beaten by those of the third, which swings
  Autoregressive chains({0.3, 0.9, -0.97}, 2, 60);
  const SamplerSpeed speed = measure_speed(chains);
  EXPECT_TRUE(speed.settled);
  EXPECT_EQ(speed.n_lost, 0);
  EXPECT_EQ(speed.spacing, 1);
  EXPECT_EQ(speed.x.coordinate, 1);
  EXPECT_NEAR(speed.x.time, time_of(0.9), 5.0 * speed.x.standard_error);
  EXPECT_EQ(speed.square.coordinate, 2);
  EXPECT_NEAR(speed.square.time, time_of(0.97 * 0.97), 5.0 * speed.square.standard_error);
  const double e = (time_of(0.3 * 0.3) + time_of(0.9 * 0.9) + time_of(0.97 * 0.97)) / 3.0;  // of equal variances
  EXPECT_NEAR(speed.energy.time, e, 5.0 * speed.energy.standard_error);
  EXPECT_EQ(speed.worst().time, speed.square.time);
  EXPECT_LT(speed.square.standard_error, 0.08 * speed.square.time);
  for (const double mean : {speed.mean(1, 0), speed.mean(1, 1), speed.mean(1, 2)}) EXPECT_NEAR(mean, 10.0, 0.3);
  for (const double v : speed.variance) EXPECT_NEAR(v, 0.5 * (1.0 + 4.0), 0.25);
}

TEST(SamplerSpeed, WidensTheSpacingForSlowChains) {
  Autoregressive chains({0.99}, 1, 60);
  SpeedSettings settings;
  const SamplerSpeed speed = measure_speed(chains, settings);
  EXPECT_TRUE(speed.settled);
  EXPECT_GT(speed.spacing, 4);
  EXPECT_NEAR(speed.x.time, time_of(0.99), 5.0 * speed.x.standard_error + 0.01 * time_of(0.99));
  settings.longest_spacing = 1;
  EXPECT_FALSE(measure_speed(chains, settings).settled);
  settings.n_draws = 5;
  EXPECT_THROW(measure_speed(chains, settings), Error);
}

TEST(SamplerSpeed, LostChainsAreCountedAndLeftOut) {
  Autoregressive chains({0.5, 0.2}, 2, 40);
  chains.lost = 57;
  const SamplerSpeed speed = measure_speed(chains);
  EXPECT_EQ(speed.n_lost, 1);
  EXPECT_NEAR(speed.x.time, time_of(0.5), 5.0 * speed.x.standard_error);
  EXPECT_NEAR(speed.mean(1, 1), 10.0, 0.2);
}

TEST(SamplerSpeed, VarianceBiasIsThatOfTheWorstGroup) {
  const std::vector<double> reference{4.0, 1.0, 9.0}, found{4.4, 1.01, 8.1};
  EXPECT_NEAR(variance_bias(found, reference), 0.1, 1e-12);  // the first one counted
  EXPECT_NEAR(variance_bias(found, reference, 1), 0.01 / 3.0, 1e-12);
  EXPECT_NEAR(variance_bias(found, reference, 2), (0.1 - 0.1) / 2.0 + 0.01, 1e-12);  // {1}, {4, 9}
  EXPECT_TRUE(std::isnan(variance_bias(std::vector<double>{1.0, NAN}, std::vector<double>{1.0, 1.0})));
  EXPECT_THROW(variance_bias(found, std::vector<double>{1.0}), Error);
}

// Means 0.5 standard deviations off, by 20 chains in each of 300 laws: the estimate of the square has a standard deviation of some
// (0.05 sqrt(2) + 2 * 0.5 * 0.22) / sqrt(600) = 0.01.
TEST(SamplerSpeed, DistanceOfMeansTakesTheChainsOwnNoiseOff) {
  Matrix<float> x(6000, 2);
  fill_normals(9, Stream::evaluation, 0, 0, 1, x);
  Matrix<double> mean(300, 2);
  std::fill_n(mean.data(), mean.size(), 0.5 * 3.0);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] *= 3.0f;
  const std::vector<double> variance{9.0, 9.0};
  const double d = distance_of_means(x.view(), 20, mean.view(), variance);
  EXPECT_NEAR(d * d, 0.25, 0.06);
  std::fill_n(mean.data(), mean.size(), 0.0);
  EXPECT_LT(distance_of_means(x.view(), 20, mean.view(), variance), 0.13);
  EXPECT_THROW(distance_of_means(x.view(), 1, mean.view(), variance), Error);
}

}  // namespace
}  // namespace tarn
