#include "tarn/training/contrastive.hpp"

#include <algorithm>
#include <cmath>

#include "energy_gradient.hpp"
#include "energy_kernels.hpp"
#include "tarn/core/diverged.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"
#include "trained_arrays.hpp"

namespace tarn {
namespace {

void check(const SamplingNetwork& network, const ContrastiveSettings& s) {
  network.validate();
  require(is_energy_based(network.kind), "a {} is not trained by contrastive divergence", name_of(network.kind));
  if (s.n_particles < 1) fail_usage("training.contrastive.particles: {}; allowed: 1 or more", s.n_particles);
  if (s.n_steps < 1) fail_usage("training.contrastive.steps: {}; allowed: 1 or more", s.n_steps);
  if (s.renewed < 0 || s.renewed > s.n_particles) {
    fail_usage("training.contrastive.renewed: {} of {} particles; allowed: 0 to all of them", s.renewed, s.n_particles);
  }
  if (network.kind == ModelKind::ebm && !(std::isfinite(s.dt) && s.dt > 0.0))
    fail_usage("training.contrastive.dt: {}; allowed: > 0", s.dt);
}

class Contrastive final : public TrainableModel {
 public:
  Contrastive(const SamplingNetwork& initial, const OptimizerSettings& optimizer, const ContrastiveSettings& settings)
      : optimizer_(optimizer), settings_(settings), network_(initial), average_(initial) {
    check(initial, settings);
    std::vector<TrainedArray> arrays{{"W", &network_.W_in, &average_.W_in, &gradient_.W},
                                     {"b", &network_.b, &average_.b, &gradient_.b},
                                     {"a", &network_.a, &average_.a, &gradient_.a}};
    if (!initial.v.empty()) arrays.push_back({"v", &network_.v, &average_.v, &gradient_.v});
    arrays_ = TrainedArrays(std::move(arrays));
  }

  void run(BatchSource& source, const DsmLevel&, std::int64_t batch_size, std::uint64_t seed, std::int64_t first_step,
           std::span<const float> learning_rates, std::span<DsmLoss> losses) override {
    require(losses.size() == learning_rates.size(), "{} losses for {} learning rates", losses.size(),
            learning_rates.size());
    require(source.n_columns() == network_.n_outputs, "training: batches have {} columns, the model takes {}",
            source.n_columns(), network_.n_outputs);
    if (batch_.rows() != batch_size) batch_ = Matrix<float>(batch_size, network_.n_outputs);
    for (std::size_t i = 0; i < losses.size(); ++i) {
      const std::int64_t step = first_step + static_cast<std::int64_t>(i);
      source.fill(step, 1, batch_.view());
      move_particles(seed, step);
      const auto reading = room_.compute(network_, batch_, particles_, gradient_);
      losses[i] = {reading.reconstruction, reading.gap, 0.0};
      if (!std::isfinite(reading.gap)) stop(step);
      update(learning_rates[i], arrays_.clip(optimizer_.clip_norm, losses[i].gradient_norm));
    }
  }

  SamplingNetwork network() const override { return network_; }
  SamplingNetwork averaged_network() const override { return optimizer_.ema > 0.0 ? average_ : network_; }
  void reset_optimizer() override {
    arrays_.reset();
    n_updates_ = 0;
  }
  void reset_average() override { average_ = network_; }

  TrainingState state() const override {
    TrainingState state;
    state.n_updates = n_updates_;
    arrays_.put(optimizer_.amsgrad, state);
    if (!particles_.empty()) state.arrays["particles.x"] = particles_;
    return state;
  }
  void restore(const TrainingState& state) override {
    arrays_.take(optimizer_.amsgrad, state);
    particles_ = {};
    if (state.arrays.contains("particles.x"))
      particles_ = state.at("particles.x", settings_.n_particles, network_.n_outputs);
    n_updates_ = state.n_updates;
  }
  std::string way(std::int64_t) const override {
    const bool gibbs = network_.kind == ModelKind::rbm;
    return fmt::format(
        "{} particles on the host, {} {} before each update", settings_.n_particles, settings_.n_steps,
        gibbs ? "sweeps of block Gibbs sampling" : fmt::format("Langevin steps of {:.4g}", settings_.dt));
  }

 private:
  // Particle i starts at a row of the batch, smeared as outputs are.
  void start_particle(std::int64_t i, energy::ParticleNoise noise) {
    Matrix<float> normals(1, network_.n_outputs);
    fill_normals(noise.seed, Stream::particles, static_cast<std::uint64_t>(i), noise.step, 1, normals.view());
    const float* datum = batch_.row(i % batch_.rows());
    for (std::int64_t d = 0; d < network_.n_outputs; ++d)
      particles_(i, d) = datum[d] + static_cast<float>(network_.s) * normals(0, d);
  }

  void move_particles(std::uint64_t seed, std::int64_t step) {
    const std::int64_t n = settings_.n_particles;
    energy::ParticleNoise noise{seed,
                                static_cast<std::uint64_t>(step) * static_cast<std::uint64_t>(settings_.n_steps + 1)};
    if (particles_.empty()) {
      particles_ = Matrix<float>(n, network_.n_outputs);
      for (std::int64_t i = 0; i < n; ++i) start_particle(i, noise);
    } else {
      for (std::int64_t k = 0; k < settings_.renewed; ++k) start_particle((step * settings_.renewed + k) % n, noise);
    }
    for (std::int64_t k = 0; k < settings_.n_steps; ++k) {
      ++noise.step;
      if (network_.kind == ModelKind::rbm) {
        walk_.gibbs(network_, noise, particles_.view());
      } else {
        walk_.langevin(network_, settings_.dt, noise, particles_.view());
      }
    }
  }

  [[noreturn]] void stop(std::int64_t step) const {
    std::int64_t n_bad = 0;
    for (std::int64_t i = 0; i < particles_.rows(); ++i) {
      const float* x = particles_.row(i);
      if (!std::all_of(x, x + particles_.cols(), [](float value) { return std::isfinite(value); })) ++n_bad;
    }
    fail_diverged(
        "training: free energies are not finite at step {}, nor are {} of {} particles; a lower training.optimizer.lr, "
        "training.contrastive.dt or training.optimizer.clip_norm may help",
        step, n_bad, particles_.rows());
  }

  void update(double learning_rate, double gradient_scale) {
    AdamStep step = adam_step(optimizer_, learning_rate, ++n_updates_);
    step.gradient_scale = static_cast<float>(gradient_scale);
    for (TrainedArray& a : arrays_) {
      energy::kernels(current_isa())
          .adam(step, a.weights->size(), a.gradient->data(),
                {a.weights->data(), a.first.data(), a.second.data(), a.largest.data(), a.average->data()});
    }
  }

  OptimizerSettings optimizer_;
  ContrastiveSettings settings_;
  SamplingNetwork network_, average_;
  energy::Gradient gradient_;
  energy::GradientRoom room_;
  energy::ParticleRoom walk_;
  Matrix<float> batch_, particles_;
  TrainedArrays arrays_;
  std::int64_t n_updates_ = 0;
};

}  // namespace

std::unique_ptr<TrainableModel> make_contrastive(const SamplingNetwork& initial, const OptimizerSettings& optimizer,
                                                 const ContrastiveSettings& settings) {
  return std::make_unique<Contrastive>(initial, optimizer, settings);
}

}  // namespace tarn
