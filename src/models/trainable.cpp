#include "tarn/models/trainable.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sampler_only_training.hpp"
#include "tarn/compute/trained_skew.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

void scale_by(Matrix<float>& values, double factor) {
  for (std::int64_t i = 0; i < values.size(); ++i) values.data()[i] = static_cast<float>(values.data()[i] * factor);
}

/// A reservoir-sampler network in a training session of the backend.
class ReservoirTraining final : public TrainableModel {
 public:
  ReservoirTraining(Backend& backend, const SamplingNetwork& initial, const OptimizerSettings& optimizer,
                    double output_scale)
      : frame_(initial), output_scale_(output_scale) {
    DsmParameters parameters;
    parameters.phi = initial.phi;
    parameters.n_outputs = initial.n_outputs;
    parameters.n_inputs = initial.n_inputs;
    parameters.W_in = std::move(frame_.W_in);
    parameters.b = std::move(frame_.b);
    parameters.V = std::move(frame_.W_out);
    scale_by(parameters.V, 1.0 / output_scale);
    if (!initial.drift_map.empty()) {
      const Matrix<double> J = skew_of_map(initial.drift_map);
      parameters.A = parameters_of_skew(J);
      parameters.skew_strength = std::sqrt(std::inner_product(J.data(), J.data() + J.size(), J.data(), 0.0));
    }
    skew_strength_ = parameters.skew_strength;
    session_ = backend.make_dsm_session(parameters, optimizer);
  }

  void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
           std::int64_t first_step, std::span<const float> learning_rates, std::span<DsmLoss> losses) override {
    session_->run(source, level, batch_size, seed, first_step, learning_rates, losses);
    output_scale_ = level.output_scale;
    frame_.sigma = level.sigma;
  }
  SamplingNetwork network() const override { return with(session_->parameters()); }
  SamplingNetwork averaged_network() const override { return with(session_->averaged()); }
  void reset_optimizer() override { session_->reset_optimizer(); }
  void reset_average() override { session_->reset_average(); }
  TrainingState state() const override { return session_->state(); }
  void restore(const TrainingState& state) override { session_->restore(state); }
  std::string way(std::int64_t rows) const override { return session_->way(rows); }

 private:
  SamplingNetwork with(DsmParameters parameters) const {
    SamplingNetwork network = frame_;
    network.W_in = std::move(parameters.W_in);
    network.b = std::move(parameters.b);
    network.W_out = std::move(parameters.V);
    scale_by(network.W_out, output_scale_);
    if (!parameters.A.empty()) {
      const Matrix<double> M = circuit_to_score(skew_of(parameters.A, skew_strength_));
      std::transform(M.data(), M.data() + M.size(), network.drift_map.data(),
                     [](double v) { return static_cast<float>(v); });
    }
    return network;
  }

  SamplingNetwork frame_;  ///< everything but the weights
  double output_scale_;
  double skew_strength_ = 0.0;
  std::unique_ptr<DsmSession> session_;
};

}  // namespace

std::unique_ptr<TrainableModel> make_trainable(Backend& backend, const SamplingNetwork& initial,
                                               const OptimizerSettings& optimizer, double output_scale) {
  initial.validate();
  require(std::isfinite(output_scale) && output_scale > 0.0, "output_scale is {}; it must be finite and above 0",
          output_scale);
  require(initial.drift_map.empty() || initial.kind == ModelKind::reservoir_sampler,
          "weights of a {} with a drift map (a trained irreversible drift) cannot be trained further",
          name_of(initial.kind));
  if (initial.kind == ModelKind::reservoir_sampler) {
    return std::make_unique<ReservoirTraining>(backend, initial, optimizer, output_scale);
  }
  require(!is_energy_based(initial.kind), "a {} is trained by contrastive divergence (training/contrastive.hpp)",
          name_of(initial.kind));
  if (output_scale != 1.0) {
    fail_usage("output_scale is {}; {} networks are trained with output_scaling = \"none\"", output_scale,
               name_of(initial.kind));
  }
  return std::make_unique<SamplerOnlyTraining>(initial, optimizer);
}

}  // namespace tarn
