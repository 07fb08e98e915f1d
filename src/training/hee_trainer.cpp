#include "tarn/training/hee_trainer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tarn/core/diverged.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_records = 200;
constexpr std::int64_t n_read_chains = 32;  // a reading is made in double on one thread

void check(const HeeTrainingPlan& plan, const HeeParameters& parameters, const HeeTrainingPosition& from) {
  require(plan.n_steps > 0 && plan.batch_size > 0 && plan.chains_per_datum > 0,
          "training: needs steps, data and chains, found {} steps of {} data, {} chains each", plan.n_steps,
          plan.batch_size, plan.chains_per_datum);
  if (plan.window < 1 || plan.window > plan.inference_steps) {
    fail_usage("training: a window of {} steps of {} steps of inference; allowed: 1 to all of them", plan.window,
               plan.inference_steps);
  }
  require(std::ssize(plan.learning_rates) == parameters.n_latent_layers(),
          "training: {} learning rates for {} weight matrices", plan.learning_rates.size(),
          parameters.n_latent_layers());
  require(from.step >= 0 && from.step < plan.n_steps, "training: there is no step {} to go on from", from.step);
}

bool all_finite(const HeeParameters& parameters) {
  const auto finite = [](const Matrix<float>& m) {
    return std::all_of(m.data(), m.data() + m.size(), [](float v) { return std::isfinite(v); });
  };
  return std::ranges::all_of(parameters.W, finite) && std::ranges::all_of(parameters.b, finite);
}

double rate_factor(const HeeTrainingPlan& plan, std::int64_t step) {
  if (plan.schedule == LearningRateSchedule::constant) return 1.0;
  return 0.5 * (1.0 + std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(plan.n_steps)));
}

/// The latents of every datum, between its batches.
class PersistentLatents {
 public:
  PersistentLatents(const HeeTrainingPlan& plan, BatchSource& source, const HeeParameters& parameters,
                    std::vector<Matrix<float>>& kept)
      : source_(source), per_datum_(plan.chains_per_datum), kept_(kept) {
    const auto table = source.table();
    if (table == nullptr) {
      fail_usage("inference.latents: \"persistent\" needs a data set, not fresh draws; allowed: reset, continual");
    }
    const std::int64_t n_rows = table->rows() * per_datum_;
    const bool fresh = kept_.empty();
    kept_.resize(static_cast<std::size_t>(parameters.n_latent_layers()));
    for (std::size_t l = 0; l < kept_.size(); ++l) {
      const std::int64_t n = parameters.layers[l + 1].size;
      if (fresh) kept_[l] = Matrix<float>(n_rows, n);
      require(kept_[l].rows() == n_rows && kept_[l].cols() == n,
              "training: latents of layer {} are [{}, {}], not [{}, {}]", l + 1, kept_[l].rows(), kept_[l].cols(),
              n_rows, n);
      batch_.emplace_back(plan.batch_size * per_datum_, n);
    }
    if (fresh && plan.spread > 0.0f) draw(plan, parameters);
  }

  void give(HeeSession& session, std::int64_t step, std::int64_t batch_size) {
    items_.resize(static_cast<std::size_t>(batch_size));
    source_.indices(step, 1, batch_size, items_.data());
    for (std::size_t l = 0; l < kept_.size(); ++l) {
      for_each_datum(l, [](float* kept, float* batch, std::int64_t n) { std::copy_n(kept, n, batch); });
      session.write(static_cast<int>(l) + 1, batch_[l].view());
    }
  }

  void take(const HeeSession& session) {
    for (std::size_t l = 0; l < kept_.size(); ++l) {
      session.read(static_cast<int>(l) + 1, batch_[l].view());
      for_each_datum(l, [](float* kept, float* batch, std::int64_t n) { std::copy_n(batch, n, kept); });
    }
  }

 private:
  template <class Copy>
  void for_each_datum(std::size_t l, Copy copy) {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      copy(kept_[l].row(items_[i] * per_datum_), batch_[l].row(static_cast<std::int64_t>(i) * per_datum_),
           per_datum_ * kept_[l].cols());
    }
  }

  // The law of `HeeSession::reset`, with the datum's number in place of the row's.
  void draw(const HeeTrainingPlan& plan, const HeeParameters& parameters) {
    Matrix<float> normals(1, n_units_from(parameters, 1));
    for (std::int64_t row = 0; row < kept_[0].rows(); ++row) {
      fill_normals(plan.seed, Stream::initial_law, static_cast<std::uint64_t>(row), 0, 1, normals);
      const float* next = normals.data();
      for (std::size_t l = 0; l < kept_.size(); ++l) {
        const bool positive = parameters.layers[l + 1].family == Family::rectified;
        for (std::int64_t u = 0; u < kept_[l].cols(); ++u, ++next) {
          const float x = plan.spread * *next;
          kept_[l](row, u) = positive ? std::abs(x) : x;
        }
      }
    }
  }

  BatchSource& source_;
  std::int64_t per_datum_;
  std::vector<Matrix<float>>& kept_;
  std::vector<Matrix<float>> batch_;
  std::vector<std::int64_t> items_;
};

HeeReading reading_of(const HeeSession& session, const HeeRows& rows) {
  const HeeParameters& parameters = session.parameters();
  const std::int64_t n = std::min(rows.n_rows(), n_read_chains);
  std::vector<Matrix<float>> x;
  for (std::size_t l = 0; l < parameters.layers.size(); ++l) {
    Matrix<float> all(rows.n_rows(), parameters.layers[l].size);
    session.read(static_cast<int>(l), all.view());
    Matrix<float> some(n, all.cols());
    std::copy_n(all.data(), some.size(), some.data());
    x.push_back(std::move(some));
  }
  return read_state(parameters, x);
}

}  // namespace

double GeometricCourse::at(double progress) const {
  if (first == 0.0 || progress >= share) return last;
  return first * std::pow(last / first, progress / share);
}

void train_hee(HeeSession& session, BatchSource& source, const HeeTrainingPlan& plan,
               const HeeTrainingObserver& observer, HeeTrainingPosition from) {
  check(plan, session.parameters(), from);
  HeeTrainingPosition at = std::move(from);
  const HeeRows rows{plan.batch_size, plan.chains_per_datum, 0};
  std::optional<PersistentLatents> persistent;
  if (plan.latents == LatentStart::persistent) persistent.emplace(plan, source, session.parameters(), at.latents);
  const bool fresh = at.step == 0;
  if (fresh) session.set_rows(rows);
  Matrix<float> batch(plan.batch_size, source.n_columns());
  std::vector<double> rates(plan.learning_rates.size());
  const std::int64_t record_every = std::max<std::int64_t>(plan.n_steps / n_records, 1);
  HeeRecord record;
  while (at.step < plan.n_steps) {
    const double progress = static_cast<double>(at.step) / static_cast<double>(plan.n_steps);
    HeeDynamics dynamics = plan.dynamics;
    record.dt = plan.dt.at(progress);
    record.tau_ratio = plan.tau_ratio.at(progress);
    record.noise_scale = plan.noise_scale.at(progress);
    dynamics.dt = static_cast<float>(record.dt);
    dynamics.tau_ratio = static_cast<float>(record.tau_ratio);
    if (record.noise_scale > 0.0) {
      FamilyParameters observed = session.parameters().layers[0].parameters;
      observed.s = record.noise_scale;
      session.set_family_parameters(0, observed);
    }

    source.fill(at.step, 1, batch.view());
    session.set_observations(batch.view());
    const auto step = static_cast<std::uint64_t>(at.step);
    if (plan.latents == LatentStart::reset || (fresh && at.step == 0))
      session.reset(dynamics, plan.seed, step, plan.spread);
    if (persistent) persistent->give(session, at.step, plan.batch_size);

    HeeSteps steps;
    steps.seed = plan.seed;
    steps.first_step = step * static_cast<std::uint64_t>(plan.inference_steps);
    steps.n_steps = plan.inference_steps - plan.window;
    if (steps.n_steps > 0) session.infer(dynamics, steps);
    steps.first_step += static_cast<std::uint64_t>(steps.n_steps);
    steps.n_steps = plan.window;
    steps.statistics = true;
    session.infer(dynamics, steps);
    if (persistent) persistent->take(session);

    const auto bad = session.first_bad_step();
    record.n_quarantined = std::count_if(bad.begin(), bad.end(), [](std::int64_t s) { return s >= 0; });
    if (record.n_quarantined == rows.n_rows()) {
      fail_diverged(
          "training: no chain is left at step {} (dt {:.4g}); a smaller inference.dt or training.optimizer.lr may help",
          at.step, record.dt);
    }
    const bool recorded = (at.step + 1) % record_every == 0 || at.step + 1 == plan.n_steps;
    if (recorded) {
      record.reading = reading_of(session, rows);
      record.statistics = session.statistics();
    }
    const double factor = rate_factor(plan, at.step);
    std::ranges::transform(plan.learning_rates, rates.begin(), [&](double rate) { return factor * rate; });
    session.learn(rates);
    record.step = ++at.step;
    record.learning_rate = rates[0];
    if (recorded) {
      if (!all_finite(session.parameters())) {
        fail_diverged(
            "training: weights are not finite after one of the steps {} to {}; a lower training.optimizer.lr may help",
            std::max<std::int64_t>(at.step - record_every, 0), at.step - 1);
      }
      if (observer.record) observer.record(record);
    }
    if (observer.progress) observer.progress(at.step, record);
    if (at.step < plan.n_steps) {
      if (observer.pause) observer.pause(at);
      stop_if_interrupted();
    }
  }
}

}  // namespace tarn
