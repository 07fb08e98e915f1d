// What tests of hierarchical models on the device share.
#pragma once

#include "compute/hee_session_checks.hpp"
#include "device.hpp"

namespace tarn::test {

class HeeDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    TARN_NEEDS_DEVICE();
    device_ = cuda_backend();
  }
  MakeHee on_device() {
    return [this](const HeeParameters& p, const HeeOptimizer& o) { return device_->make_hee_session(p, o); };
  }
  std::unique_ptr<Backend> device_;
};

}  // namespace tarn::test
