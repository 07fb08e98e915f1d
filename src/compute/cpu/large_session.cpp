#include "large_session.hpp"

#include <algorithm>

#include "dsm_batch.hpp"
#include "large_dsm.hpp"

namespace tarn::cpu {
namespace {

class LargeDsmSession final : public DsmSession {
 public:
  LargeDsmSession(const DsmParameters& initial, const OptimizerSettings& optimizer, int n_threads)
      : shape_(initial), layout_(initial), optimizer_(optimizer), engine_(layout_, initial.phi, n_threads) {
    state_.weights = layout_.pack(initial);
    state_.first.assign(layout_.size(), 0.0f);
    state_.second.assign(layout_.size(), 0.0f);
    if (optimizer.amsgrad) state_.largest.assign(layout_.size(), 0.0f);
    if (optimizer.ema > 0.0) state_.average = state_.weights;
  }

  void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
           std::int64_t first_step, std::span<const float> rates, std::span<DsmLoss> losses) override {
    require(source.n_columns() == layout_.n_columns, "training: batches have {} columns, the network takes {}",
            source.n_columns(), layout_.n_columns);
    require(rates.size() == losses.size(), "training: {} learning rates for {} results", rates.size(), losses.size());
    const auto chunk = static_cast<std::size_t>(steps_a_chunk(batch_size, layout_.n_columns));
    for (std::size_t done = 0; done < rates.size(); done += chunk) {
      const std::size_t n = std::min(chunk, rates.size() - done);
      batches_.fill(source, level, layout_.n_outputs, batch_size, seed, first_step + static_cast<std::int64_t>(done),
                    static_cast<std::int64_t>(n));
      adam_.resize(n);
      for (std::size_t i = 0; i < n; ++i) adam_[i] = adam_step(optimizer_, rates[done + i], ++state_.n_updates);
      engine_.train(state_, batches_, level, batch_size, adam_, optimizer_.clip_norm, losses.subspan(done, n));
    }
  }

  DsmParameters parameters() const override { return unpacked(layout_, state_.weights, shape_); }
  DsmParameters averaged() const override {
    return unpacked(layout_, state_.average.empty() ? state_.weights : state_.average, shape_);
  }
  void reset_optimizer() override { state_.reset_optimizer(); }
  void reset_average() override {
    if (!state_.average.empty()) state_.average = state_.weights;
  }
  TrainingState state() const override { return stored(state_, optimizer_, layout_, shape_); }
  void restore(const TrainingState& from) override { restore_from(from, state_, optimizer_, layout_, shape_); }

 private:
  DsmParameters shape_;  // sizes and names; its values are the initial ones
  DsmLayout layout_;
  OptimizerSettings optimizer_;
  DsmState state_;
  LargeDsm engine_;
  NoisyBatches batches_;
  std::vector<AdamStep> adam_;
};

}  // namespace

std::unique_ptr<DsmSession> make_large_session(const DsmParameters& initial, const OptimizerSettings& optimizer,
                                               int n_threads) {
  return std::make_unique<LargeDsmSession>(initial, optimizer, n_threads);
}

DsmLoss large_dsm_gradient(const DsmParameters& parameters, const DsmLevel& level, const DsmBatch& batch,
                           DsmParameters& gradient, int n_threads) {
  const DsmLayout layout(parameters);
  require(batch.x.cols == layout.n_columns && batch.xi.cols == layout.n_outputs,
          "training: batch [{}, {}] with noise of {} components does not fit D = {}, U = {}", batch.x.rows,
          batch.x.cols, batch.xi.cols, parameters.n_outputs, parameters.n_inputs);
  NoisyBatches rows;
  rows.fill(batch, level);
  LargeDsm engine(layout, parameters.phi, n_threads);
  const DsmLoss loss = engine.differentiate(layout.pack(parameters), rows, level, rows.rows());
  gradient = parameters;
  layout.unpack(engine.gradient(), gradient);
  return loss;
}

}  // namespace tarn::cpu
