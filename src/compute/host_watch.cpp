#include "host_watch.hpp"

#include <algorithm>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::int64_t chains_a_piece = 512;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

WatchLook next_look(const WatchClock& clock) {
  WatchLook look;
  look.n_before = clock.n_looks;
  look.inverse_count = 1.0 / static_cast<double>(clock.in_batch + 1);
  look.batch_length = static_cast<double>(clock.batch_length);
  if (clock.in_batch + 1 == clock.batch_length) {
    look.slot = clock.n_batches;
    look.merges = clock.n_batches + 1 == WatchClock::capacity;
  }
  return look;
}

void WatchClock::advance() {
  ++n_looks;
  if (++in_batch < batch_length) return;
  in_batch = 0;
  if (++n_batches < capacity) return;
  n_batches = capacity / 2;
  batch_length *= 2;
}

WatchState::WatchState(const WatchPlan& plan, std::int64_t chains, std::int64_t D)
    : n_chains(chains), n_quantities(plan.n_quantities(D)) {
  const std::int64_t plane = n_quantities * n_chains;
  batch_mean.assign(at(WatchClock::capacity * plane), 0.0);
  batch_square = batch_mean;
  open_mean.assign(at(plane), 0.0);
  open_square = open_mean;
  variogram.assign(at(n_lags * plane), 0.0);
  recent.assign(at(n_recent * plane), 0.0f);
  hashes.assign(at(3 * n_chains), 0);
  still.assign(at(n_chains), 0);
  mode.assign(plan.centers.empty() ? 0 : at(n_chains), -1);
  sketch.assign(at(n_quantities * n_bins), 0);
  modes.assign(plan.centers.empty() ? 0 : at(plan.centers.rows() + 1), 0);
}

bool WatchState::fits(const WatchPlan& plan, std::int64_t chains, std::int64_t D) const {
  const std::int64_t Q = plan.n_quantities(D);
  const auto has = [](const auto& array, std::int64_t size) { return std::ssize(array) == size; };
  const bool counts_modes = !plan.centers.empty();
  return n_chains == chains && n_quantities == Q && has(batch_mean, WatchClock::capacity * Q * chains) &&
         has(batch_square, WatchClock::capacity * Q * chains) && has(open_mean, Q * chains) &&
         has(open_square, Q * chains) && has(variogram, n_lags * Q * chains) && has(recent, n_recent * Q * chains) &&
         has(hashes, 3 * chains) && has(still, chains) && has(mode, counts_modes ? chains : 0) &&
         has(sketch, Q * n_bins) && has(modes, counts_modes ? plan.centers.rows() + 1 : 0) && clock.n_looks >= 0 &&
         clock.batch_length >= 1 && clock.in_batch >= 0 && clock.in_batch < clock.batch_length &&
         clock.n_batches >= 0 && clock.n_batches < WatchClock::capacity;
}

std::int64_t watch_bytes_a_chain(const WatchPlan& plan, std::int64_t D) {
  const std::int64_t a_quantity = 8 * (2 * WatchClock::capacity + 2 + WatchState::n_lags) + 4 * WatchState::n_recent;
  return plan.n_outputs == 0 ? 0 : plan.n_quantities(D) * a_quantity + 3 * 8 + 2 * 4;
}

HostWatch::HostWatch(const WatchPlan& plan, std::int64_t n_chains, std::int64_t D, const WatchState* from)
    : plan_(plan) {
  require(plan.n_outputs >= 0 && plan.n_outputs <= D && (plan.centers.empty() || plan.centers.cols() == D),
          "watch: {} of {} outputs, centers of {}", plan.n_outputs, D, plan.centers.cols());
  require(!from || from->fits(plan, n_chains, D), "watch: the stored sums are not those of {} chains with D = {}",
          n_chains, D);
  state_ = from ? *from : WatchState(plan, n_chains, D);
}

void HostWatch::observe(MatrixView<const float> x, int n_threads) {
  WatchState& s = state_;
  const WatchArrays arrays{s.batch_mean.data(),  s.batch_square.data(), s.open_mean.data(),
                           s.open_square.data(), s.variogram.data(),    s.recent.data(),
                           s.hashes.data(),      s.still.data(),        s.mode.data()};
  WatchLook look = next_look(s.clock);
  look.x = x.data;
  look.n = x.rows;
  look.D = x.cols;
  look.K = plan_.n_outputs;
  look.Q = s.n_quantities;
  look.n_modes = plan_.centers.rows();
  look.centers = plan_.centers.data();
  const std::int64_t n_modes = look.n_modes, n_pieces = (look.n + chains_a_piece - 1) / chains_a_piece;
  std::vector<std::uint64_t> counts(at(n_pieces * (n_modes + 1)), 0);  // of each piece, so that threads do not meet
#pragma omp parallel num_threads(std::max(n_threads, 1)) if (n_pieces > 1)
  {
#pragma omp for schedule(static)
    for (std::int64_t piece = 0; piece < n_pieces; ++piece) {
      std::uint64_t* mine = counts.data() + piece * (n_modes + 1);
      for (std::int64_t i = piece * chains_a_piece; i < std::min((piece + 1) * chains_a_piece, look.n); ++i) {
        bool changed = false;
        const std::int32_t mode = watch_chain(arrays, look, i, changed);
        if (mode >= 0) ++mine[mode];
        if (changed) ++mine[n_modes];
      }
    }
#pragma omp for schedule(static)
    for (std::int64_t q = 0; q < look.Q; ++q) {
      const float* values = arrays.recent + (look.n_before % WatchState::n_recent * look.Q + q) * look.n;
      std::uint64_t* bins = s.sketch.data() + q * WatchState::n_bins;
      for (std::int64_t i = 0; i < look.n; ++i) {
        if (is_finite(values[i])) ++bins[sketch_bin(values[i])];
      }
    }
  }
  if (n_modes > 0) {
    for (std::size_t k = 0; k < counts.size(); ++k) s.modes[k % at(n_modes + 1)] += counts[k];
  }
  s.clock.advance();
}

}  // namespace tarn
