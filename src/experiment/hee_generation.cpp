#include "tarn/experiment/hee_generation.hpp"

#include <algorithm>

#include "tarn/core/error.hpp"
#include "tarn/experiment/hee_model.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t start_draw =
    1;  // of the ancestral draws that chains start from; 0 are those they are compared with

}  // namespace

GenerationPlan generation_plan(const Config& config) {
  const auto& names = generation_mode_names;
  const auto found = std::find(names.begin(), names.end(), config.sampling.mode);
  if (found == names.end())
    fail_usage("sampling.mode: \"{}\" generates nothing; allowed: joint, marginal, layerwise, ancestral",
               config.sampling.mode);
  GenerationPlan plan;
  plan.mode = static_cast<GenerationMode>(found - names.begin());
  plan.dynamics = hee_dynamics(config);
  plan.dynamics.observation_dt = static_cast<float>(config.sampling.observation_dt);
  plan.inner_steps = static_cast<int>(config.sampling.inner_steps);
  plan.n_steps = config.sampling.burn_in + config.sampling.steps;
  plan.from_prior = config.sampling.start == "prior";
  plan.spread = static_cast<float>(config.inference.spread);
  plan.seed = config.run.seed;
  return plan;
}

HeeGenerator::HeeGenerator(Backend& backend, const HeeParameters& model, const GenerationPlan& plan)
    : model_(model), plan_(plan) {
  plan_.dynamics.free_observation = true;
  plan_.dynamics.observation_every = static_cast<int>(whole_steps());
  if (plan.mode != GenerationMode::marginal) plan_.dynamics.observation_dt = 0.0f;
  if (plan.mode == GenerationMode::ancestral) return;
  check_hee_dynamics(plan_.dynamics);
  session_ = backend.make_hee_session(model, {});
}

std::int64_t HeeGenerator::n_steps() const {
  if (plan_.mode == GenerationMode::ancestral) return 1;
  return plan_.mode == GenerationMode::layerwise ? plan_.n_steps * (model_.n_latent_layers() + 1) : plan_.n_steps;
}

std::int64_t HeeGenerator::steps_in_turn() const {
  return plan_.mode == GenerationMode::layerwise ? plan_.n_steps - done_ % plan_.n_steps : n_steps() - done_;
}

// Layer by layer: the one whose turn it is.
HeeDynamics HeeGenerator::dynamics() const {
  HeeDynamics d = plan_.dynamics;
  if (plan_.mode == GenerationMode::layerwise)
    d.only_layer = model_.n_latent_layers() - static_cast<int>(std::min(done_, n_steps() - 1) / plan_.n_steps);
  return d;
}

std::int64_t HeeGenerator::n_products(std::int64_t done) const {
  const int L = model_.n_latent_layers();
  if (plan_.mode == GenerationMode::ancestral) return L * done;
  if (plan_.mode != GenerationMode::layerwise) return n_matrix_products(plan_.dynamics, L, done);
  HeeDynamics d = plan_.dynamics;
  std::int64_t n = 0;
  for (d.only_layer = L; d.only_layer >= 0; --d.only_layer, done -= plan_.n_steps)
    n += n_matrix_products(d, L, std::clamp<std::int64_t>(done, 0, plan_.n_steps));
  return n;
}

void HeeGenerator::begin(std::uint64_t first_chain, std::int64_t n_chains) {
  go_on(first_chain, n_chains, 0);
  if (!session_) return;
  session_->set_rows(rows());
  session_->reset(dynamics(), plan_.seed, first_noise_step, plan_.spread);
  if (!plan_.from_prior || plan_.mode == GenerationMode::layerwise) return;
  std::vector<Matrix<float>> x = draw_ancestral(model_, plan_.seed, first_chain, start_draw, n_chains);
  x[0] = mean_given(model_, 0, x);
  for (std::size_t l = 0; l < x.size(); ++l) session_->write(static_cast<int>(l), x[l]);
}

void HeeGenerator::go_on(std::uint64_t first_chain, std::int64_t n_chains, std::int64_t done) {
  first_chain_ = first_chain;
  n_chains_ = n_chains;
  done_ = done;
}

void HeeGenerator::advance(std::int64_t n_steps) {
  require(n_steps <= this->n_steps() - done_, "generation: {} steps further, where {} of {} are done", n_steps, done_,
          this->n_steps());
  while (n_steps > 0) {
    std::int64_t n = n_steps;
    if (session_) {
      const HeeDynamics d = dynamics();
      n = std::min(n, steps_in_turn());
      HeeSteps steps;
      steps.seed = plan_.seed;
      steps.first_step = first_noise_step + static_cast<std::uint64_t>(done_);
      steps.n_steps = n;
      session_->infer(d, steps);
    }
    done_ += n;
    n_steps -= n;
  }
}

std::vector<Matrix<float>> HeeGenerator::state() const {
  if (!session_) return draw_ancestral(model_, plan_.seed, first_chain_, 0, n_chains_);
  std::vector<Matrix<float>> x;
  for (int l = 0; l <= model_.n_latent_layers(); ++l) {
    x.emplace_back(n_chains_, model_.layers[static_cast<std::size_t>(l)].size);
    session_->read(l, x.back().view());
  }
  return x;
}

std::vector<std::int64_t> HeeGenerator::first_bad_step() const {
  std::vector<std::int64_t> bad(static_cast<std::size_t>(n_chains_), -1);
  if (!session_) return bad;
  const auto steps = session_->first_bad_step();
  std::transform(steps.begin(), steps.end(), bad.begin(),
                 [](std::int64_t step) { return step < 0 ? -1 : step - static_cast<std::int64_t>(first_noise_step); });
  return bad;
}

}  // namespace tarn
