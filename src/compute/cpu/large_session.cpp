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
      for (std::size_t i = 0; i < n; ++i) adam_[i] = adam_step(optimizer_, rates[done + i], ++n_updates_);
      engine_.train(state_, batches_, level, batch_size, adam_, optimizer_.clip_norm, losses.subspan(done, n));
    }
  }

  DsmParameters parameters() const override { return unpacked(state_.weights); }
  DsmParameters averaged() const override { return unpacked(state_.average.empty() ? state_.weights : state_.average); }
  void reset_optimizer() override {
    for (auto* moments : {&state_.first, &state_.second, &state_.largest})
      std::fill(moments->begin(), moments->end(), 0.0f);
    n_updates_ = 0;
  }
  void reset_average() override {
    if (!state_.average.empty()) state_.average = state_.weights;
  }
  TrainingState state() const override {
    TrainingState state;
    state.n_updates = n_updates_;
    each_kept(*this, [&](const char* name, const AlignedVector<float>& values) { state.put(name, unpacked(values)); });
    return state;
  }
  void restore(const TrainingState& state) override {
    each_kept(*this,
              [&](const char* name, AlignedVector<float>& values) { values = layout_.pack(state.get(name, shape_)); });
    n_updates_ = state.n_updates;
  }

 private:
  // Calls f(name, values) for all that a checkpoint holds.
  template <class Self, class F>
  static void each_kept(Self& self, F&& f) {
    f("weights", self.state_.weights);
    f("first_moment", self.state_.first);
    f("second_moment", self.state_.second);
    if (self.optimizer_.amsgrad) f("largest_second_moment", self.state_.largest);
    if (self.optimizer_.ema > 0.0) f("average", self.state_.average);
  }
  DsmParameters unpacked(const AlignedVector<float>& records) const {
    DsmParameters p = shape_;
    layout_.unpack(records, p);
    return p;
  }

  DsmParameters shape_;  // sizes and names; its values are the initial ones
  DsmLayout layout_;
  OptimizerSettings optimizer_;
  DsmState state_;
  LargeDsm engine_;
  NoisyBatches batches_;
  std::vector<AdamStep> adam_;
  std::int64_t n_updates_ = 0;
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
