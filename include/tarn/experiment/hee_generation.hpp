// Draws of a hierarchical model itself, nothing given, by its own dynamics or exactly (docs/hee.md, section 8).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/experiment/config.hpp"

namespace tarn {

enum class GenerationMode : std::uint8_t { joint, marginal, layerwise, ancestral };
inline constexpr std::array<std::string_view, 4> generation_mode_names{"joint", "marginal", "layerwise", "ancestral"};

struct GenerationPlan {
  GenerationMode mode = GenerationMode::joint;
  HeeDynamics dynamics;      ///< of the latents; what moves when, `HeeGenerator` sets by the mode
  int inner_steps = 10;      ///< K >= 1; `marginal` only
  std::int64_t n_steps = 0;  ///< of the latents; `layerwise`: of each layer. `marginal`: a multiple of K
  bool from_prior = false;   ///< ancestral latents and `x_0 = E[x_0 | x_1]`, else noise; `joint` and `marginal` only
  float spread = 0.0f;       ///< standard deviation of the noise
  std::uint64_t seed = 0;
};

/// What [sampling] and [inference] of a resolved config say. Throws `UsageError` where `sampling.mode` is no way to generate.
GenerationPlan generation_plan(const Config& config);

/// Blocks of chains that generate, one after the other. Step n of a chain takes the noise of step 2^33 + n.
class HeeGenerator {
 public:
  static constexpr std::uint64_t first_noise_step = std::uint64_t{1} << 33;  // behind training's and posterior chains'

  HeeGenerator(Backend& backend, const HeeParameters& model, const GenerationPlan& plan);

  /// Steps that a chain takes in all: `ancestral` 1, `layerwise` `n_steps` for each layer.
  std::int64_t n_steps() const;
  /// Stretches are multiples of it.
  std::int64_t whole_steps() const { return plan_.mode == GenerationMode::marginal ? plan_.inner_steps : 1; }
  /// Steps until other layers have their turn, or the end.
  std::int64_t steps_in_turn() const;
  /// Products of the block with a matrix of the size of some `W_l` that the first `done` steps take.
  std::int64_t n_products(std::int64_t done) const;

  /// `n_chains` new chains from number `first_chain` on, at their starting points.
  void begin(std::uint64_t first_chain, std::int64_t n_chains);
  /// Throws `Error` beyond the last step.
  void advance(std::int64_t n_steps);
  std::int64_t done() const { return done_; }
  /// `[n_chains, n_l]`, l = 0..L. Of `layerwise` and `ancestral` draws of the model after the last step only.
  std::vector<Matrix<float>> state() const;
  /// `[n_chains]`: -1 while well, else the step, from 0, at which the chain was lost.
  std::vector<std::int64_t> first_bad_step() const;

  /// For checkpoints; null where nothing moves (`ancestral`).
  HeeSession* session() { return session_.get(); }
  const HeeSession* session() const { return session_.get(); }
  /// After the session was restored to these chains, `done` steps from their start.
  void go_on(std::uint64_t first_chain, std::int64_t n_chains, std::int64_t done);

 private:
  HeeDynamics dynamics() const;
  HeeRows rows() const { return {.n_data = n_chains_, .first_chain = first_chain_}; }

  HeeParameters model_;
  GenerationPlan plan_;
  std::unique_ptr<HeeSession> session_;
  std::uint64_t first_chain_ = 0;
  std::int64_t n_chains_ = 0, done_ = 0;
};

}  // namespace tarn
