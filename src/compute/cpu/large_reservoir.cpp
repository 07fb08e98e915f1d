// Reservoir mode: r is carried too, in the tile's panels, and x = r W_out^T is formed anew each step. Per tile of
// neurons:
//   a = phi([x u] W_in^T + b),  r += dt (a - r) + y P^T,  x' += r W_out^T,
// with y = sqrt(2 dt) xi, and dt (f - g) added where the drift f = (g + c) M^T is not g = a W_out^T - x itself. With P
// the right inverse of W_out, x' = x + dt f + sqrt(2 dt) xi, as in output mode. Noise private to the neurons is added to r
// itself, and y has none.
#include <omp.h>

#include <algorithm>

#include "large_langevin.hpp"
#include "large_tile.hpp"

namespace tarn::cpu {
namespace {

class ReservoirWorker {
 public:
  ReservoirWorker(const LargeNetwork& network, const LangevinSteps& steps, const ReservoirBlock& block,
                  std::int64_t n_chains)
      : network_(network),
        steps_(steps),
        block_(block),
        drift_(network, n_chains),
        noise_(steps, block.private_noise.data ? network.n_neurons : network.n_outputs, n_chains, drift_.kernels()),
        rates_(n_chains, network.n_neurons),
        x_(n_chains, network.n_outputs),
        impulse_(n_chains, network.n_outputs) {
    if (block.chains.clamp.data) clamp_ = Panels(n_chains, network.n_outputs);
    if (has_extra()) extra_ = Panels(n_chains, network.n_outputs);
  }

  void run(ChainRange chains) {
    const ChainBlock& b = block_.chains;
    const std::int64_t n = chains.size(), D = network_.n_outputs;
    rates_.load(0, block_.r.slice(chains.begin, chains.end));
    if (network_.n_columns > D) drift_.state().load(D, b.u.slice(chains.begin, chains.end));
    if (!clamp_.empty()) clamp_.load(0, b.clamp.slice(chains.begin, chains.end));
    noise_.start(chains.begin, n);
    for_tiles([&](std::int64_t first) { drift_.project(first, rates(first), x_, n); });
    for (std::int64_t t = 0; t < steps_.n_steps; ++t) {
      set_state(n);
      make_impulse(n, steps_.first_step + static_cast<std::uint64_t>(t));
      for_tiles([&](std::int64_t first) {
        drift_.activate(first, n);
        for (std::int64_t p = 0; p < panels_of(n); ++p) {
          drift_.kernels().relax(rate_row(p, first), drift_.activations().panel(p), steps_.dt,
                                 network_.tile_size(first) * panel_lanes);
        }
        push(first, impulse_, n);
        if (block_.private_noise.data) shake(first, n);
        drift_.project(first, rates(first), x_, n);
      });
      hold_clamped(n);
      quarantine(chains, steps_.first_step + static_cast<std::uint64_t>(t));
      noise_.turn();
    }
    x_.store(0, b.x.slice(chains.begin, chains.end));
    rates_.store(0, block_.r.slice(chains.begin, chains.end));
  }

 private:
  bool has_extra() const { return !network_.M.empty() || !network_.c.empty(); }
  // Row `first` of panel `p`.
  float* rate_row(std::int64_t p, std::int64_t first) { return rates_.panel(p) + first * panel_lanes; }
  PanelRows rates(std::int64_t first) { return {rate_row(0, first), rates_.stride()}; }
  template <class F>
  void for_tiles(F&& f) {
    for (std::int64_t first = 0; first < network_.n_neurons; first += network_.tile_neurons) f(first);
  }

  void set_state(std::int64_t n) {
    for (std::int64_t p = 0; p < panels_of(n); ++p) {
      std::copy_n(x_.panel(p), network_.n_outputs * panel_lanes, drift_.state().panel(p));
    }
  }

  void make_impulse(std::int64_t n, std::uint64_t step) {
    if (has_extra()) {
      drift_.evaluate(n);
      for (std::int64_t p = 0; p < panels_of(n); ++p) {
        const float* f = drift_.drift().panel(p);
        const float* g = drift_.leaked().panel(p);
        float* extra = extra_.panel(p);
        for (std::int64_t d = 0; d < network_.n_outputs; ++d) {
          // leaked() holds g + c
          const float c = network_.c.empty() ? 0.0f : network_.c[static_cast<std::size_t>(d)];
          for (std::int64_t i = d * panel_lanes; i < (d + 1) * panel_lanes; ++i) extra[i] = f[i] - (g[i] - c);
        }
      }
    }
    for (std::int64_t p = 0; p < panels_of(n); ++p) {
      noise_.make(p, step);
      const bool output_noise = !block_.private_noise.data;
      drift_.kernels().impulse(impulse_.panel(p), output_noise ? noise_.xi(p) : nullptr,
                               output_noise ? noise_.xi_next(p) : nullptr, noise_.scale(),
                               has_extra() ? extra_.panel(p) : nullptr, steps_.dt, impulse_.stride());
    }
  }

  // r += sqrt(2 dt) S xi for a tile of neurons.
  void shake(std::int64_t first, std::int64_t n) {
    for (std::int64_t p = 0; p < panels_of(n); ++p) {
      if (!noise_.xi(p)) return;
      for (std::int64_t j = first; j < first + network_.tile_size(first); ++j) {
        float* rate = rate_row(p, j);
        const float* next = noise_.xi_next(p);
        drift_.kernels().impulse(rate, noise_.xi(p) + j * panel_lanes, next ? next + j * panel_lanes : nullptr,
                                 noise_.scale() * block_.private_noise(0, j), rate, 1.0f, panel_lanes);
      }
    }
  }

  // r += y P^T for a tile of neurons.
  void push(std::int64_t first, const Panels& y, std::int64_t n) {
    PanelProduct p;
    p.n_rows = network_.tile_size(first);
    p.n_k = p.weight_row = network_.n_outputs;
    p.n_columns = n;
    p.weights = block_.P.row(first);
    p.in = y.panel(0);
    p.in_panel = y.stride();
    p.out = rate_row(0, first);
    p.out_panel = rates_.stride();
    p.epilogue = Epilogue::add;
    drift_.gemm().product(p);
  }

  void hold_clamped(std::int64_t n) {
    if (clamp_.empty()) return;
    for (std::int64_t p = 0; p < panels_of(n); ++p) {
      float *x = x_.panel(p), *shift = impulse_.panel(p);
      const float* held = clamp_.panel(p);
      for (std::int64_t i = 0; i < x_.stride(); ++i) {
        const bool free = held[i] != held[i];
        shift[i] = free ? 0.0f : held[i] - x[i];
        x[i] = free ? x[i] : held[i];
      }
    }
    for_tiles([&](std::int64_t first) { push(first, impulse_, n); });
  }

  void quarantine(ChainRange chains, std::uint64_t step) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (std::int64_t p = 0; p < panels_of(chains.size()); ++p) {
      const std::uint32_t escaped = drift_.kernels().escaped(
          x_.panel(p), network_.n_outputs, square_limit(steps_.bound), packs_of_panel(chains.size(), p));
      if (escaped == 0) continue;
      note_escaped(escaped, p, chains, step, block_.chains.first_bad_step);
      for (int lane = 0; lane < panel_lanes; ++lane) {
        if ((escaped >> lane & 1) == 0) continue;
        for (std::int64_t j = 0; j < network_.n_neurons; ++j) rates_.panel(p)[j * panel_lanes + lane] = nan;
      }
    }
  }

  const LargeNetwork& network_;
  const LangevinSteps& steps_;
  const ReservoirBlock& block_;
  DriftTile drift_;
  TileNoise noise_;
  Panels rates_, x_, impulse_, extra_, clamp_;
};

}  // namespace

void advance_reservoir_large(const LargeNetwork& network, const LangevinSteps& steps, const ReservoirBlock& block,
                             int n_threads) {
  if (block.r.rows == 0) return;
  const TilePlan plan(block.r.rows, n_threads);
  std::vector<ReservoirWorker> workers;
  workers.reserve(static_cast<std::size_t>(n_threads));
  for (int i = 0; i < n_threads && i < plan.n_tiles(); ++i) workers.emplace_back(network, steps, block, plan.largest());
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(workers.size()))
  for (std::int64_t i = 0; i < plan.n_tiles(); ++i)
    workers[static_cast<std::size_t>(omp_get_thread_num())].run(plan.tile(i));
}

}  // namespace tarn::cpu
