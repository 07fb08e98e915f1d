#include "hee_watch.hpp"

#include <algorithm>
#include <limits>

#include "live_watch.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/hee_generation.hpp"
#include "tarn/experiment/hee_model.hpp"

namespace tarn {
namespace {

// Operations of a chain's step of `unit` steps of the latents, and of a look at `n_units` of it (docs/diagnostics.md, "What it costs").
LookCost cost_of(const HeeParameters& model, std::int64_t n_watched, std::int64_t n_quantities) {
  LookCost cost;
  for (const Matrix<float>& W : model.W) cost.a_step += 2.0 * static_cast<double>(W.size());
  cost.a_step += 30.0 * static_cast<double>(n_units_from(model, 0));
  cost.a_look = 7000.0 * static_cast<double>(n_quantities) + 400.0 * static_cast<double>(n_watched);
  return cost;
}

}  // namespace

std::int64_t HeeLooks::steps_to_next(std::int64_t done) const {
  if (!is_on()) return std::numeric_limits<std::int64_t>::max();
  const std::int64_t taken = std::max<std::int64_t>(0, done - begin) / every;
  return begin + (taken + 1) * every - done;
}

HeeLooks hee_looks(const Config& config, const HeeParameters& model, const Matrix<float>& centers) {
  const SamplingConfig& s = config.sampling;
  const bool posterior = s.mode == "posterior";
  HeeLooks looks;
  if (s.diagnostics.outputs == 0 || s.mode == "ancestral") return looks;
  looks.first = posterior ? 1 : 0;
  looks.last = posterior ? model.n_latent_layers() : 0;
  const std::int64_t n_watched = posterior ? n_units_from(model, 1) : model.layers[0].size;
  looks.plan.n_outputs = std::min(s.diagnostics.outputs, n_watched);
  if (posterior) looks.plan.chains_a_law = config.inference.chains_per_datum;
  if (!posterior) looks.plan.centers = centers;
  if (s.mode ==
      "layerwise") {  // the observation of a chain samples its own latents' law, so that chains are compared once
    looks.begin = 0;
    looks.every = (s.burn_in + s.steps) * (model.n_latent_layers() + 1);
    return looks;
  }
  // a marginal chain's observation moves once in so many steps
  const std::int64_t unit = s.mode == "marginal" ? s.inner_steps : 1;
  LookCost cost = cost_of(model, n_watched, looks.plan.n_quantities(n_watched));
  cost.a_step *= static_cast<double>(unit);
  looks.begin = s.burn_in;
  looks.every = s.diagnostics.every > 0 ? s.diagnostics.every
                                        : unit * look_interval(s.steps / unit, s.thin / unit, !s.until.empty(), cost);
  return looks;
}

void check_rule_has_room(const Config& config) {
  constexpr double most_bytes = 8.0 * 1024 * 1024 * 1024, floats_a_unit = 8.0;  // state, f(x), errors, noise, momentum
  const SamplingConfig& s = config.sampling;
  if (s.until.empty()) return;
  const bool posterior = s.mode == "posterior";
  std::int64_t n_units = 0;
  for (const LayerConfig& layer : config.model.layers) n_units += layer.size;
  const std::int64_t n_watched =
      posterior ? n_units - config.model.layers.front().size : config.model.layers.front().size;
  WatchPlan plan;
  plan.n_outputs = std::min(s.diagnostics.outputs, n_watched);
  const double a_chain = 4.0 * (floats_a_unit * static_cast<double>(n_units) + static_cast<double>(n_watched)) +
                         static_cast<double>(watch_bytes_a_chain(plan, n_watched));
  if (a_chain * static_cast<double>(s.chains) <= most_bytes) return;
  fail_usage(
      "sampling.until: judges all {} chains at a time, some {:.1f} GiB of them; allowed: {} chains of this model, or "
      "fewer sampling.diagnostics.outputs",
      s.chains, a_chain * static_cast<double>(s.chains) / (1024.0 * 1024 * 1024),
      static_cast<std::int64_t>(most_bytes / a_chain));
}

std::int64_t watched_size(const HeeLooks& looks, const HeeParameters& model) {
  return looks.is_on() ? n_units(watched_units(model, looks.first, looks.last, looks.plan.n_outputs)) : 0;
}

std::vector<std::string> watched_names(const HeeLooks& looks, const HeeParameters& model) {
  std::vector<std::string> names;
  std::int64_t D = 0;
  for (const HeeUnits& piece : watched_units(model, looks.first, looks.last, looks.plan.n_outputs)) {
    for (std::int64_t i = 0; i < piece.n && std::ssize(names) < looks.plan.n_outputs; ++i)
      names.push_back(fmt::format("layer {}, unit {}", piece.layer, piece.first + i));
    D += piece.n;
  }
  if (D > 1) names.emplace_back("|x|^2");
  return names;
}

HeeWatch::HeeWatch(HeeLooks looks, std::int64_t n_chains, std::int64_t n_watched)
    : looks_(std::move(looks)), sums_(looks_.is_on() ? LiveSums(looks_.plan, n_chains, n_watched) : LiveSums()) {}

void HeeWatch::restore(const SamplingPosition& at, HeeSession* session) {
  require(at.watch.has_value() == (looks_.is_on() && at.done > 0),
          "sampling: the stored position and this run do not watch the same");
  if (looks_.is_on() && at.tile_begin > 0) sums_.unpack(at.live);
  if (!at.watch) return;
  session_ = session;
  clock_ = at.watch->clock;
  session->watch(looks_.first, looks_.last, looks_.plan, &*at.watch);
}

void HeeWatch::begin_tile(HeeSession* session) {
  if (!looks_.is_on()) return;
  session_ = session;
  clock_ = {};
  session->watch(looks_.first, looks_.last, looks_.plan);
}

bool HeeWatch::look(std::int64_t done) {
  if (!looks_.due(done)) return false;
  session_->observe();
  clock_.advance();
  return true;
}

void HeeWatch::end_tile() {
  if (looks_.is_on()) sums_.add_tile(session_->read_watch());
}

void HeeWatch::put(SamplingPosition& at, bool within_tile) const {
  if (!looks_.is_on()) return;
  at.live = sums_.pack();
  at.watch.reset();
  if (within_tile) at.watch = session_->read_watch();
}

LiveSums HeeWatch::sums_so_far() const {
  LiveSums sums = sums_;
  sums.add_tile(session_->read_watch());
  return sums;
}

}  // namespace tarn
