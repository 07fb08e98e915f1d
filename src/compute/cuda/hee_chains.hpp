// Chains of a hierarchical model in device memory. A chain that is lost is 0 in all its state there, since a NaN would reach sums over chains,
// and NaN wherever it is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hee_rows.hpp"
#include "hee_weights.hpp"

namespace tarn::cuda {

class HeeDeviceChains {
 public:
  HeeDeviceChains(const HeeWeights& weights, Context& context) : weights_(weights), context_(context) {}

  void set_rows(const HeeRows& rows);
  const HeeRows& rows() const { return rows_; }
  std::int64_t n_rows() const { return rows_.n_rows(); }
  /// Makes room for interneurons, momentum and adaptation as `dynamics` has them, from zero where they are new. Whether anything moved.
  bool prepare(const HeeDynamics& dynamics);
  int first_moving() const { return first_moving_; }

  void set_observations(MatrixView<const float> x0);
  void reset(const HeeDynamics& dynamics, std::uint64_t seed, std::uint64_t step, float spread);
  void write(int l, MatrixView<const float> x);
  void read(int l, MatrixView<float> x);
  HeeChainState state();
  void restore(const HeeChainState& state);

  float* x(int l) { return x_[at(l)].data(); }    ///< `[n_rows, stride(l)]`
  float* fx(int l) { return fx_[at(l)].data(); }  ///< null where f is the identity
  /// What the layer below is driven by: f(x) or x.
  const float* drive(int l) { return fx_[at(l)].empty() ? x(l) : fx(l); }
  float* e(int l) { return e_.empty() ? nullptr : e_[at(l)].data(); }  ///< `[n_rows, e_stride(l)]`
  std::int64_t e_stride(int l) const { return hee_padded(weights_.size(l) * per_unit_); }
  float* v(int l) { return v_.empty() ? nullptr : v_[at(l)].data(); }
  int* bad() { return bad_.data(); }
  std::int64_t* first_bad_step() { return first_bad_step_.data(); }

  /// Before a call: f(x), and chains that were given numbers that are not finite are found.
  void begin(const HeeClock* clock);
  /// Chains marked in `bad` are lost from this step on.
  void quarantine(const HeeClock* clock, std::uint64_t step_offset, StreamHandle stream);
  /// First bad steps on the host; waits.
  const std::vector<std::int64_t>& known_bad_steps();
  /// They may have changed on the device.
  void ran() { bad_steps_are_old_ = true; }
  /// Puts NaN into the rows of chains that are lost.
  void mark_lost(MatrixView<float> values);

 private:
  static std::size_t at(int l) { return static_cast<std::size_t>(l); }
  DeviceBuffer<float> zeros(std::int64_t n) const;
  void put(MatrixView<const float> from, std::int64_t stride, DeviceBuffer<float>& to) const;
  Matrix<float> take(const DeviceBuffer<float>& from, std::int64_t cols, std::int64_t stride) const;
  void set_v(int first_moving, bool is_momentum);
  void upload_bad_steps();
  void forget_row(std::int64_t row);
  template <class F>
  void each_array(F&& f);

  const HeeWeights& weights_;
  Context& context_;
  HeeRows rows_;
  int first_moving_ = 1;
  bool v_is_momentum_ = false;
  std::int64_t per_unit_ = 0;  ///< 0: no interneurons
  std::vector<DeviceBuffer<float>> x_, fx_, e_, v_;
  DeviceBuffer<int> bad_;
  DeviceBuffer<std::int64_t> first_bad_step_;
  std::vector<std::int64_t> bad_steps_;
  bool bad_steps_are_old_ = false;
  std::vector<std::vector<bool>> given_;  ///< `[layer][row]`: a lost chain was given new numbers there
};

}  // namespace tarn::cuda
