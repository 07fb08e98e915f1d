// The energy that benches report (bench/gpu/energy.hpp), against a library in NVML's place whose counter is known.
#include "energy.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

namespace tarn::bench {
namespace {

using testing::HasSubstr;

nlohmann::json parse_fields(const std::string& fields) { return nlohmann::json::parse(fmt::format("{{{}}}", fields)); }

// Variables of the fake library, gone at the end of the test.
class Energies : public testing::Test {
 protected:
  void set(const char* name, const char* value) { setenv(name, value, 1); }
  void TearDown() override {
    for (const char* name :
         {"FAKE_NVML_INIT", "FAKE_NVML_BUS", "FAKE_NVML_READINGS", "FAKE_NVML_WATTS", "FAKE_NVML_MS", "TARN_NVML"})
      unsetenv(name);
  }
  const std::string fake = TARN_FAKE_NVML;
  const std::string bus = "0000:1b:00.0";
};

TEST_F(Energies, CounterIsThatOfTheBusInJoules) {
  set("FAKE_NVML_BUS", "0000:1b:00.0");
  set("FAKE_NVML_READINGS", "1000 1500 18446744073709551615");
  EnergyCounter counter(bus, fake);
  EXPECT_EQ(counter.joules(), 1.0);
  EXPECT_EQ(counter.joules(), 1.5);
  EXPECT_DOUBLE_EQ(counter.joules().value(), 18446744073709551.615);  // 64 bits without a sign
  EXPECT_EQ(counter.failure(), "");
}

TEST_F(Energies, WhatIsMissingIsSaidAndHasNoNumber) {
  {
    EnergyCounter counter(bus, "libthere_is_none.so.1");
    EXPECT_EQ(counter.joules(), std::nullopt);
    EXPECT_THAT(counter.failure(), HasSubstr("libthere_is_none.so.1"));
  }
  {
    EnergyCounter counter(bus, "libm.so.6");  // a library, but not this one
    EXPECT_EQ(counter.joules(), std::nullopt);
    EXPECT_EQ(counter.failure(), "libm.so.6 has no nvmlInit_v2");
  }
  {
    set("FAKE_NVML_INIT", "9");
    EnergyCounter counter(bus, fake);
    EXPECT_EQ(counter.joules(), std::nullopt);
    EXPECT_EQ(counter.failure(), "nvmlInit_v2: Driver Not Loaded");
    set("FAKE_NVML_INIT", "0");
  }
  {
    EnergyCounter counter("0000:2c:00.0", fake);
    EXPECT_EQ(counter.joules(), std::nullopt);
    EXPECT_EQ(counter.failure(), "nvmlDeviceGetHandleByPciBusId_v2(0000:2c:00.0): Not Found");
  }
}

TEST_F(Energies, CounterThatFailsOnceIsNotAskedAgain) {
  set("FAKE_NVML_BUS", "0000:1b:00.0");
  set("FAKE_NVML_READINGS", "1000 error 3 2000");
  EnergyCounter counter(bus, fake);
  EXPECT_EQ(counter.joules(), 1.0);
  EXPECT_EQ(counter.joules(), std::nullopt);
  EXPECT_EQ(counter.joules(), std::nullopt);
  EXPECT_EQ(counter.failure(), "nvmlDeviceGetTotalEnergyConsumption: Not Supported");
}

TEST_F(Energies, LibraryIsNamedByAVariable) {
  EXPECT_EQ(nvml_library(), "libnvidia-ml.so.1");
  set("TARN_NVML", "/somewhere/else.so");
  EXPECT_EQ(nvml_library(), "/somewhere/else.so");
}

// Renewals at 0.3 s and 1.3 s, 200 J apart, with 3 and 13 units done.
TEST_F(Energies, WindowLiesBetweenRenewals) {
  EnergyWindow window;
  for (int i = 0; i <= 14; ++i) {
    const double joules = i < 3 ? 900.0 : i < 8 ? 1000.0 : i < 13 ? 1100.0 : 1200.0;
    window.add(0.1 * i, joules, i);
    if (i < 8) {
      EXPECT_EQ(window.seconds(), 0.0);
    }
  }
  EXPECT_DOUBLE_EQ(window.seconds(), 1.0);
  EXPECT_DOUBLE_EQ(window.result().watts.value(), 200.0);
  EXPECT_DOUBLE_EQ(window.result().joules_per_unit.value(), 20.0);
}

TEST_F(Energies, WindowWithoutTwoRenewalsHasNoResult) {
  EnergyWindow window;
  EXPECT_FALSE(window.result().watts);
  for (int i = 0; i < 5; ++i) window.add(i, 7.0, i);
  EXPECT_FALSE(window.result().watts);
  window.add(5.0, 8.0, 5.0);
  EXPECT_FALSE(window.result().watts);
  EXPECT_FALSE(window.result().joules_per_unit);
}

TEST_F(Energies, CounterThatGoesBackOrFailsSpoilsTheWindow) {
  for (const std::optional<double> bad : {std::optional<double>(1.0), std::optional<double>()}) {
    EnergyWindow window;
    for (int i = 0; i < 5; ++i) window.add(i, 10.0 + i, i);
    EXPECT_TRUE(window.result().watts);
    window.add(5.0, bad, 5.0);
    window.add(6.0, 100.0, 6.0);
    EXPECT_TRUE(window.is_spoilt());
    EXPECT_FALSE(window.result().watts);
    EXPECT_FALSE(window.result().joules_per_unit);
  }
}

// 250 W over a window whose ends are uncertain by a call of 2 ms; 20 % leaves room for a busy machine that wakes the test late.
TEST_F(Energies, MeterFindsThePowerOfAClock) {
  set("FAKE_NVML_BUS", "0000:1b:00.0");
  EnergyMeter meter(bus, 0.8, fake);
  int calls = 0;
  const Energy energy = meter.measure(1000.0, [&] {
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  });
  EXPECT_GE(calls, 3);
  EXPECT_NEAR(energy.watts.value(), 250.0, 50.0);
  EXPECT_GT(energy.joules_per_unit.value(), 0.0);
  const auto line = parse_fields(meter.text("chain_step", energy));
  EXPECT_EQ(line.size(), 3u);
  EXPECT_NEAR(line.at("joules_per_chain_step").get<double>(), *energy.joules_per_unit, 1e-4 * *energy.joules_per_unit);
  EXPECT_NEAR(line.at("idle_watts").get<double>(), 250.0, 50.0);
  const auto idle = nlohmann::json::parse(meter.idle_line());
  EXPECT_EQ(idle.at("watts"), line.at("idle_watts"));
  EXPECT_TRUE(idle.at("why_not").is_null());
}

// Calls that are longer than the whole window, as an emulated device's are.
TEST_F(Energies, SlowCallsAreMeasuredToo) {
  set("FAKE_NVML_BUS", "0000:1b:00.0");
  EnergyMeter meter(bus, 0.02, fake);
  int calls = 0;
  const Energy energy = meter.measure(1.0, [&] {
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
  });
  EXPECT_LE(calls, 3);
  EXPECT_TRUE(energy.watts.has_value());
}

TEST_F(Energies, MeterWithoutACounterDoesNoWorkAndWritesNull) {
  EnergyMeter meter(bus, 0.4, "lib\"there_is_none.so");
  const std::string fields = meter.fields("training_step", 1.0, [] { FAIL() << "work without a counter"; });
  const auto line = parse_fields(fields);
  for (const char* name : {"joules_per_training_step", "watts", "idle_watts"})
    EXPECT_TRUE(line.at(name).is_null()) << name;
  const auto idle = nlohmann::json::parse(meter.idle_line());
  EXPECT_TRUE(idle.at("watts").is_null());
  EXPECT_THAT(idle.at("why_not").get<std::string>(), HasSubstr("there_is_none.so"));
}

TEST_F(Energies, CounterThatStandsStillIsGivenUp) {
  set("FAKE_NVML_BUS", "0000:1b:00.0");
  set("FAKE_NVML_READINGS", "5000");
  EnergyMeter meter(bus, 0.05, fake);
  const auto line = parse_fields(meter.fields("chain_step", 1.0, [] {}));
  EXPECT_TRUE(line.at("watts").is_null());
  EXPECT_THAT(meter.idle_line(), HasSubstr("the counter does not move"));
}

}  // namespace
}  // namespace tarn::bench
