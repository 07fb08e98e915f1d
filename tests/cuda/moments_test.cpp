// Moments of components on the device against the host's.
#include "moments.hpp"

#include "cuda/large_harness.hpp"

namespace tarn::test {
namespace {

struct DeviceMoments {
  std::vector<double> mean, variance;
  std::vector<std::int64_t> count;
};

class MomentsOnDevice : public OnDevice {
 protected:
  DeviceMoments moments(const Matrix<float>& x, const std::vector<std::int64_t>& bad) {
    const std::int64_t D = x.cols();
    DeviceMoments m;
    m.mean.resize(static_cast<std::size_t>(D), -1.0);
    m.variance.resize(static_cast<std::size_t>(D), -1.0);
    m.count.resize(static_cast<std::size_t>(D), -1);
    Guarded<float> values(x.data(), x.size(), stream());
    Guarded<std::int64_t> first_bad(bad.data(), static_cast<std::int64_t>(bad.size()), stream());
    Guarded<double> mean(m.mean.data(), D, stream()), variance(m.variance.data(), D, stream());
    Guarded<std::int64_t> count(m.count.data(), D, stream());
    cuda::launch_moments(values.data(), x.rows(), D, first_bad.data(), mean.data(), variance.data(), count.data(),
                         stream().handle());
    mean.download(m.mean.data(), stream());
    variance.download(m.variance.data(), stream());
    count.download(m.count.data(), stream());
    return m;
  }
};

TEST_F(MomentsOnDevice, MatchTheHostForEveryShape) {
  for (const std::int64_t D : {1, 2, 3, 31, 33, 257}) {
    for (const std::int64_t n : {1, 31, 33, 257, 1000}) {
      Matrix<float> x = normal_matrix(n, D, 30);
      for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] += 100.0f;  // a mean that would eat a naive variance
      std::vector<std::int64_t> bad(static_cast<std::size_t>(n), -1);
      if (n > 31) {
        bad[7] = 12;
        x(3, D - 1) = NAN;
        x(8, 0) = INFINITY;
        for (std::int64_t d = 0; d < D; ++d) x(7, d) = 1e30f;
      }
      const DeviceMoments m = moments(x, n % 2 == 0 ? std::vector<std::int64_t>{} : bad);
      for (std::int64_t d = 0; d < D; ++d) {
        double sum = 0.0, square = 0.0;
        std::int64_t count = 0;
        const auto counts = [&](std::int64_t i) {
          return std::isfinite(x(i, d)) && (n % 2 == 0 || bad[static_cast<std::size_t>(i)] < 0);
        };
        for (std::int64_t i = 0; i < n; ++i) {
          if (counts(i)) sum += x(i, d), ++count;
        }
        const double mean = sum / static_cast<double>(count);
        for (std::int64_t i = 0; i < n; ++i) {
          if (counts(i)) square += (x(i, d) - mean) * (x(i, d) - mean);
        }
        const auto at = static_cast<std::size_t>(d);
        ASSERT_EQ(m.count[at], count) << "n " << n << " D " << D << " component " << d;
        ASSERT_NEAR(m.mean[at], mean, 1e-12 * std::fabs(mean));
        if (count > 1) {
          const double variance = square / static_cast<double>(count - 1);
          ASSERT_NEAR(m.variance[at], variance, 1e-10 * variance);
        } else {
          ASSERT_TRUE(std::isnan(m.variance[at]));
        }
      }
    }
  }
}

TEST_F(MomentsOnDevice, NothingFiniteIsSaid) {
  Matrix<float> x(5, 2);
  for (std::int64_t i = 0; i < 5; ++i) x(i, 1) = NAN;
  const DeviceMoments m = moments(x, {});
  EXPECT_EQ(m.count[0], 5);
  EXPECT_EQ(m.mean[0], 0.0);
  EXPECT_EQ(m.variance[0], 0.0);
  EXPECT_EQ(m.count[1], 0);
  EXPECT_TRUE(std::isnan(m.mean[1]));
  EXPECT_TRUE(std::isnan(m.variance[1]));
}

}  // namespace
}  // namespace tarn::test
