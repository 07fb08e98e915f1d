// Chains in the host's memory: what a backend that computes there holds.
#include <algorithm>
#include <cmath>

#include "checks.hpp"
#include "host_watch.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn {
namespace {

void copy(MatrixView<const float> from, MatrixView<float> to) { std::copy_n(from.data, from.size(), to.data); }

Matrix<float> copy_of(MatrixView<const float> from) {
  Matrix<float> to(from.rows, from.cols);
  copy(from, to);
  return to;
}

class HostChains final : public Chains {
 public:
  HostChains(Backend& backend, const NetworkView& network, const ReservoirBlock& block)
      : backend_(backend),
        D_(network.n_outputs),
        x_(copy_of(block.chains.x)),
        u_(copy_of(block.chains.u)),
        clamp_(copy_of(block.chains.clamp)),
        v_(copy_of(block.chains.v)),
        r_(copy_of(block.r)),
        P_(block.P),
        private_noise_(block.private_noise),
        first_bad_step_(block.chains.first_bad_step, block.chains.first_bad_step + block.chains.x.rows) {}

  void advance(const PreparedNetwork& network, const LangevinSteps& steps) override {
    const ChainBlock chains{x_, u_.view(), clamp_.empty() ? MatrixView<const float>{} : clamp_.view(),
                            first_bad_step_.data(), v_.empty() ? MatrixView<float>{} : v_.view()};
    if (r_.empty()) {
      backend_.advance(network, steps, chains);
    } else {
      backend_.advance_reservoir(network, steps, {chains, r_, P_, private_noise_});
    }
  }

  void set_inputs(MatrixView<const float> u) override {
    require(u.rows == u_.rows() && u.cols == u_.cols(), "inputs must be [{}, {}], found [{}, {}]", u_.rows(), u_.cols(),
            u.rows, u.cols);
    copy(u, u_);
  }

  void begin_draw(const DrawRequest& request) override {
    if (draw_.empty()) draw_ = Matrix<float>(x_.rows(), D_);
    if (request.score) {
      denoise(*request.score, request.variance);
    } else {
      copy(x_.view(), draw_);
    }
    if (request.rates) drawn_rates_ = r_;
    has_rates_ = request.rates;
  }
  ChainDraw finish_draw() override {
    return {draw_.view(), has_rates_ ? drawn_rates_.view() : MatrixView<const float>{}};
  }

  void store(const ReservoirBlock& block) override {
    if (block.chains.x.data) copy(x_.view(), block.chains.x);
    if (block.chains.v.data) copy(v_.view(), block.chains.v);
    if (block.r.data) copy(r_.view(), block.r);
    std::copy(first_bad_step_.begin(), first_bad_step_.end(), block.chains.first_bad_step);
  }
  void look(std::span<std::int64_t> first_bad_step) override {
    std::copy(first_bad_step_.begin(), first_bad_step_.end(), first_bad_step.begin());
  }

  void watch(const WatchPlan& plan, const WatchState* from) override { watch_ = {plan, x_.rows(), D_, from}; }
  void observe() override { watch_.observe(x_.view(), backend_.n_threads()); }
  WatchState read_watch() override { return watch_.state(); }

 private:
  void denoise(const PreparedNetwork& score, float variance) {
    const std::int64_t U = u_.cols();
    if (points_.empty()) points_ = Matrix<float>(x_.rows(), D_ + U);
    for (std::int64_t i = 0; i < x_.rows(); ++i) {
      std::copy_n(x_.row(i), D_, points_.row(i));
      if (U > 0) std::copy_n(u_.row(i), U, points_.row(i) + D_);
    }
    backend_.drift(score, points_, draw_);
    for (std::int64_t i = 0; i < draw_.size(); ++i) {
      // a lost chain keeps the NaN that it has: devices make NaN of other bits
      const bool stays = (!clamp_.empty() && !std::isnan(clamp_.data()[i])) || std::isnan(x_.data()[i]);
      draw_.data()[i] = stays ? x_.data()[i] : x_.data()[i] + variance * draw_.data()[i];
    }
  }

  Backend& backend_;
  std::int64_t D_;
  Matrix<float> x_, u_, clamp_, v_, r_, points_, draw_, drawn_rates_;
  MatrixView<const float> P_, private_noise_;
  std::vector<std::int64_t> first_bad_step_;
  HostWatch watch_;
  bool has_rates_ = false;
};

}  // namespace

std::unique_ptr<Chains> Backend::hold(const NetworkView& network, const ReservoirBlock& block) {
  check_held(network, block);
  return std::make_unique<HostChains>(*this, network, block);
}

}  // namespace tarn
