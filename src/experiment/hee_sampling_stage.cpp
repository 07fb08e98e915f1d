#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "hee_checkpoint.hpp"
#include "hee_run.hpp"
#include "hee_run_chains.hpp"
#include "hee_watch.hpp"
#include "live_watch.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/experiment/hee_stages.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/models/hee_model.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t first_noise_step = std::uint64_t{1} << 32;  // behind all that training can use
constexpr std::int64_t tile_chains = 4096;

/// The datum that a chain is given.
const float* observation(const Config& config, const PreparedData& data, std::int64_t chain) {
  return data.rows.row(chain / config.inference.chains_per_datum % data.rows.rows());
}

bool is_posterior_draw(const SamplingConfig& s, std::int64_t done) {
  if (done == s.burn_in + s.steps) return true;  // the end is always kept
  return s.thin > 0 && done > s.burn_in && (done - s.burn_in) % s.thin == 0;
}

/// Chains of latents, given data.
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
    at.tile_size = config.sampling.until.empty() ? std::max<std::int64_t>(1, tile_chains / per_datum_) * per_datum_
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
  bool has_draw(std::int64_t done) const override { return is_posterior_draw(config_.sampling, done); }

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
      std::copy_n(observation(config_, data_, range_.begin + begin + i * per_datum_), x.cols(), x.row(i));
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

/// Steps until the next draw or look, or the end.
std::int64_t stretch(const HeeRunChains& chains, const SamplingConfig& s, const HeeLooks& looks, std::int64_t longest) {
  const std::int64_t total = chains.n_steps(), done = chains.at.done;
  std::int64_t next = total;
  if (s.thin > 0) {
    const std::int64_t kept = std::max<std::int64_t>(0, done - s.burn_in) / s.thin;
    next = std::min(total, s.burn_in + (kept + 1) * s.thin);
  }
  return std::min({next - done, longest, chains.steps_in_turn(), looks.steps_to_next(done)});
}

// A call well under a second long, where it may be.
std::int64_t longest_call(const HeeParameters& model, const HeeRunChains& chains) {
  double work = 0.0;
  for (const Matrix<float>& W : model.W) work += 4.0 * static_cast<double>(W.size());
  const auto n = static_cast<std::int64_t>(std::clamp(2e9 / (work * static_cast<double>(chains.n_tile())), 1.0, 1e5));
  return std::max<std::int64_t>(1, n / chains.whole_steps()) * chains.whole_steps();
}

std::unique_ptr<HeeRunChains> make_chains(const Config& config, const PreparedData& data, const HeeModel& model,
                                          Backend& backend, const ChainRange& range) {
  if (config.sampling.mode != "posterior") return make_generated_chains(config, data, model, backend, range);
  return std::make_unique<PosteriorChains>(config, data, model, backend, range);
}

}  // namespace

std::vector<Matrix<float>> state_of(const Matrix<float>& latents, const Config& config, const PreparedData& data,
                                    const HeeParameters& model, std::int64_t first_chain) {
  std::vector<Matrix<float>> layers;
  Matrix<float> observed(latents.rows(), data.n_outputs);
  for (std::int64_t i = 0; i < observed.rows(); ++i)
    std::copy_n(observation(config, data, first_chain + i), observed.cols(), observed.row(i));
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

namespace {

// lp = -E(x_0, x): the log of the joint density of the observation and the draw of posterior chains. Left out where it would take longer than some seconds.
std::map<std::string, DrawStatistic> log_joint(const Config& config, const PreparedData& data,
                                               const HeeParameters& model, std::int64_t n_chains) {
  constexpr double most_operations = 1e10;
  const SamplingConfig& s = config.sampling;
  if (s.mode != "posterior") return {};  // draws hold other columns there
  const double kept = s.thin > 0 ? std::ceil(static_cast<double>(s.steps) / static_cast<double>(s.thin)) : 1.0;
  double operations = 0.0;
  for (const Matrix<float>& W : model.W) operations += 2.0 * static_cast<double>(W.size());
  if (operations * kept * static_cast<double>(n_chains) > most_operations) return {};
  return {{"lp", [&](const DrawSlab& draws, std::span<float> out) {
             std::vector<double> energy(static_cast<std::size_t>(draws.n_chains));
             Matrix<float> latents(draws.n_chains, draws.x.cols);
             for (std::int64_t t = 0; t < draws.n_draws; ++t) {
               for (std::int64_t i = 0; i < draws.n_chains; ++i)
                 std::copy_n(draws.x.row(i * draws.n_draws + t), latents.cols(), latents.row(i));
               const std::vector<Matrix<float>> layers = state_of(latents, config, data, model, draws.first_chain);
               std::vector<MatrixView<const float>> views;
               for (const Matrix<float>& layer : layers) views.push_back(layer.view());
               hee_energy(model, views, energy);
               for (std::int64_t i = 0; i < draws.n_chains; ++i)
                 out[static_cast<std::size_t>(i * draws.n_draws + t)] =
                     static_cast<float>(-energy[static_cast<std::size_t>(i)]);
             }
           }}};
}

}  // namespace

HeeSamplingOutcome hee_sampling_stage(const Config& config, const PreparedData& data, const HeeModel& model,
                                      Backend& backend, const std::filesystem::path& folder, const ChainRange& asked,
                                      const Continuation& continuation) {
  const SamplingConfig& s = config.sampling;
  const ChainRange range = range_within(asked, s.chains);
  if (!s.until.empty() && range.end - range.begin < s.chains) {
    fail_usage("sampling.until: judges all {} chains together, and chains {}:{} are only some of them", s.chains,
               range.begin, range.end);
  }
  check_rule_has_room(config);
  const std::unique_ptr<HeeRunChains> its = make_chains(config, data, model, backend, range);
  HeeRunChains& chains = *its;
  const HeeLooks looks = hee_looks(config, model.parameters, mode_centers(data));
  HeeWatch watch(looks, chains.n_chains(), watched_size(looks, model.parameters));
  const StopRule until = parse_stop_rule(s.until);
  DrawLayout layout;
  layout.n_chains_total = s.chains;
  layout.chain_begin = range.begin;
  layout.chain_end = range.end;
  layout.n_dims = chains.n_dims();
  Attributes attributes{
      {"inference_library", std::string("tarn")},
      {"inference_library_version", std::string(version())},
      {"seed", static_cast<std::int64_t>(config.run.seed)},
      {"run_name", config.run.name},
      {"integrator", config.inference.adaptation == "momentum" ? std::string("baoab") : config.inference.integrator},
      {"tau_ms", config.run.tau_ms}};
  attributes.merge(chains.attributes());
  DrawSegments segments(folder / "samples", layout, attributes, {},
                        continuation.from ? OpenMode::resume : OpenMode::create);

  const std::int64_t steps_each = chains.n_steps();
  const double total = static_cast<double>(steps_each) * static_cast<double>(chains.n_chains());
  info("sampling: {}", chains.description());
  Progress bar("sampling", total, "chain-steps");
  const auto save = [&] {
    TensorFile file;
    watch.put(chains.at, chains.at.done > 0);
    put_position(file, chains.at);
    chains.at.live.clear();
    chains.at.watch.reset();
    if (chains.at.done > 0) chains.put(file);
    segments.put_open_segment(file);
    file.metadata["metrics_bytes"] = synced_size(folder / "metrics.jsonl");
    continuation.checkpoints->save(std::move(file), "sampling");
  };
  if (continuation.within("sampling")) {
    chains.restore(*continuation.from);
    watch.restore(chains.at, chains.session());
    chains.at.watch.reset();
    segments.take_open_segment(*continuation.from);
    bar.start_at(chains.at.chain_steps);
    info("sampling: goes on after {} of {} chain-steps", si(chains.at.chain_steps), si(total));
  } else if (continuation.checkpoints) {
    save();  // training need not be done twice
  }

  SamplingPosition& at = chains.at;
  const double begun = at.chain_steps;
  std::string seen;
  // The rule, and whoever reads along; of all chains, so not where they come in several tiles.
  const auto judge = [&] {
    if (at.tile_size < chains.n_chains() || !watch.clock().is_even()) return;
    if (until.empty() && !std::has_single_bit(static_cast<std::uint64_t>(watch.clock().n_looks))) return;
    const LiveDiagnostics live = watch.sums_so_far().diagnostics();
    seen = summary(live);
    if (continuation.checkpoints) JsonLines(folder / "metrics.jsonl").write(json_line(at.done, live));
    if (until.holds(live)) at.stopped_at = at.done;
  };
  while (at.tile_begin < chains.n_chains()) {
    if (at.done == 0) {
      chains.begin_tile();
      watch.begin_tile(chains.session());
    }
    const std::int64_t longest = longest_call(model.parameters, chains);
    while (at.done < steps_each && at.stopped_at < 0) {
      chains.advance(stretch(chains, s, looks, longest));
      if (watch.look(at.done)) judge();
      if (chains.has_draw(at.done) || at.stopped_at >= 0) {
        const Matrix<float> x = chains.draw();
        DrawBlock block;
        block.first_chain = range.begin + at.tile_begin;
        block.draw = at.draw++;
        block.step = at.done;
        block.time = s.mode == "ancestral" ? 0.0 : static_cast<double>(at.done) * config.inference.dt;
        block.x = x.view();
        segments.take(block);
      }
      bar.update(at.chain_steps, seen);
      if (at.done < steps_each) {
        if (continuation.checkpoints && continuation.checkpoints->due()) save();
        stop_if_interrupted();
      }
    }
    watch.end_tile();
    chains.end_tile();
    if (continuation.checkpoints && continuation.checkpoints->due()) save();
    stop_if_interrupted();
  }

  HeeSamplingOutcome outcome;
  outcome.first_bad_step = at.first_bad_step;
  outcome.n_quarantined = std::ranges::count_if(at.first_bad_step, [](std::int64_t step) { return step >= 0; });
  segments.finish({at.first_bad_step, {}, log_joint(config, data, model.parameters, chains.n_chains())});
  const std::int64_t taken = at.stopped_at >= 0 ? at.stopped_at : steps_each;
  outcome.live = {watch.sums().diagnostics(), looks, range.begin, at.stopped_at};
  if (continuation.checkpoints) {
    save();  // what comes after need not wait for it twice
    // after it, so that a run that goes on from there writes them again
    JsonLines lines(folder / "metrics.jsonl");
    if (looks.is_on()) {
      for (const std::string& line :
           json_lines_at_end(taken, outcome.live.diagnostics, watched_names(looks, model.parameters)))
        lines.write(line);
    }
  }
  outcome.last_draw = chains.last_state();
  outcome.n_draws = s.thin > 0 ? (taken - s.burn_in + s.thin - 1) / s.thin : 1;
  outcome.chain_steps = at.chain_steps;
  outcome.seconds = bar.seconds();
  info("sampling: done in {}, {} chain-steps/s", duration(outcome.seconds),
       si((at.chain_steps - begun) / outcome.seconds));
  if (const LiveDiagnostics& live = outcome.live.diagnostics; live.n_looks > 1)
    info("  {} looks at {} chains: {}", live.n_looks, live.n_chains, summary(live));
  if (at.stopped_at >= 0) info("  stopped after {} of {} steps: {}", at.stopped_at, steps_each, s.until);
  if (outcome.n_quarantined > 0) {
    const auto chain = std::ranges::find_if(at.first_bad_step, [](auto step) { return step >= 0; });
    warn("{} of {} chains became non-finite and are quarantined (chain {} at step {} for one)", outcome.n_quarantined,
         chains.n_chains(), range.begin + (chain - at.first_bad_step.begin()), *chain);
  }
  if (s.merge && chains.n_chains() == s.chains) {
    MergeOptions options;
    Matrix<float> decoded, observed;
    if (data.image && s.mode != "posterior") {
      decoded = data.to_data_units(outcome.last_draw[0]);
      options.images = DecodedImages{decoded.view(), data.image->rows, data.image->cols, data.image->channels};
    }
    if (s.mode == "posterior") {
      observed = Matrix<float>(chains.n_chains() / config.inference.chains_per_datum, data.n_outputs);
      for (std::int64_t i = 0; i < observed.rows(); ++i)
        std::copy_n(observation(config, data, i * config.inference.chains_per_datum), observed.cols(), observed.row(i));
      options.observed = ObservedData{"x_0", observed.view()};
    }
    // of a run that went on after a break the whole time is not known
    if (!continuation.from) options.sampling_time = outcome.seconds;
    options.created_at = time_of_day();
    merge_draws({folder / "samples"}, folder / "samples.nc", options);
    outcome.draws_file = folder / "samples.nc";
  }
  return outcome;
}

}  // namespace tarn
