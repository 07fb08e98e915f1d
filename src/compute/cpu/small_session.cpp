#include "small_session.hpp"

#include <cmath>

#include "denormals.hpp"
#include "dsm_batch.hpp"
#include "dsm_skew.hpp"
#include "dsm_state.hpp"
#include "small_network.hpp"
#include "tarn/core/isa_table.hpp"

namespace tarn::cpu {
namespace {

// Parameters (or anything of their shape) in blocks of sixteen neurons, then A where J is trained, and back.
struct BlockLayout {
  std::int64_t D, K, N, n_blocks;
  DsmSkew skew;

  explicit BlockLayout(const DsmParameters& p)
      : D(p.n_outputs),
        K(p.n_outputs + p.n_inputs),
        N(p.W_in.rows()),
        n_blocks((N + neurons_a_block - 1) / neurons_a_block),
        skew(p) {
    require(p.W_in.cols() == K && p.b.size() == N && p.V.rows() == D && p.V.cols() == N,
            "training: parameters do not fit: W_in [{}, {}], b [{}], V [{}, {}]", N, p.W_in.cols(), p.b.size(),
            p.V.rows(), p.V.cols());
  }
  std::int64_t skew_begin() const { return n_blocks * (K + 1 + D) * neurons_a_block; }
  std::size_t size() const { return static_cast<std::size_t>(skew_begin()) + skew.size(); }

  std::int64_t index(std::int64_t neuron, std::int64_t row) const {
    return (neuron / neurons_a_block * (K + 1 + D) + row) * neurons_a_block + neuron % neurons_a_block;
  }
  // Calls f(neuron, row of the block, reference to the parameter).
  template <class P, class F>
  void each(P& p, F&& f) const {
    for (std::int64_t j = 0; j < N; ++j) {
      for (std::int64_t k = 0; k < K; ++k) f(index(j, k), p.W_in(j, k));
      f(index(j, K), p.b(0, j));
      for (std::int64_t d = 0; d < D; ++d) f(index(j, K + 1 + d), p.V(d, j));
    }
  }
  AlignedVector<float> pack(const DsmParameters& p) const {
    AlignedVector<float> blocks(size(), 0.0f);
    each(p, [&](std::int64_t i, const float& value) { blocks[static_cast<std::size_t>(i)] = value; });
    skew.pack(p, blocks.data() + skew_begin());
    return blocks;
  }
  void unpack(const AlignedVector<float>& blocks, DsmParameters& p) const {
    each(p, [&](std::int64_t i, float& value) { value = blocks[static_cast<std::size_t>(i)]; });
    skew.unpack(blocks.data() + skew_begin(), p);
  }
};

// What a step needs besides its rows.
SmallDsmStep step_for(const DsmParameters& shape, const BlockLayout& layout, const DsmLevel& level,
                      std::int64_t batch_rows, std::int64_t rows) {
  SmallDsmStep s;
  s.phi = shape.phi;
  s.n_outputs = static_cast<int>(layout.D);
  s.n_columns = static_cast<int>(layout.K);
  s.n_neurons = layout.N;
  s.n_blocks = layout.n_blocks;
  s.batch_rows = static_cast<int>(batch_rows);
  s.rows = static_cast<int>(rows);
  s.output_scale = static_cast<float>(level.output_scale);
  s.loss_scale = static_cast<float>(level.loss_scale);
  return s;
}

// The score's map from the present A, which lies from `tail` on.
void set_skew(SmallDsmStep& s, DsmSkew& skew, std::int64_t tail) {
  skew.set(s.parameters + tail);
  s.map = skew.map();
  s.dJ = skew.dJ();
}

void update_skew(const SmallDsmKernels& kernels, SmallDsmStep& s, std::int64_t tail, std::int64_t end) {
  s.adam = adam_of_skew(s.adam);
  kernels.update(s, tail, end);
}

class SmallDsmSession final : public DsmSession {
 public:
  SmallDsmSession(const DsmParameters& initial, const OptimizerSettings& optimizer)
      : shape_(initial), layout_(initial), optimizer_(optimizer) {
    state_.weights = state_.average = layout_.pack(initial);
    for (auto* zeros : {&state_.first, &state_.second, &state_.largest, &gradient_})
      zeros->assign(layout_.size(), 0.0f);
  }

  void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
           std::int64_t first_step, std::span<const float> rates, std::span<DsmLoss> losses) override {
    require(source.n_columns() == layout_.K, "training: batches have {} columns, the network takes {}",
            source.n_columns(), layout_.K);
    require(rates.size() == losses.size(), "training: {} learning rates for {} steps", rates.size(), losses.size());
    const FlushDenormals flush;
    const auto& kernels = small_dsm_kernels(current_isa());
    const bool clips = optimizer_.clip_norm > 0.0;
    DsmSkew& skew = layout_.skew;
    const std::int64_t tail = layout_.skew_begin(), end = static_cast<std::int64_t>(layout_.size());
    const std::int64_t total = static_cast<std::int64_t>(rates.size()), chunk = steps_a_chunk(batch_size, layout_.K);
    for (std::int64_t done = 0; done < total; done += chunk) {
      const std::int64_t n = std::min(chunk, total - done);
      batches_.fill(source, level, layout_.D, batch_size, seed, first_step + done, n);
      SmallDsmStep s = step_for(shape_, layout_, level, batch_size, batches_.rows());
      set_buffers(s);
      s.update = !clips;
      for (std::int64_t i = 0; i < n; ++i) {
        const NoisyStep rows = batches_.step(i);
        s.points = rows.points;
        s.targets = rows.targets;
        s.target_scale = rows.target_scale;
        s.adam = adam_step(optimizer_, rates[static_cast<std::size_t>(done + i)], ++state_.n_updates);
        DsmLoss& loss = losses[static_cast<std::size_t>(done + i)];
        if (skew.on()) set_skew(s, skew, tail);
        loss = kernels.step(s);
        if (skew.on()) skew.gradient(s.parameters + tail, s.gradient + tail);
        if (!clips) {
          update_skew(kernels, s, tail, end);
          continue;
        }
        loss.gradient_norm = std::sqrt(kernels.gradient_square(s, end));
        if (loss.gradient_norm > optimizer_.clip_norm)
          s.adam.gradient_scale = static_cast<float>(optimizer_.clip_norm / loss.gradient_norm);
        kernels.update(s, 0, tail);
        update_skew(kernels, s, tail, end);
      }
    }
  }

  DsmParameters parameters() const override { return unpacked(layout_, state_.weights, shape_); }
  DsmParameters averaged() const override {
    return unpacked(layout_, optimizer_.ema > 0.0 ? state_.average : state_.weights, shape_);
  }
  void reset_optimizer() override { state_.reset_optimizer(); }
  void reset_average() override { state_.average = state_.weights; }
  TrainingState state() const override { return stored(state_, optimizer_, layout_, shape_); }
  void restore(const TrainingState& from) override { restore_from(from, state_, optimizer_, layout_, shape_); }

 private:
  void set_buffers(SmallDsmStep& s) {
    const auto n = static_cast<std::size_t>(s.rows * s.n_outputs);
    if (deltas_.size() < n) {
      deltas_.resize(n);
      row_sums_.resize(n * neurons_a_block);
    }
    s.parameters = state_.weights.data();
    s.first_moment = state_.first.data();
    s.second_moment = state_.second.data();
    s.largest_moment = state_.largest.data();
    s.average = state_.average.data();
    s.gradient = gradient_.data();
    s.row_sums = row_sums_.data();
    s.deltas = deltas_.data();
  }

  DsmParameters shape_;  // sizes and names; its values are the initial ones
  BlockLayout layout_;
  OptimizerSettings optimizer_;
  DsmState state_;
  AlignedVector<float> gradient_, row_sums_, deltas_;
  NoisyBatches batches_;
};

}  // namespace

const SmallDsmKernels& small_dsm_kernels(Isa isa) { TARN_RETURN_OF_ISA(isa, dsm_table); }

std::unique_ptr<DsmSession> make_small_session(const DsmParameters& initial, const OptimizerSettings& optimizer) {
  return std::make_unique<SmallDsmSession>(initial, optimizer);
}

DsmLoss small_dsm_gradient(const DsmParameters& p, const DsmLevel& level, const DsmBatch& batch,
                           DsmParameters& gradient) {
  BlockLayout layout(p);
  NoisyBatches rows;
  rows.fill(batch, level);
  SmallDsmStep s = step_for(p, layout, level, rows.rows(), rows.rows());
  AlignedVector<float> parameters = layout.pack(p), out(layout.size()),
                       sums(static_cast<std::size_t>(rows.rows() * layout.D * neurons_a_block)),
                       deltas(static_cast<std::size_t>(rows.rows() * layout.D));
  s.points = rows.step(0).points;
  s.targets = rows.step(0).targets;
  s.target_scale = rows.step(0).target_scale;
  s.parameters = parameters.data();
  s.gradient = out.data();
  s.row_sums = sums.data();
  s.deltas = deltas.data();
  s.update = false;
  const std::int64_t tail = layout.skew_begin();
  if (layout.skew.on()) set_skew(s, layout.skew, tail);
  const DsmLoss loss = small_dsm_kernels(current_isa()).step(s);
  if (layout.skew.on()) layout.skew.gradient(s.parameters + tail, s.gradient + tail);
  gradient = p;
  layout.unpack(out, gradient);
  return loss;
}

}  // namespace tarn::cpu
