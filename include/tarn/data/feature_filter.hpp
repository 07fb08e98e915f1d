// Features that were computed elsewhere, with a linear way back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tarn/data/filter.hpp"

namespace tarn {

/// Back by `x = y B + b`. The way forward is not known here: features come from a file, one row for each datum, and
/// `apply` throws. The decoder is given (NPY) or fitted by `fit_linear_decoder` (training/linear_decoder.hpp).
class FeatureFilter final : public Filter {
 public:
  using Filter::apply, Filter::invert;
  /// `decoder` B `[D, P]`, `offset` b `[P]`. Throws `Error` where sizes disagree or a value is not finite.
  FeatureFilter(Matrix<float> decoder, std::vector<float> offset);
  std::string kind() const override { return "features"; }
  std::int64_t n_inputs() const override { return decoder_.cols(); }
  std::int64_t n_outputs() const override { return decoder_.rows(); }
  /// Always throws `Error`.
  void apply(MatrixView<const float> in, MatrixView<float> out) const override;
  void invert(MatrixView<const float> in, MatrixView<float> out) const override;
  void to_tensors(TensorFile& file) const override;
  /// Throws `Error`.
  static FeatureFilter from_tensors(const TensorFile& file);

  const Matrix<float>& decoder() const { return decoder_; }
  const std::vector<float>& offset() const { return offset_; }

 private:
  Matrix<float> decoder_;
  std::vector<float> offset_;
};

}  // namespace tarn
