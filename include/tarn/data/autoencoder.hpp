// Autoencoders of dense layers as filters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tarn/core/nonlinearity.hpp"
#include "tarn/data/filter.hpp"

namespace tarn {

/// `h W^T + b`: `W` `[n_out, n_in]`, `b` `[n_out]`.
struct DenseLayer {
  Matrix<float> W;
  std::vector<float> b;
};

/// Two stacks of dense layers with a nonlinearity between layers, none at the code and none at the end:
///
///     encoder: h_0 = (x - mean) / scale,  h_l = phi(h_{l-1} W_l^T + b_l),  code y = h_{n-1} W_n^T + b_n
///     decoder: the same from y, and x = mean + scale times its last layer.
///
/// Fitted by `fit_autoencoder` (training/autoencoder.hpp).
class AutoencoderFilter final : public Filter {
 public:
  using Filter::apply, Filter::invert;
  /// `mean` `[P]`, `scale` > 0, `phi` relu or tanh. The first layer of the encoder takes P values, its last gives D; the
  /// decoder goes from D to P. Throws `Error` where sizes disagree or a value is not finite.
  AutoencoderFilter(std::vector<float> mean, double scale, Nonlinearity phi, std::vector<DenseLayer> encoder,
                    std::vector<DenseLayer> decoder);
  std::string kind() const override { return "autoencoder"; }
  std::int64_t n_inputs() const override { return static_cast<std::int64_t>(mean_.size()); }
  std::int64_t n_outputs() const override { return encoder_.back().W.rows(); }
  void apply(MatrixView<const float> in, MatrixView<float> out) const override;
  void invert(MatrixView<const float> in, MatrixView<float> out) const override;
  void to_tensors(TensorFile& file) const override;
  /// Throws `Error`.
  static AutoencoderFilter from_tensors(const TensorFile& file);

  const std::vector<DenseLayer>& encoder() const { return encoder_; }
  const std::vector<DenseLayer>& decoder() const { return decoder_; }
  const std::vector<float>& mean() const { return mean_; }
  double scale() const { return scale_; }
  Nonlinearity phi() const { return phi_; }

 private:
  std::vector<float> mean_;
  double scale_;
  Nonlinearity phi_;
  std::vector<DenseLayer> encoder_, decoder_;
};

}  // namespace tarn
