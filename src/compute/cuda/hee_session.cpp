#include "hee_session.hpp"

#include <algorithm>
#include <cmath>

#include "device_watch.hpp"
#include "hee_steps.hpp"
#include "host_watch.hpp"
#include "nvtx.hpp"

namespace tarn::cuda {
namespace {

std::size_t at(int l) { return static_cast<std::size_t>(l); }

/// Sums over chains and units of what `HeeRowSums` holds for each chain.
struct HeeTotals {
  std::vector<double> error, activity, activity_2;
};

class CudaHeeSession final : public HeeSession {
 public:
  CudaHeeSession(Context& context, const HeeParameters& initial, const HeeOptimizer& optimizer, bool graphs)
      : context_(context),
        weights_(initial, optimizer, context),
        chains_(weights_, context),
        stepper_(weights_, chains_, context, graphs),
        sums_(weights_.make_sums()) {}
  ~CudaHeeSession() override {
    TARN_CUDA_NOTE(cudaStreamSynchronize(context_.stream.handle()));  // steps may still be under way
  }

  void set_rows(const HeeRows& rows) override;
  void set_observations(MatrixView<const float> x0) override {
    context_.make_current();
    chains_.set_observations(x0);
  }
  void reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread) override;
  void write(int layer, MatrixView<const float> x) override {
    context_.make_current();
    settle_samples();
    chains_.write(layer, x);
  }
  void read(int layer, MatrixView<float> x) const override {
    const NvtxRange range("HeeSession::read");
    context_.make_current();
    chains_.read(layer, x);
  }
  void infer(const HeeDynamics& dynamics, const HeeSteps& steps) override;
  std::span<const std::int64_t> first_bad_step() const override {
    context_.make_current();
    return chains_.known_bad_steps();
  }
  void read_mean(int layer, MatrixView<float> mean) const override;

  void watch(int first, int last, const WatchPlan& plan, const WatchState* from) override;
  void observe() override;
  WatchState read_watch() override;

  HeeStatistics statistics() const override;
  HeeParameters gradient() const override;
  void clear() override;
  void learn(std::span<const double> learning_rates) override;
  const HeeParameters& parameters() const override {
    context_.make_current();
    return weights_.parameters();
  }
  void set_family_parameters(int layer, const FamilyParameters& parameters) override {
    context_.make_current();
    stepper_.forget();
    weights_.set_family_parameters(layer, parameters);
  }
  TrainingState training_state() const override {
    context_.make_current();
    return weights_.state();
  }
  void restore(const TrainingState& state) override {
    context_.make_current();
    weights_.restore(state);
  }
  HeeChainState chain_state() const override {
    context_.make_current();
    return chains_.state();
  }
  void restore(const HeeChainState& state) override {
    context_.make_current();
    stepper_.forget();
    settle_samples();
    chains_.restore(state);
  }

 private:
  /// Steps with statistics whose chain-steps have not been counted, since nobody has looked yet which chains were lost.
  struct Stretch {
    std::uint64_t first_step;
    std::int64_t n_steps;
  };
  void settle_samples() const;
  std::int64_t n_samples() const {
    settle_samples();
    return n_samples_;
  }
  HeeTotals totals() const;
  void clear_sums();
  double error_scale(int l, const HeeStatistics& seen) const;

  Context& context_;
  HeeWeights weights_;
  mutable HeeDeviceChains chains_;
  HeeStepper stepper_;
  HeeDeviceSums sums_;
  HeeRowSums row_sums_;
  HeeTotals kept_;  ///< of blocks of chains that are no more
  mutable std::int64_t n_samples_ = 0;
  mutable std::vector<Stretch> stretches_;
  std::vector<DeviceBuffer<float>> means_;  ///< sums of x_l, l = 1..L at [l - 1]; empty until they are asked for
  std::int64_t n_means_ = 0;
  std::vector<HeeUnits> units_;  ///< that are watched
  DeviceBuffer<float> watched_;  ///< `[n_rows, units]`, of the last look
  DeviceWatch watch_;
};

void CudaHeeSession::set_rows(const HeeRows& rows) {
  context_.make_current();
  const bool changes = rows.n_rows() != chains_.n_rows() || row_sums_.error.empty();
  if (changes && n_samples() > 0)
    fail("inference: statistics of {} chains are still kept; learn or clear them first", chains_.n_rows());
  settle_samples();
  chains_.set_rows(rows);
  units_.clear();
  if (!changes) return;
  stepper_.resize();
  means_.clear();
  n_means_ = 0;
  kept_ = totals();
  row_sums_ = {};
  const auto zeros = [&] {
    DeviceBuffer<double> buffer(rows.n_rows());
    zero_async(buffer.data(), buffer.size(), context_.stream.handle());
    return buffer;
  };
  for (int l = 0; l <= weights_.L(); ++l) {
    row_sums_.error.push_back(zeros());
    if (l == 0) continue;
    row_sums_.activity.push_back(zeros());
    row_sums_.activity_2.push_back(zeros());
  }
}

void CudaHeeSession::reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread) {
  const NvtxRange range("HeeSession::reset");
  context_.make_current();
  check_hee_dynamics(dynamics);
  settle_samples();
  if (chains_.prepare(dynamics)) stepper_.forget();
  chains_.reset(dynamics, seed, step, spread);
}

void CudaHeeSession::infer(const HeeDynamics& dynamics, const HeeSteps& steps) {
  context_.make_current();
  context_.capture.enter(steps.statistics ? CaptureWindow::training : CaptureWindow::sampling);
  const NvtxRange range("HeeSession::infer");
  check_hee_dynamics(dynamics);
  check_hee_steps(weights_.shape(), dynamics, steps);
  if (chains_.prepare(dynamics)) stepper_.forget();
  if (chains_.n_rows() == 0 || steps.n_steps == 0) return;
  if (steps.means && means_.empty()) {
    for (int l = 1; l <= weights_.L(); ++l) {
      means_.emplace_back(chains_.n_rows() * weights_.stride(l));
      zero_async(means_.back().data(), means_.back().size(), context_.stream.handle());
    }
  }
  if (steps.means) n_means_ += steps.n_steps;
  if (steps.statistics) stretches_.push_back({steps.first_step, steps.n_steps});
  stepper_.run(dynamics, steps, sums_, row_sums_, means_);
}

// A chain that was lost at step n took part in n too, with the state that it had at its beginning.
void CudaHeeSession::settle_samples() const {
  if (stretches_.empty()) return;
  for (const std::int64_t bad : chains_.known_bad_steps()) {
    for (const Stretch& s : stretches_) {
      const auto first = static_cast<std::int64_t>(s.first_step);
      n_samples_ += bad < 0 ? s.n_steps : std::clamp<std::int64_t>(bad + 1 - first, 0, s.n_steps);
    }
  }
  stretches_.clear();
}

void CudaHeeSession::read_mean(int layer, MatrixView<float> mean) const {
  const NvtxRange range("HeeSession::read_mean");
  context_.make_current();
  require(n_means_ > 0, "inference: no posterior means were collected");
  require(layer >= 1 && layer <= weights_.L() && mean.rows == chains_.n_rows() && mean.cols == weights_.size(layer),
          "posterior means of layer {} are [{}, {}], they were asked for as [{}, {}]", layer, chains_.n_rows(),
          layer >= 1 && layer <= weights_.L() ? weights_.size(layer) : 0, mean.rows, mean.cols);
  const std::int64_t stride = weights_.stride(layer);
  std::vector<float> sums(static_cast<std::size_t>(mean.rows * stride));
  copy_async(sums.data(), means_[at(layer - 1)].data(), mean.rows * stride, context_.stream.handle());
  context_.stream.synchronize();
  const auto share = static_cast<float>(1.0 / static_cast<double>(n_means_));
  for (std::int64_t i = 0; i < mean.rows; ++i) {
    for (std::int64_t k = 0; k < mean.cols; ++k) mean(i, k) = sums[static_cast<std::size_t>(i * stride + k)] * share;
  }
  chains_.mark_lost(mean);
}

void CudaHeeSession::watch(int first, int last, const WatchPlan& plan, const WatchState* from) {
  const NvtxRange range("HeeSession::watch");
  context_.make_current();
  units_ = watched_units(weights_.shape(), first, last, plan.n_outputs);
  const std::int64_t n = chains_.n_rows(), D = n_units(units_);
  watched_.reserve(n * D);
  const HostWatch start(plan, n, D, from);  // checks both
  watch_.load(plan, start.state(), D, context_.stream.handle());
}

void CudaHeeSession::observe() {
  const NvtxRange range("HeeSession::observe");
  require(!units_.empty(), "inference: nothing is watched");
  context_.make_current();
  const StreamHandle stream = context_.stream.handle();
  std::int64_t column = 0;
  for (const HeeUnits& piece : units_) {
    launch_hee_gather(chains_.x(piece.layer), chains_.n_rows(), weights_.stride(piece.layer), piece.first, piece.n,
                      chains_.first_bad_step(), watched_.data(), n_units(units_), column, stream);
    column += piece.n;
  }
  watch_.observe(watched_.data(), stream);
}

WatchState CudaHeeSession::read_watch() {
  const NvtxRange range("HeeSession::read_watch");
  require(!units_.empty(), "inference: nothing is watched");
  context_.make_current();
  return watch_.read(context_.stream.handle());
}

HeeTotals CudaHeeSession::totals() const {
  HeeTotals totals = kept_;
  totals.error.resize(at(weights_.L() + 1));
  for (auto* activity : {&totals.activity, &totals.activity_2}) activity->resize(at(weights_.L()));
  const auto add = [&](std::vector<double>& to, const std::vector<DeviceBuffer<double>>& from) {
    for (std::size_t l = 0; l < from.size(); ++l) {
      std::vector<double> rows(static_cast<std::size_t>(from[l].size()));
      copy_async(rows.data(), from[l].data(), from[l].size(), context_.stream.handle());
      context_.stream.synchronize();
      for (const double value : rows) to[l] += value;
    }
  };
  add(totals.error, row_sums_.error);
  add(totals.activity, row_sums_.activity);
  add(totals.activity_2, row_sums_.activity_2);
  return totals;
}

HeeStatistics CudaHeeSession::statistics() const {
  const NvtxRange range("HeeSession::statistics");
  context_.make_current();
  HeeStatistics s;
  s.n_samples = n_samples();
  const HeeTotals sums = totals();
  const auto n = static_cast<double>(std::max<std::int64_t>(s.n_samples, 1));
  for (int l = 0; l < weights_.L(); ++l) {
    const double below = n * static_cast<double>(weights_.size(l)),
                 above = n * static_cast<double>(weights_.size(l + 1));
    s.error.push_back(sums.error[at(l)] / below);
    s.activity.push_back(sums.activity[at(l)] / above);
    s.activity_2.push_back(sums.activity_2[at(l)] / above);
  }
  return s;
}

HeeParameters CudaHeeSession::gradient() const {
  context_.make_current();
  const std::int64_t n = n_samples();
  require(n > 0, "learning: no statistics were collected, or no chain is well");
  const auto share = static_cast<float>(1.0 / static_cast<double>(n));
  HeeParameters gradient = weights_.parameters();
  const auto scale = [&](Matrix<float>& values) {
    for (std::int64_t i = 0; i < values.size(); ++i) values.data()[i] *= share;
  };
  for (int l = 0; l <= weights_.L(); ++l) {
    Matrix<float>& b = gradient.b[at(l)] = weights_.sums_of_b(sums_, l);
    if (l < weights_.L()) {
      scale(b);
    } else {
      const std::vector<double> ascent = weights_.top_gradient(b, n);
      std::transform(ascent.begin(), ascent.end(), b.data(), [](double value) { return static_cast<float>(value); });
    }
    if (l > 0) scale(gradient.W[at(l - 1)] = weights_.sums_of_W(sums_, l));
  }
  return gradient;
}

void CudaHeeSession::clear_sums() {
  const StreamHandle stream = context_.stream.handle();
  for (auto* arrays : {&sums_.W, &sums_.b}) {
    for (DeviceBuffer<float>& array : *arrays) zero_async(array.data(), array.size(), stream);
  }
  for (auto* arrays : {&row_sums_.error, &row_sums_.activity, &row_sums_.activity_2}) {
    for (DeviceBuffer<double>& array : *arrays) zero_async(array.data(), array.size(), stream);
  }
  kept_ = {};
  n_samples_ = 0;
  stretches_.clear();
}

void CudaHeeSession::clear() {
  context_.make_current();
  clear_sums();
  for (DeviceBuffer<float>& mean : means_) zero_async(mean.data(), mean.size(), context_.stream.handle());
  n_means_ = 0;
}

// The inverse of the errors' expected square (compute/hee.hpp).
double CudaHeeSession::error_scale(int l, const HeeStatistics& seen) const {
  const HeeLayer& layer = weights_.layer(l);
  if (layer.family == Family::gaussian) return layer.parameters.s * layer.parameters.s;
  if (l < weights_.L()) return 1.0 / std::max(seen.error[at(l)], 1e-6);
  // There the squares are those of T(x) itself: its variance, then, and the slope of the link.
  const auto n = static_cast<double>(seen.n_samples), n_units = static_cast<double>(layer.size);
  const Matrix<float> sums = weights_.sums_of_b(sums_, l);
  const Matrix<float>& b = weights_.parameters().b[at(l)];
  double squared_means = 0.0, slope = 0.0;
  std::visit(
      [&](const auto& law) {
        for (std::int64_t i = 0; i < layer.size; ++i) {
          squared_means += std::pow(static_cast<double>(sums(0, i)) / n, 2);
          slope += std::pow(static_cast<double>(law.link_derivative(b(0, i), law.link(b(0, i)))), 2);
        }
      },
      weights_.law(l));
  const double square = totals().error[at(l)] / (n * n_units);
  return 1.0 / std::max((square - squared_means / n_units) * slope / n_units, 1e-6);
}

void CudaHeeSession::learn(std::span<const double> rates) {
  const NvtxRange range("HeeSession::learn");
  context_.make_current();
  const std::int64_t n = n_samples();
  std::vector<double> scales(at(weights_.L() + 1), 1.0), variances(at(weights_.L()), 1.0);
  if (weights_.optimizer().rule == HeeRule::plain && n > 0) {
    const HeeStatistics seen = statistics();
    for (int l = 0; l <= weights_.L(); ++l) {
      if (l < weights_.L() || weights_.optimizer().learn_biases) scales[at(l)] = error_scale(l, seen);
      if (l < weights_.L()) variances[at(l)] = seen.activity_2[at(l)] - seen.activity[at(l)] * seen.activity[at(l)];
    }
  }
  weights_.learn(sums_, n, rates, scales, variances);
  clear_sums();
}

}  // namespace

std::unique_ptr<HeeSession> make_cuda_hee_session(Context& context, const HeeParameters& initial,
                                                  const HeeOptimizer& optimizer, bool graphs) {
  return std::make_unique<CudaHeeSession>(context, initial, optimizer, graphs);
}

}  // namespace tarn::cuda
