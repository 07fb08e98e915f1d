#include "hee_chains.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/noise.hpp"

namespace tarn::cpu {
namespace {

constexpr std::int64_t most_groups = 64;

// Row `k` of the chain in lane `row % 32` of its panel.
float* lane_of(Panels& panels, std::int64_t row) { return panels.panel(row / panel_lanes) + row % panel_lanes; }
const float* lane_of(const Panels& panels, std::int64_t row) {
  return panels.panel(row / panel_lanes) + row % panel_lanes;
}
void fill_lane(Panels& panels, std::int64_t row, float value) {
  if (panels.empty()) return;
  float* lane = lane_of(panels, row);
  for (std::int64_t k = 0; k < panels.stride(); k += panel_lanes) lane[k] = value;
}
bool lane_is_finite(const Panels& panels, std::int64_t row) {
  const float* lane = lane_of(panels, row);
  for (std::int64_t k = 0; k < panels.stride(); k += panel_lanes) {
    if (!std::isfinite(lane[k])) return false;
  }
  return true;
}

Matrix<float> rows_of(const Panels& panels, std::int64_t n_rows) {
  Matrix<float> rows(n_rows, panels.stride() / panel_lanes);
  panels.store(0, rows);
  return rows;
}

std::string name_of(const char* what, int l) { return fmt::format("{}.{}", what, l); }

const Matrix<float>* find(const HeeChainState& state, const char* what, int l) {
  const auto found = state.arrays.find(name_of(what, l));
  return found == state.arrays.end() ? nullptr : &found->second;
}

}  // namespace

HeePlan::HeePlan(std::int64_t n_rows)
    : tile_panels(std::clamp<std::int64_t>(n_rows / 512, 1, 4)),
      n_panels(panels_of(n_rows)),
      n_tiles((n_panels + tile_panels - 1) / tile_panels),
      n_groups(std::min(n_tiles, most_groups)) {}

void HeeChains::set_rows(const HeeRows& rows) {
  require(rows.n_data >= 0 && rows.chains_per_datum >= 1,
          "inference: needs data and one or more chains for each, found {} and {}", rows.n_data, rows.chains_per_datum);
  require(rows.first_chain + static_cast<std::uint64_t>(rows.n_rows()) <= max_chains,
          "inference: chain numbers must stay below 2^48, found {} chains from {} on", rows.n_rows(), rows.first_chain);
  const bool fits = rows.n_rows() == rows_.n_rows() && !x_[0].empty();
  rows_ = rows;
  first_bad_step_.assign(static_cast<std::size_t>(rows.n_rows()), -1);
  if (fits) {
    for (auto* arrays : {&x_, &e_, &v_}) {
      for (Panels& panels : *arrays) panels.clear();
    }
    return;
  }
  plan_ = HeePlan(rows.n_rows());
  for (int l = 0; l <= model_.L(); ++l) x_[at(l)] = Panels(rows.n_rows(), model_.size(l));
  e_.clear();
  v_.clear();
  per_unit_ = 0;
}

void HeeChains::set_e(std::int64_t per_unit) {
  if (per_unit == per_unit_) return;
  per_unit_ = per_unit;
  e_.clear();
  for (int l = 0; per_unit > 0 && l < model_.L(); ++l) e_.emplace_back(rows_.n_rows(), model_.size(l) * per_unit);
}

void HeeChains::set_v(int first_moving, bool is_momentum) {
  if (has_v() && first_moving == first_moving_ && is_momentum == v_is_momentum_) return;
  v_is_momentum_ = is_momentum;
  v_.clear();
  for (int l = 0; l <= model_.L(); ++l)
    v_.push_back(l < first_moving ? Panels() : Panels(rows_.n_rows(), model_.size(l)));
}

void HeeChains::prepare(const HeeDynamics& d) {
  const int first_moving = d.free_observation ? 0 : 1;
  set_e(d.interneurons == Interneurons::sampled ? d.per_unit : 0);
  const bool momentum = d.integrator == Integrator::baoab;
  if (momentum || d.adaptation_strength != 0.0f) {
    set_v(first_moving, momentum);
  } else {
    v_.clear();
  }
  first_moving_ = first_moving;
}

void HeeChains::set_observations(MatrixView<const float> x0) {
  require(x0.rows == rows_.n_data && x0.cols == model_.size(0), "observations must be [{}, {}], found [{}, {}]",
          rows_.n_data, model_.size(0), x0.rows, x0.cols);
  for (std::int64_t row = 0; row < rows_.n_rows(); ++row) {
    float* lane = lane_of(x_[0], row);
    const float* datum = x0.row(row / rows_.chains_per_datum);
    for (std::int64_t k = 0; k < x0.cols; ++k) lane[k * panel_lanes] = datum[k];
  }
}

void HeeChains::reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread) {
  prepare(dynamics);
  for (Panels& e : e_) e.clear();
  std::fill(first_bad_step_.begin(), first_bad_step_.end(), -1);
  const std::int64_t n_units = n_units_from(model_.parameters(), first_moving_);
  // In pieces of some chains, so that the normals need little room.
  constexpr std::int64_t piece = 256;
  Matrix<float> normals(std::min(piece, rows_.n_rows()), n_units);
  const auto start = [&](std::vector<Panels>& arrays, Stream stream, float scale, bool confined) {
    for (std::int64_t first = 0; first < rows_.n_rows(); first += piece) {
      const auto some = normals.view().slice(0, std::min(piece, rows_.n_rows() - first));
      fill_normals(seed, stream, rows_.first_chain + static_cast<std::uint64_t>(first), step, 1, some);
      for (std::int64_t i = 0; i < some.rows; ++i) {
        const float* from = some.row(i);
        const auto take = [&](int l) {
          float* lane = lane_of(arrays[at(l)], first + i);
          visit(model_.law(l), [&](const auto& law) {
            for (std::int64_t k = 0; k < model_.size(l); ++k) {
              const float value = scale * *from++;
              lane[k * panel_lanes] = confined ? law.confine(value) : value;
            }
          });
        };
        for (int l = 1; l <= model_.L(); ++l) take(l);
        if (first_moving_ == 0) take(0);
      }
    }
  };
  if (spread == 0.0f) {
    for (int l = first_moving_; l <= model_.L(); ++l) x_[at(l)].clear();
  } else {
    start(x_, Stream::initial_law, spread, true);
  }
  if (has_v() && v_is_momentum_) {
    start(v_, Stream::dynamics_second, 1.0f, false);
  } else {
    for (Panels& v : v_) v.clear();
  }
}

bool HeeChains::is_finite(std::int64_t row) const {
  return std::all_of(x_.begin(), x_.end(), [&](const Panels& x) { return lane_is_finite(x, row); });
}

void HeeChains::forget(std::int64_t row) {
  for (auto* arrays : {&e_, &v_}) {
    for (Panels& panels : *arrays) fill_lane(panels, row, 0.0f);
  }
}

void HeeChains::write(int l, MatrixView<const float> x) {
  require(l >= 0 && l <= model_.L() && x.rows == rows_.n_rows() && x.cols == model_.size(l),
          "state of layer {} must be [{}, {}], found [{}, {}]", l, rows_.n_rows(), model_.size(l), x.rows, x.cols);
  x_[at(l)].load(0, x);
  for (std::int64_t row = 0; row < rows_.n_rows(); ++row) {
    std::int64_t& bad = first_bad_step_[static_cast<std::size_t>(row)];
    if (bad < 0 || !is_finite(row)) continue;
    bad = -1;
    forget(row);
  }
}

void HeeChains::read(int l, MatrixView<float> x) const {
  require(l >= 0 && l <= model_.L() && x.rows == rows_.n_rows() && x.cols == model_.size(l),
          "state of layer {} is [{}, {}], it was asked for as [{}, {}]", l, rows_.n_rows(), model_.size(l), x.rows,
          x.cols);
  x_[at(l)].store(0, x);
}

HeeChainState HeeChains::state() const {
  HeeChainState state;
  const auto put = [&](const char* what, const std::vector<Panels>& arrays) {
    for (int l = 0; l < static_cast<int>(arrays.size()); ++l) {
      if (!arrays[at(l)].empty()) state.arrays[name_of(what, l)] = rows_of(arrays[at(l)], rows_.n_rows());
    }
  };
  put("x", x_);
  put("e", e_);
  put(v_is_momentum_ ? "momentum" : "adaptation", v_);
  state.first_bad_step = first_bad_step_;
  return state;
}

void HeeChains::restore(const HeeChainState& state) {
  const std::int64_t n = rows_.n_rows();
  require(static_cast<std::int64_t>(state.first_bad_step.size()) == n,
          "state of chains: {} first bad steps for {} chains", state.first_bad_step.size(), n);
  const auto take = [&](const char* what, int l, const Matrix<float>& from, Panels& to) {
    require(from.rows() == n && from.cols() == to.stride() / panel_lanes,
            "state of chains: {}.{} is [{}, {}], it should be [{}, {}]", what, l, from.rows(), from.cols(), n,
            to.stride() / panel_lanes);
    to.load(0, from);
  };
  const auto take_all = [&](const char* what, int first, int last, std::vector<Panels>& to) {
    for (int l = first; l <= last; ++l) {
      const Matrix<float>* from = find(state, what, l);
      require(from != nullptr, "state of chains: {}.{} is missing", what, l);
      take(what, l, *from, to[at(l)]);
    }
  };
  take_all("x", 0, model_.L(), x_);
  const Matrix<float>* e = find(state, "e", 0);
  set_e(e ? e->cols() / model_.size(0) : 0);
  if (e) take_all("e", 0, model_.L() - 1, e_);
  v_.clear();
  for (const char* what : {"momentum", "adaptation"}) {
    if (!find(state, what, model_.L())) continue;
    first_moving_ = find(state, what, 0) ? 0 : 1;
    set_v(first_moving_, what == std::string("momentum"));
    take_all(what, first_moving_, model_.L(), v_);
  }
  first_bad_step_ = state.first_bad_step;
}

std::uint32_t HeeChains::well(std::int64_t panel) const {
  std::uint32_t lanes = 0;
  for (std::int64_t i = 0; i < panel_lanes && panel * panel_lanes + i < rows_.n_rows(); ++i) {
    if (first_bad_step_[static_cast<std::size_t>(panel * panel_lanes + i)] < 0) lanes |= std::uint32_t{1} << i;
  }
  return lanes;
}

void HeeChains::quarantine(std::int64_t panel, std::uint32_t lanes, std::uint64_t step) {
  for (std::int64_t i = 0; i < panel_lanes; ++i) {
    if ((lanes >> i & 1) == 0) continue;
    const std::int64_t row = panel * panel_lanes + i;
    first_bad_step_[static_cast<std::size_t>(row)] = static_cast<std::int64_t>(step);
    for (int l = first_moving_; l <= model_.L(); ++l)
      fill_lane(x_[at(l)], row, std::numeric_limits<float>::quiet_NaN());
    for (auto* arrays : {&e_, &v_}) {
      for (Panels& panels : *arrays) fill_lane(panels, row, std::numeric_limits<float>::quiet_NaN());
    }
  }
}

}  // namespace tarn::cpu
