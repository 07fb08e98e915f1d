#include "dsm_session.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "adam.hpp"
#include "batch_feed.hpp"
#include "dsm_descent.hpp"
#include "dsm_layout.hpp"
#include "dsm_rows.hpp"
#include "dsm_step.hpp"
#include "memory.hpp"
#include "nvtx.hpp"
#include "small_dsm_steps.hpp"

namespace tarn::cuda {
namespace {

constexpr std::int64_t steps_a_graph = 8;  // of the larger of the two graphs

DeviceBuffer<float> zeros(std::int64_t n, StreamHandle stream) {
  DeviceBuffer<float> buffer(n);
  zero_async(buffer.data(), n, stream);
  return buffer;
}

void check(const DsmLevel& level, std::int64_t batch_size) {
  require(batch_size > 0, "training: batch size must be above 0, found {}", batch_size);
  require(!level.antithetic || batch_size % 2 == 0, "training: antithetic noise needs an even batch size, found {}",
          batch_size);
  require(level.confinement_points == 0 ||
              (level.confinement_radius[0] > 0.0 && level.confinement_radius[1] >= level.confinement_radius[0]),
          "training: confinement radii must satisfy 0 < smallest <= largest, found {} and {}",
          level.confinement_radius[0], level.confinement_radius[1]);
}

class CudaDsmSession final : public DsmSession {
 public:
  CudaDsmSession(Context& context, const DsmParameters& initial, const OptimizerSettings& optimizer,
                 const DsmPaths& paths);
  ~CudaDsmSession() override;

  void run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
           std::int64_t first_step, std::span<const float> rates, std::span<DsmLoss> losses) override;
  DsmParameters parameters() const override { return downloaded(weights_); }
  DsmParameters averaged() const override { return downloaded(average_.empty() ? weights_ : average_); }
  void reset_optimizer() override;
  void reset_average() override;
  TrainingState state() const override;
  void restore(const TrainingState& from) override;
  std::string way(std::int64_t rows) const override;

 private:
  /// What a recorded step depends on.
  struct Key {
    DsmRowsCall rows;
    DsmResidualCall constants;
    const DsmRecord* records = nullptr;
    const DsmLossRecord* losses = nullptr;
    bool operator==(const Key&) const = default;
  };

  DsmRowsCall rows_call(const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed);
  void upload_records(std::span<const float> rates, std::int64_t first_step);
  void enqueue_step();
  void take_steps(std::int64_t n);
  AdamArrays arrays();
  SmallDsmPlan plan_for(std::int64_t rows) const { return paths_.small ? small_.plan(rows) : SmallDsmPlan{}; }
  bool in_one_pass(std::int64_t rows) const {
    return paths_.descent && !(optimizer_.clip_norm > 0.0) && takes_descent(rows, layout_.hidden_width);
  }
  CudaGraph recorded(std::int64_t n_steps);
  DsmParameters downloaded(const DeviceBuffer<float>& values) const;
  template <class F>
  void each_used(F&& f) const;

  Context& context_;
  const DsmParameters shape_;  // sizes and names; its values are the initial ones
  const DsmLayout layout_;
  const OptimizerSettings optimizer_;
  const DsmPaths paths_;
  std::int64_t n_updates_ = 0;
  DeviceBuffer<float> weights_, first_, second_, largest_, average_, gradient_;
  DeviceBuffer<double> norm_;  ///< the norm, then the scratch of its sum
  DeviceBuffer<float> gradient_scale_;
  DeviceBuffer<unsigned> ticket_;

  DsmStep step_;
  SmallDsmSteps small_;
  BatchFeed feed_;
  DeviceBuffer<DsmRecord> records_;
  PinnedBuffer<DsmRecord> host_records_;
  DeviceBuffer<DsmLossRecord> losses_;
  PinnedBuffer<DsmLossRecord> host_losses_;
  DeviceBuffer<std::int64_t> now_;

  bool in_doubt_ = false;  ///< a run was begun and not ended
  Key key_;
  bool warm_ = false;  ///< a step of this key was taken without a graph
  CudaGraph one_, several_;
};

CudaDsmSession::CudaDsmSession(Context& context, const DsmParameters& initial, const OptimizerSettings& optimizer,
                               const DsmPaths& paths)
    : context_(context),
      shape_(initial),
      layout_(initial),
      optimizer_(optimizer),
      paths_(paths),
      weights_(layout_.size),
      first_(zeros(layout_.size, context.stream.handle())),
      second_(zeros(layout_.size, context.stream.handle())),
      largest_(zeros(optimizer.amsgrad ? layout_.size : 0, context.stream.handle())),
      average_(zeros(optimizer.ema > 0.0 ? layout_.size : 0, context.stream.handle())),
      gradient_(zeros(layout_.size, context.stream.handle())),
      ticket_(1),
      step_(context, layout_, initial.phi, paths.slices, paths.precision, paths.neuron_tile),
      small_(context, layout_, initial.phi, optimizer, paths.small_blocks),
      feed_(context),
      now_(1) {
  if (optimizer.clip_norm > 0.0) {
    norm_ = DeviceBuffer<double>(1 + norm_partials);
    gradient_scale_ = DeviceBuffer<float>(1);
  }
  std::vector<float> packed(static_cast<std::size_t>(layout_.size));
  layout_.pack(initial, packed.data());
  copy_async(weights_.data(), packed.data(), layout_.size, context.stream.handle());
  zero_async(ticket_.data(), 1, context.stream.handle());
  reset_average();
  context.stream.synchronize();
}

CudaDsmSession::~CudaDsmSession() {
  if (!in_doubt_) return;
  for (const CudaStream* stream : {&context_.copies, &context_.stream})
    TARN_CUDA_NOTE(cudaStreamSynchronize(stream->handle()));  // nothing may still be under way to memory that goes
}

DsmRowsCall CudaDsmSession::rows_call(const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed) {
  DsmRowsCall q;
  q.data = feed_.data();
  q.indices = feed_.indices();
  q.n_outputs = layout_.n_outputs;
  q.n_columns = layout_.n_columns;
  q.in_width = layout_.in_width;
  q.out_width = layout_.out_width;
  q.batch_size = batch_size;
  q.confinement_points = level.confinement_points;
  q.antithetic = level.antithetic;
  q.seed = seed;
  q.sigma = static_cast<float>(level.sigma);
  q.inverse_sigma = static_cast<float>(1.0 / level.sigma);
  q.sigma_squared = level.sigma * level.sigma;
  q.pull = level.confinement_pull;
  if (level.confinement_points > 0) {
    q.log_low = std::log(level.confinement_radius[0]);
    q.log_high = std::log(level.confinement_radius[1]);
  }
  q.points = step_.points();
  q.targets = step_.targets();
  q.target_scale = step_.target_scale();
  return q;
}

void CudaDsmSession::upload_records(std::span<const float> rates, std::int64_t first_step) {
  const auto n = static_cast<std::int64_t>(rates.size());
  const std::int64_t room = std::max<std::int64_t>(n, 256);
  records_.reserve(room);
  host_records_.reserve(room);
  losses_.reserve(room);
  host_losses_.reserve(room);
  for (std::int64_t i = 0; i < n; ++i) {
    host_records_[i] = {adam_step(optimizer_, rates[static_cast<std::size_t>(i)], n_updates_ + i + 1),
                        static_cast<std::uint64_t>(first_step + i), feed_.offset(i), i + 1 < feed_.stretch_end(i)};
  }
  copy_async(records_.data(), host_records_.data(), n, context_.stream.handle());
  zero_async(now_.data(), 1, context_.stream.handle());
}

AdamArrays CudaDsmSession::arrays() {
  return {gradient_.data(), weights_.data(), first_.data(), second_.data(),
          largest_.data(),  average_.data(), layout_.size,  layout_.skew_begin};
}

// Gradient, optimiser and end of the step, whose rows are there. With the optimiser come the next step's rows.
void CudaDsmSession::enqueue_step() {
  const StreamHandle stream = context_.stream.handle();
  const DsmClock clock{records_.data(), now_.data()};
  if (in_one_pass(key_.constants.n_rows)) {
    launch_dsm_rows(key_.rows, clock, stream);
    step_.enqueue_descent(arrays(), gradient_.data(), losses_.data(), ticket_.data(), clock);
    return;
  }
  step_.enqueue(weights_.data(), gradient_.data());
  const bool clips = optimizer_.clip_norm > 0.0;
  if (clips) {
    launch_gradient_norm(gradient_.data(), layout_.size, optimizer_.clip_norm, norm_.data() + 1, norm_.data(),
                         gradient_scale_.data(), stream);
  }
  launch_last_adam(
      arrays(), clock, clips ? gradient_scale_.data() : nullptr,
      {step_.row_losses(), key_.rows.batch_size, clips ? norm_.data() : nullptr, losses_.data(), ticket_.data()},
      key_.rows, stream);
}

CudaGraph CudaDsmSession::recorded(std::int64_t n_steps) {
  return CudaGraph(context_.stream, [&](StreamHandle) {
    for (std::int64_t i = 0; i < n_steps; ++i) enqueue_step();
  });
}

// Those of one stretch of the feed.
void CudaDsmSession::take_steps(std::int64_t n) {
  if (!in_one_pass(key_.constants.n_rows))
    launch_dsm_rows(key_.rows, {records_.data(), now_.data()}, context_.stream.handle());
  // the first step goes without a graph: products of a new shape choose their algorithms outside of a recording
  for (; n > 0 && (!warm_ || !paths_.graphs); --n) {
    enqueue_step();
    warm_ = true;
  }
  for (; n >= steps_a_graph; n -= steps_a_graph) {
    if (several_.empty()) several_ = recorded(steps_a_graph);
    several_.launch(context_.stream);
  }
  for (; n > 0; --n) {
    if (one_.empty()) one_ = recorded(1);
    one_.launch(context_.stream);
  }
}

void CudaDsmSession::run(BatchSource& source, const DsmLevel& level, std::int64_t batch_size, std::uint64_t seed,
                         std::int64_t first_step, std::span<const float> rates, std::span<DsmLoss> losses) {
  context_.make_current();
  context_.capture.enter(CaptureWindow::training);
  const NvtxRange range("DsmSession::run");
  require(source.n_columns() == layout_.n_columns, "training: batches have {} columns, the network takes {}",
          source.n_columns(), layout_.n_columns);
  require(rates.size() == losses.size(), "training: {} learning rates for {} results", rates.size(), losses.size());
  check(level, batch_size);
  if (rates.empty()) return;
  const auto n = static_cast<std::int64_t>(rates.size());
  bool moved = in_doubt_;
  if (in_doubt_) {  // a run that failed may have left work behind, which reads buffers that are written next
    context_.copies.synchronize();
    context_.stream.synchronize();
  }
  in_doubt_ = true;
  feed_.begin(source, level.antithetic ? batch_size / 2 : batch_size, first_step, n);
  const SmallDsmPlan plan = plan_for(batch_size + level.confinement_points);
  const bool small = plan.n_blocks > 0;
  if (!small) moved |= step_.resize(batch_size + level.confinement_points);
  step_.set_level(level, batch_size);
  upload_records(rates, first_step);
  if (const Key key{rows_call(level, batch_size, seed), step_.constants(), records_.data(), losses_.data()};
      moved || !(key == key_)) {
    key_ = key;
    warm_ = false;
    one_ = {};
    several_ = {};
  }
  for (std::int64_t i = 0; i < n;) {
    const std::int64_t ready = feed_.prepare(i);
    if (small) {
      small_.enqueue(plan, key_.rows, key_.constants, arrays(), records_.data(), losses_.data(), i, ready);
    } else {
      take_steps(ready);
    }
    feed_.used();
    i += ready;
  }
  copy_async(host_losses_.data(), losses_.data(), n, context_.stream.handle());
  context_.stream.synchronize();
  in_doubt_ = false;
  n_updates_ += n;
  for (std::int64_t i = 0; i < n; ++i) {
    const DsmLossRecord& l = host_losses_[i];
    losses[static_cast<std::size_t>(i)] = {l.loss, l.excess, l.gradient_norm};
  }
}

DsmParameters CudaDsmSession::downloaded(const DeviceBuffer<float>& values) const {
  const NvtxRange range("DsmSession: parameters to the host");
  context_.make_current();
  std::vector<float> packed(static_cast<std::size_t>(layout_.size));
  copy_async(packed.data(), values.data(), layout_.size, context_.stream.handle());
  context_.stream.synchronize();
  DsmParameters parameters = shape_;
  layout_.unpack(packed.data(), parameters);
  return parameters;
}

void CudaDsmSession::reset_optimizer() {
  context_.make_current();
  for (auto* moments : {&first_, &second_, &largest_})
    zero_async(moments->data(), moments->size(), context_.stream.handle());
  n_updates_ = 0;
}

void CudaDsmSession::reset_average() {
  context_.make_current();
  copy_async(average_.data(), std::as_const(weights_).data(), average_.size(), context_.stream.handle());
}

std::string CudaDsmSession::way(std::int64_t rows) const {
  if (const SmallDsmPlan plan = plan_for(rows); plan.n_blocks > 0) {
    return fmt::format("one kernel takes many steps at a time, {} block{} of {} neurons", plan.n_blocks,
                       plan.n_blocks == 1 ? "" : "s", plan.block_neurons);
  }
  const std::string products =
      paths_.precision == Precision::fp32 ? "matrix products" : fmt::format("{} products", name_of(paths_.precision));
  return in_one_pass(rows) ? products + ", gradients and optimiser in one pass" : products;
}

// As the sessions of the CPU name them, so that a checkpoint goes from one device to the other.
template <class F>
void CudaDsmSession::each_used(F&& f) const {
  f("weights", weights_);
  f("first_moment", first_);
  f("second_moment", second_);
  if (optimizer_.amsgrad) f("largest_second_moment", largest_);
  if (optimizer_.ema > 0.0) f("average", average_);
}

TrainingState CudaDsmSession::state() const {
  const NvtxRange range("DsmSession::state");
  TrainingState out;
  out.n_updates = n_updates_;
  each_used([&](const char* name, const DeviceBuffer<float>& values) { out.put(name, downloaded(values)); });
  return out;
}

void CudaDsmSession::restore(const TrainingState& from) {
  const NvtxRange range("DsmSession::restore");
  context_.make_current();
  std::vector<float> packed(static_cast<std::size_t>(layout_.size));
  each_used(
      [&](const char* name, const DeviceBuffer<float>&) { from.get(name, shape_); });  // throws before anything changes
  const auto upload = [&](const char* name, DeviceBuffer<float>& values) {
    layout_.pack(from.get(name, shape_), packed.data());
    copy_async(values.data(), std::as_const(packed).data(), layout_.size, context_.stream.handle());
    context_.stream.synchronize();
  };
  upload("weights", weights_);
  upload("first_moment", first_);
  upload("second_moment", second_);
  if (optimizer_.amsgrad) upload("largest_second_moment", largest_);
  if (optimizer_.ema > 0.0) upload("average", average_);
  n_updates_ = from.n_updates;
}

}  // namespace

std::unique_ptr<DsmSession> make_cuda_session(Context& context, const DsmParameters& initial,
                                              const OptimizerSettings& optimizer, const DsmPaths& paths) {
  return std::make_unique<CudaDsmSession>(context, initial, optimizer, paths);
}

}  // namespace tarn::cuda
