// How fast this machine is, for the forecasts of dry runs; private to them.
#pragma once

#include "tarn/compute/backend.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// Floating-point operations a second, measured for some 0.05 s on the operation that dominates: chains of the config's network.
double measured_flops(const Config& config, const PreparedData& data, Backend& backend);
/// Operations of one step of one chain.
double flops_of_a_step(const SamplingNetwork& network);

}  // namespace tarn
