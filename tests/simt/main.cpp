// GoogleTest's main for programs that run on the emulator: a fault that no call could throw fails the test that made it.
#include <gtest/gtest.h>

#include "simt.hpp"

namespace {

class Faults final : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo&) override {
    if (const std::string fault = simt::take_fault(); !fault.empty()) ADD_FAILURE() << "the emulated GPU: " << fault;
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new Faults);
  return RUN_ALL_TESTS();
}
