// Two scalings: of each datum before the filter, and of the filter's outputs to the size that networks learn well at.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tarn/core/affine_scaling.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/target.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {

enum class DatumScalingKind : std::uint8_t { none, unit_norm, divide_255, standardise };

/// "none", "unit_norm", "divide_255", "standardise".
std::string_view name_of(DatumScalingKind kind);
/// Throws `UsageError` naming the allowed values.
DatumScalingKind parse_datum_scaling_kind(std::string_view name);

/// What is done to every datum before it is filtered; stored with the run.
/// none; unit_norm: each row over its Euclidean norm; divide_255; standardise: each feature less its mean, over its
/// standard deviation.
struct DatumScaling {
  DatumScalingKind kind = DatumScalingKind::none;
  std::vector<float> mean;                ///< `[P]`, standardise only
  std::vector<float> standard_deviation;  ///< `[P]`, standardise only; 1 for constant features

  /// Scales rows `[n, P]` in place. Throws `Error` for a row of zeros under unit_norm (naming it), and where P differs.
  void apply(MatrixView<float> x) const;
  /// Back to the data's own units; unit_norm keeps no norms, so its inverse changes nothing.
  void invert(MatrixView<float> x) const;
  /// Whether `invert` gives back the data's own units. Images that cannot be inverted are shown scaled by their own
  /// max.
  bool is_invertible() const { return kind != DatumScalingKind::unit_norm; }

  /// Keys "datum_scaling.*".
  void to_tensors(TensorFile& file) const;
  /// Throws `Error` where keys are missing or do not fit.
  static DatumScaling from_tensors(const TensorFile& file);
  bool operator==(const DatumScaling&) const = default;
};

/// The scaling of this kind, fitted to rows `[n, P]` where it has something to fit.
DatumScaling fit_datum_scaling(DatumScalingKind kind, MatrixView<const float> x);

/// "auto" in filter space: shift = mean, scale = sqrt(mean |x - mean|^2), so that scaled data have mean 0 and RMS
/// norm 1. Throws `Error` where there are no rows or all are the same.
AffineScaling fit_affine_scaling(MatrixView<const float> x);
/// The same from the exact mean and variance of a law.
AffineScaling exact_affine_scaling(const Target& target);

/// `x = (x - shift) / scale` on the first D columns of `x` in place, D the size of the shift (all columns where it is
/// empty).
void apply_scaling(const AffineScaling& scaling, MatrixView<float> x);
/// `x = x scale + shift`, likewise.
void invert_scaling(const AffineScaling& scaling, MatrixView<float> x);

}  // namespace tarn
