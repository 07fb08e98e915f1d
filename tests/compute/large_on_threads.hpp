// The large-D path of the CPU, for the checks of any backend.
#pragma once

#include <memory>

#include "compute/momentum_checks.hpp"
#include "large_langevin.hpp"

namespace tarn::cpu {

inline test::OnNetwork on_threads(int n_threads) {
  return [n_threads](const test::LargeCase& net) -> test::Advance {
    const auto network = std::make_shared<const LargeNetwork>(net.view());
    return [network, n_threads](const LangevinSteps& steps, test::HostChains& chains) {
      if (chains.r.empty()) {
        advance_large(*network, steps, chains.block(), n_threads);
      } else {
        advance_reservoir_large(*network, steps, chains.reservoir_block(), n_threads);
      }
    };
  };
}

}  // namespace tarn::cpu
