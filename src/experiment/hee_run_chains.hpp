// The chains of an HEE run as its sampling stage sees them: tile after tile, whatever they sample.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tarn/experiment/hee_model.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {

class HeeRunChains {
 public:
  explicit HeeRunChains(const ChainRange& range) : range_(range) {}
  virtual ~HeeRunChains() = default;

  std::int64_t n_chains() const { return range_.end - range_.begin; }
  std::int64_t n_tile() const { return std::min(at.tile_size, n_chains() - at.tile_begin); }
  /// One line: what is sampled.
  virtual std::string description() const = 0;
  /// What the file of draws says of them beside what every run's does.
  virtual Attributes attributes() const = 0;
  virtual std::int64_t n_steps() const = 0;        ///< that a chain takes
  virtual std::int64_t whole_steps() const = 0;    ///< stretches are multiples of it
  virtual std::int64_t steps_in_turn() const = 0;  ///< the longest stretch from here
  virtual std::int64_t n_dims() const = 0;         ///< of a draw
  virtual std::int64_t n_units() const = 0;        ///< of a chain's state, kept in `at.last_draw`
  virtual HeeSession* session() = 0;               ///< where the chains are; null where nothing moves

  virtual void begin_tile() = 0;  ///< the tile that `at` names from its start
  virtual void advance(std::int64_t n_steps) = 0;
  virtual Matrix<float> draw() const = 0;              ///< `[n_tile, n_dims]` as the file holds it
  virtual void end_tile() = 0;                         ///< `at` names the next one then
  virtual void put(TensorFile& checkpoint) const = 0;  ///< the chains of the tile, beside `at`
  virtual void restore(const TensorFile& checkpoint) = 0;
  /// `[n_chains, n_l]`, l = 0..L, of all chains after their last step.
  virtual std::vector<Matrix<float>> last_state() const = 0;

  SamplingPosition at;

 protected:
  /// `at` as the checkpoint has it. Throws `Error` where that is not of these chains.
  void restore_position(const TensorFile& checkpoint);

  static constexpr std::int64_t usual_tile = 4096;

  ChainRange range_;
};

/// The datum `[n_0]` that a posterior chain is given.
const float* observation_of(const Config& config, const PreparedData& data, std::int64_t chain);

/// Chains of the latents, given data. A draw is the latents, layer after layer.
std::unique_ptr<HeeRunChains> make_posterior_chains(const Config& config, const PreparedData& data,
                                                    const HeeModel& model, Backend& backend, const ChainRange& range);

/// Chains of the model itself. A draw is `x_0`, `E[x_0 | x_1]`, both in the units of the data's filter space, and the latents, layer after layer.
std::unique_ptr<HeeRunChains> make_generated_chains(const Config& config, const PreparedData& data,
                                                    const HeeModel& model, Backend& backend, const ChainRange& range);

/// A chain's state of all layers side by side, `[n, n_0 + ... + n_L]`, and back.
Matrix<float> side_by_side(const std::vector<Matrix<float>>& layers);
std::vector<Matrix<float>> layers_of(const Matrix<float>& state, const HeeParameters& model);
/// The same from draws as a file holds them.
std::vector<Matrix<float>> generated_state(const Matrix<float>& draws, const PreparedData& data,
                                           const HeeParameters& model);

}  // namespace tarn
