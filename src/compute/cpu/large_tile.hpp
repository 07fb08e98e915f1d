// The working memory of one thread: a tile of up to 256 chains as panels, and the drift on it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "large_langevin_kernels.hpp"
#include "large_network.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cpu {

/// Chains are dealt out in units of one pack.
inline constexpr std::int64_t unit_chains = 16;
inline constexpr std::int64_t max_tile_chains = 256;

/// Chains of tile `i` of `n_tiles`.
struct ChainRange {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

/// Cuts chains into tiles of nearly equal size, a multiple of the thread count of them where that is possible.
class TilePlan {
 public:
  TilePlan(std::int64_t n_chains, int n_threads);
  std::int64_t n_tiles() const { return n_tiles_; }
  std::int64_t largest() const { return largest_; }  ///< chains
  ChainRange tile(std::int64_t i) const;

 private:
  std::int64_t n_chains_, n_units_, n_tiles_, largest_;
};

/// Panels `[panel][row][32 lanes]` of a tile of chains.
class Panels {
 public:
  Panels() = default;
  Panels(std::int64_t n_chains, std::int64_t n_rows)
      : n_rows_(n_rows), values_(static_cast<std::size_t>(panels_of(n_chains) * n_rows * panel_lanes), 0.0f) {}
  float* panel(std::int64_t p) { return values_.data() + p * stride(); }
  const float* panel(std::int64_t p) const { return values_.data() + p * stride(); }
  float* data() { return values_.data(); }
  std::int64_t stride() const { return n_rows_ * panel_lanes; }
  bool empty() const { return values_.empty(); }
  void clear() { std::fill(values_.begin(), values_.end(), 0.0f); }
  /// Row `first_row + k` of chain `i` from element `k` of `rows.row(i)`, and back.
  void load(std::int64_t first_row, MatrixView<const float> rows);
  void store(std::int64_t first_row, MatrixView<float> rows) const;

 private:
  std::int64_t n_rows_ = 0;
  AlignedVector<float> values_;
};

/// A span of rows of every panel.
struct PanelRows {
  const float* data;
  std::int64_t panel_stride;
};

/// Drift of a tile: state `[x u]` in, `f` out.
class DriftTile {
 public:
  DriftTile(const LargeNetwork& network, std::int64_t n_chains);

  Panels& state() { return state_; }  ///< `[D+U]` rows: x, then u
  Panels& drift() { return network_.M.empty() ? sums_ : mapped_; }
  /// What `drift()` is before M: `-x + phi([x u] W_in^T + b) W_out^T + c`.
  const Panels& leaked() const { return sums_; }
  /// Full drift, left in `drift()`.
  void evaluate(std::int64_t n_chains);
  /// `phi([x u] W_in^T + b)` for the tile of neurons that starts at `first`.
  void activate(std::int64_t first, std::int64_t n_chains);
  Panels& activations() { return activations_; }  ///< `[tile_neurons]` rows, of which `tile_size(first)` hold
  /// Adds to `out` (for `first` = 0: stores) what the tile of neurons `in` sends through W_out.
  void project(std::int64_t first, PanelRows in, Panels& out, std::int64_t n_chains) const;
  const GemmKernels& gemm() const { return gemm_; }
  const LargeLangevinKernels& kernels() const { return kernels_; }

 private:
  const LargeNetwork& network_;
  const GemmKernels& gemm_;
  const LargeLangevinKernels& kernels_;
  Panels state_, sums_, mapped_, activations_;
};

/// Noise of a tile, step after step. Leimkuhler and Matthews (2013): each normal serves two steps, and is made once.
class TileNoise {
 public:
  TileNoise(const LangevinSteps& steps, std::int64_t n_outputs, std::int64_t n_chains,
            const LargeLangevinKernels& kernels);

  /// Before the first step of a tile that starts at chain `begin` of the block.
  void start(std::int64_t begin, std::int64_t n_chains);
  /// Makes the normals of `panel` for `step`.
  void make(std::int64_t panel, std::uint64_t step);
  const float* xi(std::int64_t panel) const { return silent() ? nullptr : panels_[turned_].panel(panel); }
  const float* xi_next(std::int64_t panel) const {
    return silent() || !midpoint_ ? nullptr : panels_[!turned_].panel(panel);
  }
  float scale() const { return scale_; }
  /// After a step: the next normals become the present ones.
  void turn() { turned_ = midpoint_ && !turned_; }

 private:
  bool silent() const { return scale_ == 0.0f; }
  void draw(std::int64_t panel, std::uint64_t step, float* out);

  const LangevinSteps& steps_;
  const LargeLangevinKernels& kernels_;
  std::int64_t n_outputs_, begin_ = 0, n_chains_ = 0;
  bool midpoint_, turned_ = false;
  float scale_;
  Panels panels_[2];
};

inline int packs_of_panel(std::int64_t n_chains, std::int64_t panel) {
  return n_chains - panel * panel_lanes > 16 ? 2 : 1;
}

/// The bound on |x|^2: finite, so that infinity is beyond it.
inline float square_limit(float bound) {
  const float square = bound * bound;
  return square < std::numeric_limits<float>::max() ? square : std::numeric_limits<float>::max();
}

/// Notes the first bad step of lanes of `panel` of a tile that are in `escaped`.
void note_escaped(std::uint32_t escaped, std::int64_t panel, ChainRange chains, std::uint64_t step,
                  std::int64_t* first_bad_step);

}  // namespace tarn::cpu
