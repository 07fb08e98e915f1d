// Reservoir mode against double, against output mode with the same noise, and against the golden vectors.
#include <gtest/gtest.h>

#include "compute/large_on_threads.hpp"
#include "compute/reservoir_checks.hpp"

namespace tarn::cpu {
namespace {

using test::HostChains;
using test::LargeCase;
using test::reservoir;
using test::some_steps;

void expect_one_step(const LargeCase& net, std::int64_t n, const LangevinSteps& steps) {
  test::expect_one_reservoir_step(on_threads(2), net, reservoir(net, n), steps);
}

TEST(LargeReservoir, StepMatchesDouble) {
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t n : {1, 33}) {
      expect_one_step(LargeCase(phi, 17, 3, 257), n, some_steps(1));
      expect_one_step(LargeCase(phi, 2, 0, 33), n, some_steps(1, Integrator::leimkuhler_matthews));
    }
  }
}

TEST(LargeReservoir, IrreversibleDriftAndShiftMatchDouble) {
  LargeCase net(Nonlinearity::tanh, 17, 1, 100);
  net.add_map();
  net.add_shift();
  expect_one_step(net, 33, some_steps(1));
}

TEST(LargeReservoir, AgreesWithOutputModeOverManySteps) {
  test::expect_agreement_with_output_mode(on_threads(2), 40, 1000);
}

TEST(LargeReservoir, SameBitsOnAnyNumberOfThreadsAndInAnyNumberOfCalls) {
  const LargeCase net(Nonlinearity::softplus, 20, 2, 300);
  const LargeNetwork prepared(net.view());
  HostChains one = reservoir(net, 200), three = one;
  advance_reservoir_large(prepared, some_steps(4), one.reservoir_block(), 1);
  advance_reservoir_large(prepared, some_steps(1), three.reservoir_block(), 3);
  LangevinSteps rest = some_steps(3);
  rest.first_step += 1;
  advance_reservoir_large(prepared, rest, three.reservoir_block(), 2);
  EXPECT_EQ(one.r, three.r);
  EXPECT_EQ(one.x, three.x);
}

TEST(LargeReservoir, QuarantineSparesTheOthers) {
  test::expect_reservoir_quarantine_spares_the_others(on_threads(2), 3);
}

TEST(LargeReservoir, ClampedOutputsAreHeldByTheNeurons) {
  test::expect_clamped_outputs_held_by_the_neurons(on_threads(2));
}

}  // namespace
}  // namespace tarn::cpu
