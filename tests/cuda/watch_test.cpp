// Live diagnostics on the device: the sums are the host's, bit for bit, whatever the order in which chains are looked at.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "cuda/large_harness.hpp"
#include "device_watch.hpp"
#include "host_watch.hpp"

namespace tarn::test {
namespace {

class WatchOnDevice : public OnDevice {
 protected:
  // Places that chains of a law could be at, one of them lost from the fifth look on and two that stand still together.
  static Matrix<float> places(std::int64_t n, std::int64_t D, std::int64_t look) {
    Matrix<float> x = normal_matrix(n, D, 40 + static_cast<std::uint64_t>(look));
    if (n < 31) return x;
    std::fill_n(x.row(3), D, 0.5f);
    std::fill_n(x.row(17), D, 0.5f);
    if (look >= 4) std::fill_n(x.row(8), D, std::nanf(""));
    return x;
  }

  template <class T>
  static void expect_same(const char* name, const std::vector<T>& device, const std::vector<T>& host) {
    ASSERT_EQ(device.size(), host.size()) << name;
    for (std::size_t i = 0; i < host.size(); ++i) {
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(device[i]) && std::isnan(host[i])) continue;
      }
      ASSERT_EQ(device[i], host[i]) << name << " at " << i;
    }
  }

  void check(std::int64_t n, std::int64_t D, std::int64_t n_outputs, std::int64_t n_modes, std::int64_t n_looks) {
    SCOPED_TRACE(testing::Message() << n << " chains, D = " << D << ", " << n_modes << " modes");
    WatchPlan plan;
    plan.n_outputs = n_outputs;
    if (n_modes > 0) plan.centers = normal_matrix(n_modes, D, 39);
    HostWatch host(plan, n, D, nullptr);
    cuda::DeviceWatch device;
    device.load(plan, host.state(), D, stream().handle());
    for (std::int64_t look = 0; look < n_looks; ++look) {
      Matrix<float> x = places(n, D, look);
      Guarded<float> on_device(x.data(), x.size(), stream());
      host.observe(x.view(), 1);
      device.observe(on_device.data(), stream().handle());
      if (look == n_looks / 2) device.load(plan, device.read(stream().handle()), D, stream().handle());
      Matrix<float> after(n, D);
      on_device.download(after.data(), stream());
      ASSERT_EQ(std::memcmp(after.data(), x.data(), static_cast<std::size_t>(x.size()) * sizeof(float)), 0);
    }
    const WatchState& expected = host.state();
    const WatchState found = device.read(stream().handle());
    EXPECT_EQ(found.clock, expected.clock);
    expect_same("batch_mean", found.batch_mean, expected.batch_mean);
    expect_same("batch_square", found.batch_square, expected.batch_square);
    expect_same("open_mean", found.open_mean, expected.open_mean);
    expect_same("open_square", found.open_square, expected.open_square);
    expect_same("variogram", found.variogram, expected.variogram);
    expect_same("recent", found.recent, expected.recent);
    expect_same("hashes", found.hashes, expected.hashes);
    expect_same("still", found.still, expected.still);
    expect_same("mode", found.mode, expected.mode);
    expect_same("sketch", found.sketch, expected.sketch);
    expect_same("modes", found.modes, expected.modes);
  }
};

TEST_F(WatchOnDevice, SumsAreTheHostsForEveryShape) {
  for (const std::int64_t n : {1, 31, 33, 257, 600}) {
    check(n, 1, 1, 2, 21);
    check(n, 2, 2, 0, 18);
    check(n, 33, 8, 3, 18);
  }
}

TEST_F(WatchOnDevice, BatchesAreMergedAgainAndAgain) { check(40, 2, 1, 0, 135); }

}  // namespace
}  // namespace tarn::test
