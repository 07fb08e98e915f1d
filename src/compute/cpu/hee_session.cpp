#include "hee_session.hpp"

#include <omp.h>

#include <algorithm>
#include <limits>

#include "hee_chains.hpp"
#include "hee_learning.hpp"
#include "hee_sums.hpp"
#include "hee_tile.hpp"
#include "host_watch.hpp"

namespace tarn::cpu {
namespace {

std::size_t at(int l) { return static_cast<std::size_t>(l); }

class CpuHeeSession final : public HeeSession {
 public:
  CpuHeeSession(const HeeParameters& initial, const HeeOptimizer& optimizer, int n_threads)
      : model_(initial),
        learning_(model_, optimizer, n_threads),
        chains_(model_),
        sums_(model_),
        n_threads_(n_threads) {}

  void set_rows(const HeeRows& rows) override {
    if (rows.n_rows() != chains_.rows().n_rows()) {
      tiles_.clear();
      means_.clear();
      n_means_ = 0;
    }
    chains_.set_rows(rows);
    units_.clear();
  }
  void set_observations(MatrixView<const float> x0) override { chains_.set_observations(x0); }
  void reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread) override {
    check_hee_dynamics(dynamics);
    chains_.reset(dynamics, seed, step, spread);
  }
  void write(int layer, MatrixView<const float> x) override { chains_.write(layer, x); }
  void read(int layer, MatrixView<float> x) const override { chains_.read(layer, x); }

  void infer(const HeeDynamics& dynamics, const HeeSteps& steps) override;
  std::span<const std::int64_t> first_bad_step() const override { return chains_.first_bad_step(); }
  void read_mean(int layer, MatrixView<float> mean) const override;

  void watch(int first, int last, const WatchPlan& plan, const WatchState* from) override;
  void observe() override;
  WatchState read_watch() override {
    require(!units_.empty(), "inference: nothing is watched");
    return watch_.state();
  }

  HeeStatistics statistics() const override { return sums_.statistics(); }
  HeeParameters gradient() const override;
  void clear() override;
  void learn(std::span<const double> learning_rates) override {
    learning_.step(model_, sums_, learning_rates);
    sums_.clear();
  }

  const HeeParameters& parameters() const override { return model_.parameters(); }
  void set_family_parameters(int layer, const FamilyParameters& parameters) override {
    require(layer >= 0 && layer <= model_.L(), "model: there is no layer {}", layer);
    model_.set_family_parameters(layer, parameters);
  }
  TrainingState training_state() const override { return learning_.state(model_); }
  void restore(const TrainingState& state) override { learning_.restore(model_, state); }
  HeeChainState chain_state() const override { return chains_.state(); }
  void restore(const HeeChainState& state) override { chains_.restore(state); }

 private:
  HeeModel model_;
  HeeLearning learning_;
  HeeChains chains_;
  HeeSums sums_;
  int n_threads_;
  std::vector<HeeTile> tiles_;  // one a thread
  std::vector<Panels> means_;   // sums of x_l, l = 1..L at [l - 1]; empty until they are asked for
  std::int64_t n_means_ = 0;
  std::vector<HeeUnits> units_;  // that are watched
  Matrix<float> watched_;        // them, at the last look
  HostWatch watch_;
};

void CpuHeeSession::infer(const HeeDynamics& dynamics, const HeeSteps& steps) {
  check_hee_dynamics(dynamics);
  check_hee_steps(model_.parameters(), dynamics, steps);
  chains_.prepare(dynamics);
  const HeePlan& plan = chains_.plan();
  if (plan.n_tiles == 0 || steps.n_steps == 0) return;

  HeeCall call(model_, dynamics, steps);
  call.learns_biases = learning_.settings().learn_biases;
  const auto n_workers = static_cast<int>(std::min<std::int64_t>(n_threads_, plan.n_groups));
  while (static_cast<int>(tiles_.size()) < n_workers) tiles_.emplace_back(model_, plan.tile_panels);
  for (HeeTile& tile : tiles_) tile.prepare(call);
  if (steps.statistics) sums_.make_groups(plan.n_groups);
  if (steps.means && means_.empty()) {
    for (int l = 1; l <= model_.L(); ++l) means_.emplace_back(chains_.rows().n_rows(), model_.size(l));
  }
  if (steps.means) n_means_ += steps.n_steps;

#pragma omp parallel for schedule(dynamic, 1) num_threads(n_workers)
  for (std::int64_t g = 0; g < plan.n_groups; ++g) {
    HeeTile& tile = tiles_[static_cast<std::size_t>(omp_get_thread_num())];
    for (std::int64_t i = plan.group_begin(g); i < plan.group_begin(g + 1); ++i) {
      const std::int64_t first = i * plan.tile_panels, last = std::min(first + plan.tile_panels, plan.n_panels);
      tile.run(call, chains_, first, last, steps.statistics ? &sums_.group(g) : nullptr,
               steps.means ? &means_ : nullptr);
    }
  }
}

void CpuHeeSession::read_mean(int layer, MatrixView<float> mean) const {
  require(n_means_ > 0, "inference: no posterior means were collected");
  require(layer >= 1 && layer <= model_.L() && mean.rows == chains_.rows().n_rows() && mean.cols == model_.size(layer),
          "posterior means of layer {} are [{}, {}], they were asked for as [{}, {}]", layer, chains_.rows().n_rows(),
          layer >= 1 && layer <= model_.L() ? model_.size(layer) : 0, mean.rows, mean.cols);
  means_[at(layer - 1)].store(0, mean);
  const auto share = static_cast<float>(1.0 / static_cast<double>(n_means_));
  for (std::int64_t i = 0; i < mean.size(); ++i) mean.data[i] *= share;
}

void CpuHeeSession::watch(int first, int last, const WatchPlan& plan, const WatchState* from) {
  units_ = watched_units(model_.parameters(), first, last, plan.n_outputs);
  watch_ = {plan, chains_.rows().n_rows(), n_units(units_), from};
}

void CpuHeeSession::observe() {
  require(!units_.empty(), "inference: nothing is watched");
  const std::int64_t n_rows = chains_.rows().n_rows(), D = n_units(units_);
  if (watched_.rows() != n_rows || watched_.cols() != D) watched_ = Matrix<float>(n_rows, D);
  if (units_.size() == 1 && units_[0].n == model_.size(units_[0].layer)) {
    chains_.read(units_[0].layer, watched_);
  } else {
    std::int64_t column = 0;
    for (const HeeUnits& piece : units_) {
      Matrix<float> layer(n_rows, model_.size(piece.layer));
      chains_.read(piece.layer, layer);
      for (std::int64_t i = 0; i < n_rows; ++i)
        std::copy_n(layer.row(i) + piece.first, piece.n, watched_.row(i) + column);
      column += piece.n;
    }
  }
  for (std::int64_t i = 0; i < n_rows; ++i) {  // an observation that is held stays as it is in a chain that is lost
    if (chains_.first_bad_step()[static_cast<std::size_t>(i)] >= 0)
      std::fill_n(watched_.row(i), D, std::numeric_limits<float>::quiet_NaN());
  }
  watch_.observe(watched_.view(), n_threads_);
}

HeeParameters CpuHeeSession::gradient() const {
  require(sums_.n_samples() > 0, "learning: no statistics were collected, or no chain is well");
  HeeParameters gradient = model_.parameters();
  for (int l = 0; l <= model_.L(); ++l) {
    const std::vector<double> b = sums_.mean_of_b(l);
    for (std::size_t i = 0; i < b.size(); ++i) gradient.b[at(l)].data()[i] = static_cast<float>(b[i]);
    if (l == 0) continue;
    Matrix<float>& W = gradient.W[at(l - 1)];
    AlignedVector<float> row(static_cast<std::size_t>(model_.stride(l)));
    for (std::int64_t i = 0; i < W.rows(); ++i) {
      sums_.mean_of_W(l, i, i + 1, row.data());
      std::copy_n(row.data(), W.cols(), W.row(i));
    }
  }
  return gradient;
}

void CpuHeeSession::clear() {
  sums_.clear();
  for (Panels& means : means_) means.clear();
  n_means_ = 0;
}

}  // namespace

std::unique_ptr<HeeSession> make_hee_session(const HeeParameters& initial, const HeeOptimizer& optimizer,
                                             int n_threads) {
  return std::make_unique<CpuHeeSession>(initial, optimizer, n_threads);
}

}  // namespace tarn::cpu
