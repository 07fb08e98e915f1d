// Posterior chains: the latents of an HEE model, given data.
#include <algorithm>

#include "hee_checkpoint.hpp"
#include "hee_run.hpp"
#include "hee_run_chains.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t first_noise_step = std::uint64_t{1} << 32;  // behind all that training can use

class PosteriorChains final : public HeeRunChains {
 public:
  PosteriorChains(const Config& config, const PreparedData& data, const HeeModel& model, Backend& backend,
                  const ChainRange& range)
      : HeeRunChains(range),
        config_(config),
        data_(data),
        model_(model.parameters),
        per_datum_(config.inference.chains_per_datum),
        dynamics_(hee_dynamics(config)),
        session_(backend.make_hee_session(model.parameters, hee_optimizer(config))) {
    if (data.rows.empty()) fail_usage("sampling: an hee model samples given data, which are not at hand here");
    if (range.begin % per_datum_ != 0 || range.end % per_datum_ != 0) {
      fail_usage("chain range {}:{} cuts through the {} chains of a datum; allowed: multiples of it", range.begin,
                 range.end, per_datum_);
    }
    at.tile_size = config.sampling.until.empty() ? std::max<std::int64_t>(1, usual_tile / per_datum_) * per_datum_
                                                 : n_chains();  // a rule judges all of them
    at.first_bad_step.assign(static_cast<std::size_t>(n_chains()), -1);
    at.last_draw = Matrix<float>(n_chains(), n_units());
  }

  std::string description() const override {
    return fmt::format("posterior of {} data, {} chains each, {} steps", n_chains() / per_datum_, per_datum_,
                       n_steps());
  }
  Attributes attributes() const override { return {{"chains_per_datum", per_datum_}}; }
  std::int64_t n_steps() const override { return config_.sampling.burn_in + config_.sampling.steps; }
  std::int64_t whole_steps() const override { return 1; }
  std::int64_t steps_in_turn() const override { return n_steps() - at.done; }
  std::int64_t n_dims() const override { return n_units(); }
  std::int64_t n_units() const override { return n_units_from(model_, 1); }

  HeeSession* session() override { return session_.get(); }
  void begin_tile() override {
    session_->set_rows(rows());
    session_->set_observations(observations(at.tile_begin, n_tile()).view());
    session_->reset(dynamics_, config_.run.seed, first_noise_step, static_cast<float>(config_.inference.spread));
  }

  void put(TensorFile& checkpoint) const override { put_hee_chains(checkpoint, *session_); }
  void restore(const TensorFile& checkpoint) override {
    restore_position(checkpoint);
    if (at.done == 0) return;
    restore_hee_chains(checkpoint, rows(), *session_);
    session_->set_observations(observations(at.tile_begin, n_tile()).view());
  }

  void advance(std::int64_t n_steps) override {
    HeeSteps steps;
    steps.seed = config_.run.seed;
    steps.first_step = first_noise_step + static_cast<std::uint64_t>(at.done);
    steps.n_steps = n_steps;
    session_->infer(dynamics_, steps);
    at.done += n_steps;
    at.chain_steps += static_cast<double>(n_steps) * static_cast<double>(n_tile());
  }

  /// Latents of the tile, layer after layer in a row.
  Matrix<float> draw() const override {
    Matrix<float> x(n_tile(), at.last_draw.cols());
    std::int64_t column = 0;
    for (int l = 1; l <= model_.n_latent_layers(); ++l) {
      Matrix<float> layer(n_tile(), model_.layers[static_cast<std::size_t>(l)].size);
      session_->read(l, layer.view());
      for (std::int64_t i = 0; i < layer.rows(); ++i) std::copy_n(layer.row(i), layer.cols(), x.row(i) + column);
      column += layer.cols();
    }
    return x;
  }

  void end_tile() override {
    const Matrix<float> x = draw();
    std::copy_n(x.data(), x.size(), at.last_draw.row(at.tile_begin));
    const auto bad = session_->first_bad_step();
    for (std::int64_t i = 0; i < n_tile(); ++i) {
      const std::int64_t step = bad[static_cast<std::size_t>(i)];
      at.first_bad_step[static_cast<std::size_t>(at.tile_begin + i)] =
          step < 0 ? -1 : step - static_cast<std::int64_t>(first_noise_step);
    }
    at.tile_begin += n_tile();
    at.done = at.draw = 0;
  }

  std::vector<Matrix<float>> last_state() const override {
    return state_of(at.last_draw, config_, data_, model_, range_.begin);
  }

 private:
  /// Observations of chains from `begin` on, counted within the range: `[n / chains_per_datum, n_0]`.
  Matrix<float> observations(std::int64_t begin, std::int64_t n) const {
    Matrix<float> x(n / per_datum_, data_.n_outputs);
    for (std::int64_t i = 0; i < x.rows(); ++i)
      std::copy_n(observation_of(config_, data_, range_.begin + begin + i * per_datum_), x.cols(), x.row(i));
    return x;
  }
  HeeRows rows() const {
    return {n_tile() / per_datum_, per_datum_, static_cast<std::uint64_t>(range_.begin + at.tile_begin)};
  }

  const Config& config_;
  const PreparedData& data_;
  const HeeParameters& model_;
  std::int64_t per_datum_;
  HeeDynamics dynamics_;
  std::unique_ptr<HeeSession> session_;
};

}  // namespace

const float* observation_of(const Config& config, const PreparedData& data, std::int64_t chain) {
  return data.rows.row(chain / config.inference.chains_per_datum % data.rows.rows());
}

std::unique_ptr<HeeRunChains> make_posterior_chains(const Config& config, const PreparedData& data,
                                                    const HeeModel& model, Backend& backend, const ChainRange& range) {
  return std::make_unique<PosteriorChains>(config, data, model, backend, range);
}

std::vector<Matrix<float>> state_of(const Matrix<float>& latents, const Config& config, const PreparedData& data,
                                    const HeeParameters& model, std::int64_t first_chain) {
  std::vector<Matrix<float>> layers;
  Matrix<float> observed(latents.rows(), data.n_outputs);
  for (std::int64_t i = 0; i < observed.rows(); ++i)
    std::copy_n(observation_of(config, data, first_chain + i), observed.cols(), observed.row(i));
  layers.push_back(std::move(observed));
  std::int64_t column = 0;
  for (std::size_t l = 1; l < model.layers.size(); ++l) {
    Matrix<float> layer(latents.rows(), model.layers[l].size);
    for (std::int64_t i = 0; i < latents.rows(); ++i) std::copy_n(latents.row(i) + column, layer.cols(), layer.row(i));
    column += layer.cols();
    layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace tarn
