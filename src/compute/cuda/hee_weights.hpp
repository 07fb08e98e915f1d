// A hierarchical model in device memory: families, weights, biases, and what the local rule remembers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "context.hpp"
#include "hee_law.hpp"
#include "memory.hpp"
#include "tarn/compute/hee.hpp"

namespace tarn::cuda {

/// Rows and columns on the device are padded with zeros to multiples of 4, so that products find every row on 16 bytes.
constexpr std::int64_t hee_padded(std::int64_t n) { return (n + 3) / 4 * 4; }

/// Sums over chain-steps, as the steps of inference leave them on the device.
struct HeeDeviceSums {
  std::vector<DeviceBuffer<float>> W;  ///< l = 1..L at [l - 1]: of `error_{l-1}^T f(x_l)`, shaped as the weights
  std::vector<DeviceBuffer<float>> b;  ///< l = 0..L: of the errors; at [L] of T(x_L)
};

class HeeWeights {
 public:
  /// Throws `Error` for parameters that do not fit together, and where memory is short.
  HeeWeights(const HeeParameters& initial, const HeeOptimizer& optimizer, Context& context);

  int L() const { return host_.n_latent_layers(); }
  std::int64_t size(int l) const { return host_.layers[at(l)].size; }
  std::int64_t stride(int l) const { return hee_padded(size(l)); }
  const HeeLaw& law(int l) const { return laws_[at(l)]; }
  const HeeLayer& layer(int l) const { return host_.layers[at(l)]; }
  const HeeOptimizer& optimizer() const { return optimizer_; }
  /// Throws `Error` where they are out of range.
  void set_family_parameters(int l, const FamilyParameters& parameters);

  const float* W(int l) const { return W_[at(l - 1)].values.data(); }  ///< `[stride(l - 1), stride(l)]`
  const float* b(int l) const { return b_[at(l)].values.data(); }      ///< `[stride(l)]`
  const float* top_eta() const { return top_eta_.data(); }             ///< `[stride(L)]`

  /// Sizes, families and nonlinearities; its weights may be old.
  const HeeParameters& shape() const { return host_; }
  /// The parameters on the host; waits for the device where they changed.
  const HeeParameters& parameters() const;
  /// Room for sums, all zero.
  HeeDeviceSums make_sums() const;
  /// Sums of one layer on the host: `[n_{l-1}, n_l]` and `[1, n_l]`. Wait.
  Matrix<float> sums_of_W(const HeeDeviceSums& sums, int l) const;
  Matrix<float> sums_of_b(const HeeDeviceSums& sums, int l) const;
  /// The top bias' direction of ascent `(<T(x_L)> - A'(eta_L)) g'(b_L)`, from the sums of T(x_L).
  std::vector<double> top_gradient(const Matrix<float>& sums, std::int64_t n_samples) const;

  /// One step of the rule. `scales` `[L + 1]`: the plain rule's step size for each layer's errors; `variances` `[L]`: of f(x_l).
  void learn(HeeDeviceSums& sums, std::int64_t n_samples, std::span<const double> learning_rates,
             std::span<const double> scales, std::span<const double> variances);

  TrainingState state() const;
  void restore(const TrainingState& state);

 private:
  /// An array of parameters with its moments, `[rows, stride]` on the device.
  struct Array {
    std::int64_t rows = 0, cols = 0, padded_rows = 0, stride = 0;
    DeviceBuffer<float> values, first, second, largest;
  };
  static std::size_t at(int l) { return static_cast<std::size_t>(l); }
  Array make_array(const Matrix<float>& values, std::int64_t padded_rows) const;
  void upload(const Matrix<float>& from, const Array& shape, DeviceBuffer<float>& to) const;
  Matrix<float> download(const Array& shape, const DeviceBuffer<float>& from) const;
  void top_changed();
  void step(Array& array, const DeviceBuffer<float>& sums, float share, double learning_rate, double plain);
  template <class Self, class F>
  static void each_array(Self& self, F&& f);

  Context& context_;
  HeeOptimizer optimizer_;
  std::vector<HeeLaw> laws_;
  std::vector<Array> W_, b_;
  DeviceBuffer<float> top_eta_;
  std::int64_t n_updates_ = 0;
  mutable HeeParameters host_;
  mutable bool host_is_old_ = false;
};

}  // namespace tarn::cuda
