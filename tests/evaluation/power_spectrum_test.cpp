#include "tarn/evaluation/power_spectrum.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// sin(0.37 i) + cos(0.19 i^2) / 2 + 0.01 i
Matrix<float> known_series() {
  Matrix<float> x(1, 50);
  for (int i = 0; i < 50; ++i)
    x(0, i) = static_cast<float>(std::sin(0.37 * i) + 0.5 * std::cos(1.9 * i * i / 10) + 0.01 * i);
  return x;
}

// x_{t+1} = a x_t + sqrt(1 - a^2) xi, started at rest: an Ornstein-Uhlenbeck process seen at even times.
Matrix<float> autoregressive(std::int64_t n_series, std::int64_t n, double a, std::uint64_t seed) {
  Matrix<float> xi(n_series, n), x(n_series, n);
  fill_normals(seed, Stream::evaluation, 0, 0, 1, xi.view());
  for (std::int64_t i = 0; i < n_series; ++i) {
    double state = xi(i, 0);
    for (std::int64_t t = 0; t < n; ++t) {
      if (t > 0) state = a * state + std::sqrt(1.0 - a * a) * xi(i, t);
      x(i, t) = static_cast<float>(state);
    }
  }
  return x;
}

void expect_values(const PowerSpectrum& s, const std::vector<double>& expected) {
  ASSERT_EQ(s.density.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(s.density[i], expected[i], 2e-6) << i;
}

TEST(PowerSpectrum, AgreesWithScipy) {
  // scipy 1.17.1: scipy.signal.welch(x, fs=4, nperseg=16) and nperseg=15, x as float32
  const PowerSpectrum even = power_spectrum(known_series().view(), 0.25, 16);
  EXPECT_EQ(even.n_segments, 5);
  EXPECT_DOUBLE_EQ(even.frequency[3], 0.75);
  expect_values(even, {0.0864404094, 1.17604902, 0.299768169, 0.0347644307, 0.0648070495, 0.0200423493, 0.0731229272,
                       0.160105178, 0.0894795033});
  expect_values(
      power_spectrum(known_series().view(), 0.25, 15),
      {0.114694313, 0.998118576, 0.215074152, 0.0449531083, 0.0587906288, 0.0275040205, 0.113054538, 0.168882607});
}

TEST(PowerSpectrum, OfAnOrnsteinUhlenbeckProcess) {
  // one-sided: 2 dt (1 - a^2) / (1 - 2 a cos(2 pi f dt) + a^2), a = exp(-dt / tau): near f = 0 the Lorentzian 4 tau / (1 + (2 pi f tau)^2)
  constexpr double dt = 0.5, tau = 5.0;
  const double a = std::exp(-dt / tau);
  const Matrix<float> x = autoregressive(64, 4096, a, 3);
  const PowerSpectrum s = power_spectrum(x.view(), dt, 256);
  EXPECT_EQ(s.n_series, 64);
  EXPECT_EQ(s.n_segments, 64 * 31);
  const auto exact = [&](double f) {
    return 2.0 * dt * (1.0 - a * a) / (1.0 - 2.0 * a * std::cos(2.0 * std::numbers::pi * f * dt) + a * a);
  };
  // bands of 16 frequencies: 1984 half-overlapping segments give each a relative deviation of 3 %, and a band 1 %; 5 of them and 2 % for
  // what the window smears, false alarm 4e-6
  for (std::size_t first = 2; first + 16 <= s.density.size(); first += 16) {
    double found = 0.0, expected = 0.0;
    for (std::size_t f = first; f < first + 16; ++f) {
      found += s.density[f];
      expected += exact(s.frequency[f]);
    }
    EXPECT_NEAR(found / expected, 1.0, 0.07) << "from " << s.frequency[first];
  }
  EXPECT_NEAR(exact(0.0), 4.0 * tau, 0.01 * 4.0 * tau);
  // the integral is the variance, 1, less what the segments' means take: 2 tau / (256 dt) of it
  EXPECT_NEAR(integral(s), 1.0 - 2.0 * tau / (256.0 * dt), 0.04);
}

TEST(PowerSpectrum, Traps) {
  Matrix<float> x = autoregressive(3, 64, 0.5, 4);
  const PowerSpectrum whole = power_spectrum(x.view().slice(1, 3), 1.0, 32);
  x(0, 5) = std::numeric_limits<float>::quiet_NaN();
  const PowerSpectrum rest = power_spectrum(x.view(), 1.0, 32);
  EXPECT_EQ(rest.n_spoiled, 1);
  EXPECT_EQ(rest.density, whole.density) << "a spoiled series is left out and changes nothing else";
  EXPECT_TRUE(power_spectrum(x.view().slice(0, 1), 1.0, 32).density.empty());
  EXPECT_TRUE(power_spectrum(Matrix<float>(5, 1).view(), 1.0, 32).density.empty()) << "one draw a chain";
  const PowerSpectrum constant = power_spectrum(Matrix<float>(2, 64).view(), 1.0, 32);
  EXPECT_EQ(integral(constant), 0.0);
  EXPECT_EQ(power_spectrum(x.view().slice(1, 3), 1.0, 1000).n_segments, 2) << "cut to the series";
  EXPECT_THROW(power_spectrum(x.view(), 0.0, 32), Error);
  EXPECT_THROW(power_spectrum(x.view(), 1.0, 1), Error);
}

}  // namespace
}  // namespace tarn
