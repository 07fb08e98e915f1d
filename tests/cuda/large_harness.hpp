// Runs the large-D path on whichever device the test was linked with, between guard zones.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "compute/momentum_checks.hpp"
#include "cuda/device.hpp"
#include "large_chains.hpp"
#include "memory.hpp"
#include "reservoir_chains.hpp"

namespace tarn::test {

/// Device memory of a matrix, with as much as 64 elements before and after that must stay as they are.
template <class T>
class Guarded {
 public:
  Guarded() = default;
  Guarded(const T* from, std::int64_t n, const cuda::CudaStream& stream) : n_(n), all_(n + 2 * zone) {
    std::vector<T> values(static_cast<std::size_t>(n + 2 * zone));
    std::memset(values.data(), mark, values.size() * sizeof(T));
    if (n > 0) std::memcpy(values.data() + zone, from, static_cast<std::size_t>(n) * sizeof(T));
    cuda::copy_async(all_.data(), values.data(), all_.size(), stream.handle());
    stream.synchronize();
  }
  T* data() { return n_ == 0 ? nullptr : all_.data() + zone; }
  /// Waits for the stream, and looks at the guard zones.
  void download(T* to, const cuda::CudaStream& stream) {
    if (n_ == 0) return;
    std::vector<T> values(static_cast<std::size_t>(all_.size()));
    cuda::copy_async(values.data(), all_.data(), all_.size(), stream.handle());
    stream.synchronize();
    std::memcpy(to, values.data() + zone, static_cast<std::size_t>(n_) * sizeof(T));
    const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
    const std::size_t zone_bytes = zone * sizeof(T);
    for (std::size_t i = 0; i < zone_bytes; ++i) {
      ASSERT_EQ(bytes[i], mark) << "written before the first element";
      ASSERT_EQ(bytes[values.size() * sizeof(T) - 1 - i], mark) << "written behind the last element";
    }
  }

 private:
  static constexpr std::int64_t zone = 64;
  static constexpr unsigned char mark = 0x5a;
  std::int64_t n_ = 0;
  cuda::DeviceBuffer<T> all_;
};

/// Each value within `tolerance (1 + |value|)`, or NaN in both.
inline void expect_close(const Matrix<float>& a, const Matrix<float>& b, double tolerance, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a.data()[i]) && std::isnan(b.data()[i])) continue;
    ASSERT_NEAR(a.data()[i], b.data()[i], tolerance * (1.0 + std::fabs(b.data()[i])))
        << what << ": row " << i / a.cols() << ", column " << i % a.cols();
  }
}

class OnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    TARN_NEEDS_DEVICE();
    context_.emplace(0);
  }
  const cuda::CudaStream& stream() { return context_->stream; }

  /// Advances the chains, in reservoir mode where they have r.
  void advance(const cuda::LargeDeviceNetwork& network, const LangevinSteps& steps, HostChains& chains) {
    const auto up = [&](const Matrix<float>& m) { return Guarded<float>(m.data(), m.size(), stream()); };
    Guarded<float> x = up(chains.x), v = up(chains.v), u = up(chains.u), clamp = up(chains.clamp), r = up(chains.r),
                   P = up(chains.P), private_noise = up(chains.private_noise);
    Guarded<std::int64_t> bad(chains.bad.data(), static_cast<std::int64_t>(chains.bad.size()), stream());
    cuda::DeviceChains d;
    d.n = chains.x.rows();
    d.x = x.data();
    d.v = v.data();
    d.u = u.data();
    d.clamp = clamp.data();
    d.first_bad_step = bad.data();
    d.r = r.data();
    d.P = P.data();
    d.private_noise = private_noise.data();
    if (chains.r.empty()) {
      advance_large(network, steps, d, workspace_, *context_);
    } else {
      advance_reservoir(network, steps, d, workspace_, *context_);
    }
    x.download(chains.x.data(), stream());
    v.download(chains.v.data(), stream());
    r.download(chains.r.data(), stream());
    bad.download(chains.bad.data(), stream());
  }

  /// The same for the checks of any backend.
  OnNetwork on_device() {
    return [this](const LargeCase& net) -> Advance {
      const auto network = std::make_shared<const cuda::LargeDeviceNetwork>(net.view(), stream().handle());
      return [this, network](const LangevinSteps& steps, HostChains& chains) { advance(*network, steps, chains); };
    };
  }

  Matrix<float> drift(const cuda::LargeDeviceNetwork& network, const Matrix<float>& points) {
    Matrix<float> out(points.rows(), network.n_outputs);
    Guarded<float> from(points.data(), points.size(), stream()), to(out.data(), out.size(), stream());
    drift_large(network, from.data(), points.rows(), to.data(), workspace_, *context_);
    to.download(out.data(), stream());
    return out;
  }

  std::optional<cuda::Context> context_;
  cuda::LargeWorkspace workspace_;
};

}  // namespace tarn::test
