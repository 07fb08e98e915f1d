// From a config's tables to what an HEE model is trained and run with.
#pragma once

#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/models/hee_file.hpp"
#include "tarn/training/hee_trainer.hpp"

namespace tarn {

/// `[[model.layers]]` as the backend knows them.
std::vector<HeeLayer> hee_layers(const Config& config);

/// `[inference]`: how latents move.
HeeDynamics hee_dynamics(const Config& config);

/// The training part of a resolved config.
HeeTrainingPlan hee_training_plan(const Config& config, const PreparedData& data);
HeeOptimizer hee_optimizer(const Config& config);

/// The model that training starts from: fresh from the seed; or the one that `training.init` names, with fresh layers on top where the config
/// has more of them. Throws `UsageError` where it does not fit the config or the data.
HeeModel starting_hee(const Config& config, const PreparedData& data);

/// Throws `UsageError` for data outside the range of the observation's family: negative ones for `rectified`.
void check_observations(const Config& config, const PreparedData& data);

/// What a person should know before or after training: a step too large for the weights, interneurons that are not much faster than the
/// neurons they serve. `x[l]` `[n, n_l]` is a state in which natural parameters are looked at; empty: those at zero input.
std::vector<std::string> hee_warnings(const Config& config, const HeeParameters& parameters,
                                      std::span<const Matrix<float>> x = {});

}  // namespace tarn
