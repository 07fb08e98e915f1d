#include "tarn/training/contrastive.hpp"

#include <algorithm>
#include <cmath>

#include "energy_gradient.hpp"
#include "energy_kernels.hpp"
#include "tarn/core/diverged.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

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
    slots_ = {{"W", &network_.W_in, &average_.W_in, &gradient_.W, {}, {}, {}},
              {"b", &network_.b, &average_.b, &gradient_.b, {}, {}, {}},
              {"a", &network_.a, &average_.a, &gradient_.a, {}, {}, {}}};
    if (!initial.v.empty()) slots_.push_back({"v", &network_.v, &average_.v, &gradient_.v, {}, {}, {}});
    reset_optimizer();
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
      double scale = 1.0;
      if (optimizer_.clip_norm > 0.0) {
        losses[i].gradient_norm = gradient_norm();
        if (losses[i].gradient_norm > optimizer_.clip_norm) scale = optimizer_.clip_norm / losses[i].gradient_norm;
      }
      update(learning_rates[i], scale);
    }
  }

  SamplingNetwork network() const override { return network_; }
  SamplingNetwork averaged_network() const override { return optimizer_.ema > 0.0 ? average_ : network_; }
  void reset_optimizer() override {
    for (Slot& slot : slots_) {
      for (Matrix<float>* moments : {&slot.first, &slot.second, &slot.largest})
        *moments = Matrix<float>(slot.weights->rows(), slot.weights->cols());
    }
    n_updates_ = 0;
  }
  void reset_average() override { average_ = network_; }

  TrainingState state() const override {
    TrainingState state;
    state.n_updates = n_updates_;
    for_each_array(*this, [&](const std::string& name, const Matrix<float>& array) { state.arrays[name] = array; });
    if (!particles_.empty()) state.arrays["particles.x"] = particles_;
    return state;
  }
  void restore(const TrainingState& state) override {
    for_each_array(*this, [&](const std::string& name, Matrix<float>& array) {
      array = state.at(name, array.rows(), array.cols());
    });
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
  /// One trained array and what the optimiser keeps of it.
  struct Slot {
    const char* name;
    Matrix<float>* weights;         ///< in `network_`
    Matrix<float>* average;         ///< in `average_`
    const Matrix<float>* gradient;  ///< in `gradient_`
    Matrix<float> first, second, largest;
  };

  template <class Self, class F>
  static void for_each_array(Self& self, F f) {
    for (auto& slot : self.slots_) {
      const std::string suffix = std::string(".") + slot.name;
      f("weights" + suffix, *slot.weights);
      f("average" + suffix, *slot.average);
      f("first_moment" + suffix, slot.first);
      f("second_moment" + suffix, slot.second);
      if (self.optimizer_.amsgrad) f("largest_second_moment" + suffix, slot.largest);
    }
  }

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

  double gradient_norm() const {
    double square = 0.0;
    for (const Slot& slot : slots_) {
      for (std::int64_t i = 0; i < slot.gradient->size(); ++i)
        square += static_cast<double>(slot.gradient->data()[i]) * static_cast<double>(slot.gradient->data()[i]);
    }
    return std::sqrt(square);
  }

  void update(double learning_rate, double gradient_scale) {
    AdamStep step = adam_step(optimizer_, learning_rate, ++n_updates_);
    step.gradient_scale = static_cast<float>(gradient_scale);
    for (Slot& slot : slots_) {
      energy::kernels(current_isa())
          .adam(
              step, slot.weights->size(), slot.gradient->data(),
              {slot.weights->data(), slot.first.data(), slot.second.data(), slot.largest.data(), slot.average->data()});
    }
  }

  OptimizerSettings optimizer_;
  ContrastiveSettings settings_;
  SamplingNetwork network_, average_;
  energy::Gradient gradient_;
  energy::GradientRoom room_;
  energy::ParticleRoom walk_;
  Matrix<float> batch_, particles_;
  std::vector<Slot> slots_;
  std::int64_t n_updates_ = 0;
};

}  // namespace

std::unique_ptr<TrainableModel> make_contrastive(const SamplingNetwork& initial, const OptimizerSettings& optimizer,
                                                 const ContrastiveSettings& settings) {
  return std::make_unique<Contrastive>(initial, optimizer, settings);
}

}  // namespace tarn
