// States of HEE sessions in checkpoints; private to the stages.
#pragma once

#include "tarn/compute/hee.hpp"
#include "tarn/experiment/checkpoint.hpp"
#include "tarn/training/hee_trainer.hpp"

namespace tarn {

void put_hee_training(TensorFile& file, const HeeTrainingPosition& position, const HeeSession& session);
/// Puts session and position back. Throws `Error` for what no run would have written.
HeeTrainingPosition restore_hee_training(const TensorFile& file, const HeeRows& rows, HeeSession& session);

/// Chains as tensors `chains.*`, and back; `rows` are those that the file's chains were.
void put_hee_chains(TensorFile& file, const HeeSession& session);
void restore_hee_chains(const TensorFile& file, const HeeRows& rows, HeeSession& session);

}  // namespace tarn
