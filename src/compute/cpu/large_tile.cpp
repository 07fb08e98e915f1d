#include "large_tile.hpp"

#include <algorithm>

namespace tarn::cpu {

TilePlan::TilePlan(std::int64_t n_chains, int n_threads)
    : n_chains_(n_chains), n_units_((n_chains + unit_chains - 1) / unit_chains) {
  const std::int64_t needed = (n_chains + max_tile_chains - 1) / max_tile_chains;
  n_tiles_ = std::min(n_units_, round_up(needed, n_threads));
  largest_ = n_tiles_ == 0 ? 0 : (n_units_ + n_tiles_ - 1) / n_tiles_ * unit_chains;
}

ChainRange TilePlan::tile(std::int64_t i) const {
  return {i * n_units_ / n_tiles_ * unit_chains, std::min((i + 1) * n_units_ / n_tiles_ * unit_chains, n_chains_)};
}

namespace {

// Calls `move(chain, first, last)` for columns `first` to `last` of each chain: a panel's chains one after another for a few columns at a time, which
// stay in the cache from the first to the last.
template <class Move>
void by_pieces(std::int64_t n_chains, std::int64_t n_columns, Move&& move) {
  constexpr std::int64_t piece = 128;
  for (std::int64_t begin = 0; begin < n_chains; begin += panel_lanes) {
    const std::int64_t end = std::min(begin + panel_lanes, n_chains);
    for (std::int64_t k = 0; k < n_columns; k += piece) {
      for (std::int64_t i = begin; i < end; ++i) move(i, k, std::min(k + piece, n_columns));
    }
  }
}

}  // namespace

void Panels::load(std::int64_t first_row, MatrixView<const float> rows) {
  by_pieces(rows.rows, rows.cols, [&](std::int64_t i, std::int64_t first, std::int64_t last) {
    float* lane = panel(i / panel_lanes) + first_row * panel_lanes + i % panel_lanes;
    for (std::int64_t k = first; k < last; ++k) lane[k * panel_lanes] = rows(i, k);
  });
}

void Panels::store(std::int64_t first_row, MatrixView<float> rows) const {
  by_pieces(rows.rows, rows.cols, [&](std::int64_t i, std::int64_t first, std::int64_t last) {
    const float* lane = panel(i / panel_lanes) + first_row * panel_lanes + i % panel_lanes;
    for (std::int64_t k = first; k < last; ++k) rows(i, k) = lane[k * panel_lanes];
  });
}

DriftTile::DriftTile(const LargeNetwork& network, std::int64_t n_chains)
    : network_(network),
      gemm_(gemm_kernels(current_isa())),
      kernels_(large_langevin_kernels(current_isa())),
      state_(n_chains, network.n_columns),
      sums_(n_chains, network.n_outputs),
      mapped_(n_chains, network.M.empty() ? 0 : network.n_outputs),
      activations_(n_chains, network.tile_neurons) {}

void DriftTile::activate(std::int64_t first, std::int64_t n_chains) {
  PanelProduct p;
  p.n_rows = network_.tile_size(first);
  p.n_k = network_.n_columns;
  p.n_columns = n_chains;
  p.weights = network_.W_in.data() + first * network_.in_stride;
  p.weight_row = network_.in_stride;
  p.in = state_.data();
  p.in_panel = state_.stride();
  p.out = activations_.data();
  p.out_panel = activations_.stride();
  p.bias = network_.b.data() + first;
  p.epilogue = Epilogue::activate;
  p.phi = network_.phi;
  gemm_.product(p);
}

void DriftTile::project(std::int64_t first, PanelRows in, Panels& out, std::int64_t n_chains) const {
  PanelProduct p;
  p.n_rows = network_.n_outputs;
  p.n_k = network_.tile_size(first);
  p.n_columns = n_chains;
  p.weights = network_.W_out_tile(first);
  p.weight_row = p.n_k;
  p.in = in.data;
  p.in_panel = in.panel_stride;
  p.out = out.data();
  p.out_panel = out.stride();
  p.epilogue = first == 0 ? Epilogue::store : Epilogue::add;
  gemm_.product(p);
}

void DriftTile::evaluate(std::int64_t n_chains) {
  for (std::int64_t first = 0; first < network_.n_neurons; first += network_.tile_neurons) {
    activate(first, n_chains);
    project(first, {activations_.data(), activations_.stride()}, sums_, n_chains);
  }
  for (std::int64_t p = 0; p < panels_of(n_chains); ++p) {
    kernels_.leak(sums_.panel(p), state_.panel(p), network_.c.empty() ? nullptr : network_.c.data(),
                  network_.n_outputs);
  }
  if (network_.M.empty()) return;
  PanelProduct m;
  m.n_rows = m.n_k = m.weight_row = network_.n_outputs;
  m.n_columns = n_chains;
  m.weights = network_.M.data();
  m.in = sums_.data();
  m.in_panel = sums_.stride();
  m.out = mapped_.data();
  m.out_panel = mapped_.stride();
  gemm_.product(m);
}

TileNoise::TileNoise(const LangevinSteps& steps, std::int64_t n_outputs, std::int64_t n_chains,
                     const LargeLangevinKernels& kernels)
    : steps_(steps),
      kernels_(kernels),
      n_outputs_(n_outputs),
      midpoint_(steps.integrator == Integrator::leimkuhler_matthews),
      scale_(static_cast<float>(std::sqrt(midpoint_ ? 0.5 * steps.dt : 2.0 * steps.dt) * steps.noise_scale)) {
  if (silent()) return;
  panels_[0] = Panels(n_chains, n_outputs);
  if (midpoint_) panels_[1] = Panels(n_chains, n_outputs);
}

void TileNoise::draw(std::int64_t panel, std::uint64_t step, float* out) {
  PanelNoise q;
  q.seed = steps_.seed;
  q.subsequence = static_cast<std::uint64_t>(Stream::dynamics) << 48 |
                  (steps_.first_chain + static_cast<std::uint64_t>(begin_ + panel * panel_lanes));
  q.step = step;
  q.n_components = n_outputs_;
  q.packs = packs_of_panel(n_chains_, panel);
  kernels_.normals(q, out);
}

void TileNoise::start(std::int64_t begin, std::int64_t n_chains) {
  begin_ = begin;
  n_chains_ = n_chains;
  turned_ = false;
  if (silent() || !midpoint_) return;
  for (std::int64_t p = 0; p < panels_of(n_chains); ++p) draw(p, steps_.first_step, panels_[0].panel(p));
}

void TileNoise::make(std::int64_t panel, std::uint64_t step) {
  if (silent()) return;
  if (midpoint_) {
    draw(panel, step + 1, panels_[!turned_].panel(panel));
  } else {
    draw(panel, step, panels_[0].panel(panel));
  }
}

void note_escaped(std::uint32_t escaped, std::int64_t panel, ChainRange chains, std::uint64_t step,
                  std::int64_t* first_bad_step) {
  for (std::int64_t i = 0; i < panel_lanes && panel * panel_lanes + i < chains.size(); ++i) {
    std::int64_t& first = first_bad_step[chains.begin + panel * panel_lanes + i];
    if ((escaped >> i & 1) != 0 && first < 0) first = static_cast<std::int64_t>(step);
  }
}

}  // namespace tarn::cpu
