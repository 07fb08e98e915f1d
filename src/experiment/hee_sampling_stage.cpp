#include <algorithm>
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

// A draw is kept here: every `thin` steps behind the first, and at the end.
bool has_draw(const SamplingConfig& s, std::int64_t n_steps, std::int64_t done) {
  return done == n_steps || (s.thin > 0 && done > s.burn_in && (done - s.burn_in) % s.thin == 0);
}

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
  return make_posterior_chains(config, data, model, backend, range);
}

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
    if (at.tile_size < chains.n_chains() || !is_judged(watch.clock(), until)) return;
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
      if (has_draw(s, steps_each, at.done) || at.stopped_at >= 0) {
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
        std::copy_n(observation_of(config, data, i * config.inference.chains_per_datum), observed.cols(),
                    observed.row(i));
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
