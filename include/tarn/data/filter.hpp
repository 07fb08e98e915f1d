// Filters: maps from data to the space that networks learn in, and back. Fitted elsewhere (training/), stored with the
// run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {

/// A fitted map `[n, n_inputs] -> [n, n_outputs]` and its (approximate) inverse.
class Filter {
 public:
  virtual ~Filter() = default;
  /// "none", "pca", "sparse_code", "autoencoder", "features".
  virtual std::string kind() const = 0;
  virtual std::int64_t n_inputs() const = 0;   ///< P
  virtual std::int64_t n_outputs() const = 0;  ///< D
  /// `in` `[n, P]` to `out` `[n, D]`; no overlap. Throws `Error` where shapes disagree, and for "features". The result
  /// does not depend on the number of threads.
  virtual void apply(MatrixView<const float> in, MatrixView<float> out) const = 0;
  /// `in` `[n, D]` to `out` `[n, P]`, likewise.
  virtual void invert(MatrixView<const float> in, MatrixView<float> out) const = 0;
  /// Adds the filter to a file, under keys "filter.*".
  virtual void to_tensors(TensorFile& file) const = 0;

  Matrix<float> apply(MatrixView<const float> in) const;
  Matrix<float> invert(MatrixView<const float> in) const;
};

/// The filter that `to_tensors` stored. Throws `Error` for unknown kinds and for tensors that are missing or do not
/// fit.
std::unique_ptr<Filter> filter_from_tensors(const TensorFile& file);

/// Changes nothing.
class IdentityFilter final : public Filter {
 public:
  using Filter::apply, Filter::invert;
  /// Throws `Error` unless `n_features` > 0.
  explicit IdentityFilter(std::int64_t n_features);
  std::string kind() const override { return "none"; }
  std::int64_t n_inputs() const override { return n_features_; }
  std::int64_t n_outputs() const override { return n_features_; }
  void apply(MatrixView<const float> in, MatrixView<float> out) const override;
  void invert(MatrixView<const float> in, MatrixView<float> out) const override;
  void to_tensors(TensorFile& file) const override;

 private:
  std::int64_t n_features_;
};

/// Principal components: `y = (x - mean) V`, back `x = y V^T + mean`. Fitted by `fit_pca` (training/pca.hpp).
class PcaFilter final : public Filter {
 public:
  using Filter::apply, Filter::invert;
  /// `mean` `[P]`, `V` `[P, D]` with orthonormal columns, `variances` `[D]` along them in falling order,
  /// `total_variance` of the data. Throws `Error` where shapes disagree or a value is not finite.
  PcaFilter(std::vector<float> mean, Matrix<float> V, std::vector<double> variances, double total_variance);
  std::string kind() const override { return "pca"; }
  std::int64_t n_inputs() const override { return V_.rows(); }
  std::int64_t n_outputs() const override { return V_.cols(); }
  void apply(MatrixView<const float> in, MatrixView<float> out) const override;
  void invert(MatrixView<const float> in, MatrixView<float> out) const override;
  void to_tensors(TensorFile& file) const override;

  const std::vector<float>& mean() const { return mean_; }
  const Matrix<float>& V() const { return V_; }
  /// Variance of the data along each component `[D]`, and of all features together.
  const std::vector<double>& variances() const { return variances_; }
  double total_variance() const { return total_variance_; }
  /// Share of the total variance that the components hold, 0 to 1.
  double explained_variance_ratio() const;

 private:
  std::vector<float> mean_;
  Matrix<float> V_;
  Matrix<float> V_transposed_;
  std::vector<double> variances_;
  double total_variance_;
};

}  // namespace tarn
