// The chains of a session: their state in panels, who is well, and how they are cut into pieces of work.
#pragma once

#include <cstdint>
#include <vector>

#include "hee_model.hpp"
#include "large_tile.hpp"

namespace tarn::cpu {

/// How the rows are cut. Tiles run through a call on their own; a group is a run of tiles, one after the other, whose statistics go to
/// one sum. Both depend on the number of rows alone, so that sums have one order whatever the number of threads.
struct HeePlan {
  HeePlan() = default;
  explicit HeePlan(std::int64_t n_rows);

  std::int64_t tile_panels = 1, n_panels = 0, n_tiles = 0, n_groups = 0;
  /// Tiles `group_begin(g)` to `group_begin(g + 1)`.
  std::int64_t group_begin(std::int64_t g) const { return g * n_tiles / n_groups; }
};

class HeeChains {
 public:
  explicit HeeChains(const HeeModel& model) : model_(model), x_(static_cast<std::size_t>(model.L() + 1)) {}

  void set_rows(const HeeRows& rows);
  const HeeRows& rows() const { return rows_; }
  const HeePlan& plan() const { return plan_; }
  /// Makes room for interneurons, momentum and adaptation as `dynamics` has them, from zero where they are new.
  void prepare(const HeeDynamics& dynamics);

  Panels& x(int l) { return x_[static_cast<std::size_t>(l)]; }
  const Panels& x(int l) const { return x_[static_cast<std::size_t>(l)]; }
  Panels& e(int l) { return e_[static_cast<std::size_t>(l)]; }  ///< `[n_l * per_unit]` rows; l < L
  Panels& v(int l) { return v_[static_cast<std::size_t>(l)]; }  ///< of layers from `first_moving()` on
  bool has_v() const { return !v_.empty(); }
  int first_moving() const { return first_moving_; }  ///< 0 where the observation moves, else 1

  void set_observations(MatrixView<const float> x0);
  void reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread);
  void write(int l, MatrixView<const float> x);
  void read(int l, MatrixView<float> x) const;
  HeeChainState state() const;
  void restore(const HeeChainState& state);

  const std::vector<std::int64_t>& first_bad_step() const { return first_bad_step_; }
  /// Lanes of a panel that hold chains which are well, as bits.
  std::uint32_t well(std::int64_t panel) const;
  /// Silences lanes of a panel: NaN in all their state.
  void quarantine(std::int64_t panel, std::uint32_t lanes, std::uint64_t step);

 private:
  static std::size_t at(int l) { return static_cast<std::size_t>(l); }
  bool is_finite(std::int64_t row) const;
  void forget(std::int64_t row);  ///< e and v of a chain: zero
  void set_v(int first_moving, bool is_momentum);
  void set_e(std::int64_t per_unit);

  const HeeModel& model_;
  HeeRows rows_;
  HeePlan plan_;
  int first_moving_ = 1;
  bool v_is_momentum_ = false;
  std::int64_t per_unit_ = 0;  ///< 0: no interneurons
  std::vector<Panels> x_, e_, v_;
  std::vector<std::int64_t> first_bad_step_;
};

}  // namespace tarn::cpu
