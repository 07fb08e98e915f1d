#include "hee_chains.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/noise.hpp"

namespace tarn::cuda {
namespace {

std::string name_of(const char* what, int l) { return fmt::format("{}.{}", what, l); }

const Matrix<float>* find(const HeeChainState& state, const char* what, int l) {
  const auto found = state.arrays.find(name_of(what, l));
  return found == state.arrays.end() ? nullptr : &found->second;
}

bool is_finite(const float* row, std::int64_t n) {
  return std::all_of(row, row + n, [](float value) { return std::isfinite(value); });
}

}  // namespace

DeviceBuffer<float> HeeDeviceChains::zeros(std::int64_t n) const {
  DeviceBuffer<float> buffer(n);
  zero_async(buffer.data(), n, context_.stream.handle());
  return buffer;
}

void HeeDeviceChains::put(MatrixView<const float> from, std::int64_t stride, DeviceBuffer<float>& to) const {
  std::vector<float> padded(static_cast<std::size_t>(from.rows * stride), 0.0f);
  for (std::int64_t i = 0; i < from.rows; ++i) std::copy_n(from.row(i), from.cols, padded.data() + i * stride);
  copy_async(to.data(), std::as_const(padded).data(), from.rows * stride, context_.stream.handle());
  context_.stream.synchronize();  // `padded` goes
}

Matrix<float> HeeDeviceChains::take(const DeviceBuffer<float>& from, std::int64_t cols, std::int64_t stride) const {
  std::vector<float> padded(static_cast<std::size_t>(from.size()));
  copy_async(padded.data(), from.data(), from.size(), context_.stream.handle());
  context_.stream.synchronize();
  Matrix<float> to(n_rows(), cols);
  for (std::int64_t i = 0; i < to.rows(); ++i) std::copy_n(padded.data() + i * stride, cols, to.row(i));
  return to;
}

// Calls `f(array, stride)` for each array of a chain's state, f(x) among them, but for an observation that is held.
template <class F>
void HeeDeviceChains::each_array(F&& f) {
  for (int l = 0; l <= weights_.L(); ++l) {
    if (l >= first_moving_) f(x_[at(l)], weights_.stride(l));
    if (!fx_[at(l)].empty()) f(fx_[at(l)], weights_.stride(l));
    if (!e_.empty() && l < weights_.L()) f(e_[at(l)], e_stride(l));
    if (!v_.empty() && l >= first_moving_) f(v_[at(l)], weights_.stride(l));
  }
}

void HeeDeviceChains::set_rows(const HeeRows& rows) {
  require(rows.n_data >= 0 && rows.chains_per_datum >= 1,
          "inference: needs data and one or more chains for each, found {} and {}", rows.n_data, rows.chains_per_datum);
  require(rows.first_chain + static_cast<std::uint64_t>(rows.n_rows()) <= max_chains,
          "inference: chain numbers must stay below 2^48, found {} chains from {} on", rows.n_rows(), rows.first_chain);
  const bool fits = rows.n_rows() == rows_.n_rows() && !x_.empty();
  rows_ = rows;
  if (fits) {
    for (auto* arrays : {&x_, &fx_, &e_, &v_}) {
      for (DeviceBuffer<float>& array : *arrays) zero_async(array.data(), array.size(), context_.stream.handle());
    }
  } else {
    for (auto* arrays : {&x_, &fx_, &e_, &v_}) arrays->clear();
    per_unit_ = 0;
    for (int l = 0; l <= weights_.L(); ++l) {
      const std::int64_t n = n_rows() * weights_.stride(l);
      x_.push_back(zeros(n));
      fx_.push_back(zeros(weights_.layer(l).nonlinearity ? n : 0));
    }
    bad_ = DeviceBuffer<int>(n_rows());
    first_bad_step_ = DeviceBuffer<std::int64_t>(n_rows());
  }
  zero_async(bad_.data(), bad_.size(), context_.stream.handle());
  bad_steps_.assign(static_cast<std::size_t>(n_rows()), -1);
  upload_bad_steps();
}

void HeeDeviceChains::upload_bad_steps() {
  copy_async(first_bad_step_.data(), std::as_const(bad_steps_).data(), n_rows(), context_.stream.handle());
  context_.stream.synchronize();
  bad_steps_are_old_ = false;
  given_.assign(at(weights_.L() + 1), std::vector<bool>(static_cast<std::size_t>(n_rows()), false));
}

const std::vector<std::int64_t>& HeeDeviceChains::known_bad_steps() {
  if (bad_steps_are_old_) {
    copy_async(bad_steps_.data(), std::as_const(first_bad_step_).data(), n_rows(), context_.stream.handle());
    context_.stream.synchronize();
    bad_steps_are_old_ = false;
  }
  return bad_steps_;
}

void HeeDeviceChains::mark_lost(MatrixView<float> values) {
  const auto& bad = known_bad_steps();
  for (std::int64_t row = 0; row < values.rows; ++row) {
    if (bad[static_cast<std::size_t>(row)] >= 0)
      std::fill_n(values.row(row), values.cols, std::numeric_limits<float>::quiet_NaN());
  }
}

void HeeDeviceChains::set_v(int first_moving, bool is_momentum) {
  v_is_momentum_ = is_momentum;
  v_.clear();
  for (int l = 0; l <= weights_.L(); ++l)
    v_.push_back(l < first_moving ? DeviceBuffer<float>() : zeros(n_rows() * weights_.stride(l)));
}

bool HeeDeviceChains::prepare(const HeeDynamics& d) {
  const int first_moving = d.free_observation ? 0 : 1;
  const std::int64_t per_unit = d.interneurons == Interneurons::sampled ? d.per_unit : 0;
  const bool momentum = d.integrator == Integrator::baoab, wants_v = momentum || d.adaptation_strength != 0.0f;
  const bool has_v = !v_.empty();
  const bool keeps_v = has_v && first_moving == first_moving_ && momentum == v_is_momentum_;
  const bool moves =
      per_unit != per_unit_ || wants_v != has_v || (wants_v && !keeps_v) || first_moving != first_moving_;
  if (per_unit != per_unit_) {
    per_unit_ = per_unit;
    e_.clear();
    for (int l = 0; per_unit > 0 && l < weights_.L(); ++l) e_.push_back(zeros(n_rows() * e_stride(l)));
  }
  if (wants_v && !keeps_v) set_v(first_moving, momentum);
  if (!wants_v) v_.clear();
  first_moving_ = first_moving;
  return moves;
}

void HeeDeviceChains::set_observations(MatrixView<const float> x0) {
  require(x0.rows == rows_.n_data && x0.cols == weights_.size(0), "observations must be [{}, {}], found [{}, {}]",
          rows_.n_data, weights_.size(0), x0.rows, x0.cols);
  if (rows_.chains_per_datum == 1) return put(x0, weights_.stride(0), x_[0]);
  Matrix<float> rows(n_rows(), x0.cols);
  for (std::int64_t row = 0; row < n_rows(); ++row)
    std::copy_n(x0.row(row / rows_.chains_per_datum), x0.cols, rows.row(row));
  put(rows, weights_.stride(0), x_[0]);
}

void HeeDeviceChains::reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread) {
  prepare(dynamics);
  for (DeviceBuffer<float>& e : e_) zero_async(e.data(), e.size(), context_.stream.handle());
  std::fill(bad_steps_.begin(), bad_steps_.end(), -1);
  upload_bad_steps();
  zero_async(bad_.data(), bad_.size(), context_.stream.handle());
  const std::int64_t n_units = n_units_from(weights_.shape(), first_moving_);
  const auto start = [&](std::vector<DeviceBuffer<float>>& arrays, Stream stream, float scale, bool confined) {
    Matrix<float> normals(n_rows(), n_units);
    fill_normals(seed, stream, rows_.first_chain, step, 1, normals);
    std::int64_t column = 0;
    const auto take_layer = [&](int l) {
      Matrix<float> values(n_rows(), weights_.size(l));
      std::visit(
          [&](const auto& law) {
            for (std::int64_t i = 0; i < values.rows(); ++i) {
              for (std::int64_t k = 0; k < values.cols(); ++k) {
                const float value = scale * normals(i, column + k);
                values(i, k) = confined ? law.confine(value) : value;
              }
            }
          },
          weights_.law(l));
      column += weights_.size(l);
      put(values, weights_.stride(l), arrays[at(l)]);
    };
    for (int l = 1; l <= weights_.L(); ++l) take_layer(l);
    if (first_moving_ == 0) take_layer(0);
  };
  if (spread == 0.0f) {
    for (int l = first_moving_; l <= weights_.L(); ++l)
      zero_async(x_[at(l)].data(), x_[at(l)].size(), context_.stream.handle());
  } else {
    start(x_, Stream::initial_law, spread, true);
  }
  if (!v_.empty() && v_is_momentum_) {
    start(v_, Stream::dynamics_second, 1.0f, false);
  } else {
    for (DeviceBuffer<float>& v : v_) zero_async(v.data(), v.size(), context_.stream.handle());
  }
}

void HeeDeviceChains::forget_row(std::int64_t row) {
  each_array([&](DeviceBuffer<float>& array, std::int64_t stride) {
    const auto is = [&](const std::vector<DeviceBuffer<float>>& arrays) {
      return std::any_of(arrays.begin(), arrays.end(), [&](const auto& other) { return &other == &array; });
    };
    if (is(e_) || is(v_)) zero_async(array.data() + row * stride, stride, context_.stream.handle());
  });
}

void HeeDeviceChains::write(int l, MatrixView<const float> x) {
  require(l >= 0 && l <= weights_.L() && x.rows == n_rows() && x.cols == weights_.size(l),
          "state of layer {} must be [{}, {}], found [{}, {}]", l, n_rows(),
          l >= 0 && l <= weights_.L() ? weights_.size(l) : 0, x.rows, x.cols);
  known_bad_steps();
  Matrix<float> values(x.rows, x.cols);
  bool revived = false;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const auto r = static_cast<std::size_t>(row);
    const bool finite = is_finite(x.row(row), x.cols);
    if (finite || bad_steps_[r] < 0) std::copy_n(x.row(row), x.cols, values.row(row));
    if (bad_steps_[r] < 0) continue;
    given_[at(l)][r] = finite;
    bool whole = true;
    for (int k = first_moving_; k <= weights_.L(); ++k) whole = whole && given_[at(k)][r];
    if (!whole) continue;
    bad_steps_[r] = -1;
    for (auto& layer : given_) layer[r] = false;
    forget_row(row);
    revived = true;
  }
  put(values, weights_.stride(l), x_[at(l)]);
  if (!revived) return;
  const auto given = given_;
  upload_bad_steps();
  given_ = given;
}

void HeeDeviceChains::read(int l, MatrixView<float> x) {
  require(l >= 0 && l <= weights_.L() && x.rows == n_rows() && x.cols == weights_.size(l),
          "state of layer {} is [{}, {}], it was asked for as [{}, {}]", l, n_rows(),
          l >= 0 && l <= weights_.L() ? weights_.size(l) : 0, x.rows, x.cols);
  const Matrix<float> values = take(x_[at(l)], x.cols, weights_.stride(l));
  std::copy_n(values.data(), values.size(), x.data);
  if (l < first_moving_) return;
  known_bad_steps();
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const auto r = static_cast<std::size_t>(row);
    if (bad_steps_[r] >= 0 && !given_[at(l)][r])
      std::fill_n(x.row(row), x.cols, std::numeric_limits<float>::quiet_NaN());
  }
}

HeeChainState HeeDeviceChains::state() {
  HeeChainState state;
  for (int l = 0; l <= weights_.L(); ++l) {
    Matrix<float>& x = state.arrays[name_of("x", l)] = Matrix<float>(n_rows(), weights_.size(l));
    read(l, x);
    const auto put_one = [&](const char* what, const DeviceBuffer<float>& array, std::int64_t cols,
                             std::int64_t stride) {
      Matrix<float> values = take(array, cols, stride);
      mark_lost(values);
      state.arrays[name_of(what, l)] = std::move(values);
    };
    if (!e_.empty() && l < weights_.L()) put_one("e", e_[at(l)], weights_.size(l) * per_unit_, e_stride(l));
    if (!v_.empty() && l >= first_moving_)
      put_one(v_is_momentum_ ? "momentum" : "adaptation", v_[at(l)], weights_.size(l), weights_.stride(l));
  }
  state.first_bad_step = known_bad_steps();
  return state;
}

void HeeDeviceChains::restore(const HeeChainState& state) {
  require(static_cast<std::int64_t>(state.first_bad_step.size()) == n_rows(),
          "state of chains: {} first bad steps for {} chains", state.first_bad_step.size(), n_rows());
  const auto put_one = [&](const char* what, int l, std::int64_t cols, std::int64_t stride, DeviceBuffer<float>& to) {
    const Matrix<float>* from = find(state, what, l);
    require(from != nullptr, "state of chains: {}.{} is missing", what, l);
    require(from->rows() == n_rows() && from->cols() == cols,
            "state of chains: {}.{} is [{}, {}], it should be [{}, {}]", what, l, from->rows(), from->cols(), n_rows(),
            cols);
    Matrix<float> values = *from;
    for (std::int64_t row = 0; row < n_rows(); ++row) {
      if (state.first_bad_step[static_cast<std::size_t>(row)] >= 0 && !is_finite(values.row(row), cols))
        std::fill_n(values.row(row), cols, 0.0f);
    }
    put(values, stride, to);
  };
  const Matrix<float>* e = find(state, "e", 0);
  const bool has_momentum = find(state, "momentum", weights_.L()),
             has_adaptation = find(state, "adaptation", weights_.L());
  HeeDynamics like;  // with such a state
  const char* const v_name = has_momentum ? "momentum" : "adaptation";
  like.interneurons = e ? Interneurons::sampled : Interneurons::exact;
  like.per_unit = e ? static_cast<int>(e->cols() / weights_.size(0)) : 1;
  like.integrator = has_momentum ? Integrator::baoab : Integrator::euler_maruyama;
  like.adaptation_strength = has_adaptation ? 1.0f : 0.0f;
  const bool has_v = has_momentum || has_adaptation;
  like.free_observation = has_v ? find(state, v_name, 0) != nullptr : first_moving_ == 0;
  prepare(like);
  for (int l = 0; l <= weights_.L(); ++l) {
    put_one("x", l, weights_.size(l), weights_.stride(l), x_[at(l)]);
    if (!e_.empty() && l < weights_.L()) put_one("e", l, weights_.size(l) * per_unit_, e_stride(l), e_[at(l)]);
    if (has_v && l >= first_moving_) put_one(v_name, l, weights_.size(l), weights_.stride(l), v_[at(l)]);
  }
  bad_steps_ = state.first_bad_step;
  upload_bad_steps();
  for (int l = 0; l <= weights_.L(); ++l) {
    const Matrix<float>& x = *find(state, "x", l);
    for (std::int64_t row = 0; row < n_rows(); ++row) {
      const auto r = static_cast<std::size_t>(row);
      given_[at(l)][r] = bad_steps_[r] >= 0 && is_finite(x.row(row), x.cols());
    }
  }
}

void HeeDeviceChains::begin(const HeeClock* clock) {
  const StreamHandle stream = context_.stream.handle();
  for (int l = 0; l <= weights_.L(); ++l)
    launch_hee_check(x(l), n_rows(), weights_.size(l), weights_.stride(l), bad(), stream);
  quarantine(clock, 0, stream);
  for (int l = 1; l <= weights_.L(); ++l) {
    if (const auto& f = weights_.layer(l).nonlinearity)
      launch_hee_activate(*f, x(l), n_rows(), weights_.size(l), weights_.stride(l), fx(l), stream);
  }
}

void HeeDeviceChains::quarantine(const HeeClock* clock, std::uint64_t step_offset, StreamHandle stream) {
  std::vector<HeeArrays> parts(1);
  each_array([&](DeviceBuffer<float>& array, std::int64_t stride) {
    if (parts.back().n == HeeArrays::most) parts.emplace_back();
    HeeArrays& part = parts.back();
    part.data[static_cast<std::size_t>(part.n)] = array.data();
    part.stride[static_cast<std::size_t>(part.n++)] = stride;
  });
  for (std::size_t i = 0; i < parts.size(); ++i)
    launch_hee_quarantine(parts[i], n_rows(), bad(), first_bad_step(), i + 1 == parts.size(), clock, step_offset,
                          stream);
}

}  // namespace tarn::cuda
