// Checkpoints: all that a run needs to go on exactly where it stopped (docs/run-folder.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "tarn/compute/backend.hpp"
#include "tarn/compute/hee.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/experiment/run_folder.hpp"
#include "tarn/io/safetensors.hpp"
#include "tarn/sampling/chain_engine.hpp"
#include "tarn/training/trainer.hpp"

namespace tarn {

/// What decides the bits of the results beside config and data.
struct Machine {
  std::string device;  ///< "cpu", "cuda", "cuda:1"
  std::string isa;     ///< "x86-64-v4"
  int n_threads = 0;   ///< of the CPU backend
  std::string gpu;     ///< what kind it is; empty on the CPU
};
Machine machine_of(const Backend& backend);

/// XXH3 of everything that a config names and that a checkpoint does not hold: the training rows, and the files of weights, inputs,
/// clamps, starts and matrices, and `levels` or an HEE model where they are given. A run only goes on with the same.
std::string fingerprint(const Config& config, const PreparedData& data, const std::vector<SamplingNetwork>& levels = {},
                        const HeeParameters* hee = nullptr);

/// Writes `state-000000.safetensors, ...` below a folder: atomically, checksummed, the last `keep` of them.
class Checkpoints {
 public:
  /// `facts` are stored with every checkpoint. Numbering goes on behind the files that are there.
  Checkpoints(std::filesystem::path folder, const CheckpointConfig& config, std::map<std::string, std::string> facts);

  /// Whether `checkpoint.minutes` have passed since the last one, or a signal asks for an end.
  bool due() const;
  /// Adds the facts, the choices by measurement so far (`choices_file`) and `stage` ("begin", "training", "sampling") to the file's metadata
  /// and writes it.
  void save(TensorFile file, const std::string& stage);
  /// Removes them all: the run is finished.
  void clear();

  /// The newest one that reads whole; damaged ones are passed over with a warning. Nothing where there is none; throws `Error` where
  /// there are some and all are damaged.
  static std::optional<TensorFile> latest(const std::filesystem::path& folder);

 private:
  std::filesystem::path folder_;
  CheckpointConfig config_;
  std::map<std::string, std::string> facts_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// What a stage is told of checkpoints. Without any (the default) nothing is saved.
struct Continuation {
  Checkpoints* checkpoints = nullptr;
  const TensorFile* from = nullptr;  ///< the run goes on from here; null for a new one

  /// Whether the checkpoint was written in this stage.
  bool within(const std::string& stage) const { return from && from->metadata_at("stage") == stage; }
};

/// Positions as tensors, and back. The readers throw `Error` for what no run would have written.
void put_position(TensorFile& file, const TrainingPosition& position, const TrainingState& state);
TrainingPosition training_position(const TensorFile& file);
TrainingState training_state(const TensorFile& file);
void put_position(TensorFile& file, const SamplingPosition& position);
SamplingPosition sampling_position(const TensorFile& file);

/// Metrics written so far: synced and measured, to be stored as a fact of a checkpoint; and cut back to that length.
std::string synced_size(const std::filesystem::path& metrics);
void cut_back(const std::filesystem::path& metrics, const TensorFile& checkpoint);

}  // namespace tarn
