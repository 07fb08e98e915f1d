#include "tarn/data/filter.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/data/autoencoder.hpp"
#include "tarn/data/feature_filter.hpp"
#include "tarn/data/sparse_code.hpp"
#include "tile_product.hpp"

namespace tarn {

Matrix<float> Filter::apply(MatrixView<const float> in) const {
  Matrix<float> out(in.rows, n_outputs());
  apply(in, out.view());
  return out;
}

Matrix<float> Filter::invert(MatrixView<const float> in) const {
  Matrix<float> out(in.rows, n_inputs());
  invert(in, out.view());
  return out;
}

std::unique_ptr<Filter> filter_from_tensors(const TensorFile& file) {
  const auto& kind = file.metadata_at("filter.kind");
  if (kind == "none") {
    const auto n = file.values<std::int64_t>("filter.n_features", 1).front();
    require(n > 0, "{}: filter.n_features is {}; it must be positive", file.source, n);
    return std::make_unique<IdentityFilter>(n);
  }
  if (kind == "pca") {
    auto mean = file.vector("filter.mean");
    auto V = file.matrix("filter.V", static_cast<std::int64_t>(mean.size()));
    auto variances = file.values<double>("filter.variances", V.cols());
    const double total = file.values<double>("filter.total_variance", 1).front();
    return std::make_unique<PcaFilter>(std::move(mean), std::move(V), std::move(variances), total);
  }
  if (kind == "sparse_code") return std::make_unique<SparseCodeFilter>(SparseCodeFilter::from_tensors(file));
  if (kind == "autoencoder") return std::make_unique<AutoencoderFilter>(AutoencoderFilter::from_tensors(file));
  if (kind == "features") return std::make_unique<FeatureFilter>(FeatureFilter::from_tensors(file));
  fail("{}: unknown filter \"{}\"; allowed are none, pca, sparse_code, autoencoder, features", file.source, kind);
}

IdentityFilter::IdentityFilter(std::int64_t n_features) : n_features_(n_features) {
  require(n_features > 0, "a filter needs at least one feature, found {}", n_features);
}

void IdentityFilter::apply(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_features_, n_features_);
  std::copy_n(in.data, in.size(), out.data);
}

void IdentityFilter::invert(MatrixView<const float> in, MatrixView<float> out) const { apply(in, out); }

void IdentityFilter::to_tensors(TensorFile& file) const {
  file.metadata["filter.kind"] = kind();
  file.put_vector("filter.n_features", std::vector<std::int64_t>{n_features_});
}

PcaFilter::PcaFilter(std::vector<float> mean, Matrix<float> V, std::vector<double> variances, double total_variance)
    : mean_(std::move(mean)), V_(std::move(V)), variances_(std::move(variances)), total_variance_(total_variance) {
  const auto P = V_.rows(), D = V_.cols();
  require(P > 0 && D > 0 && D <= P, "PCA: V is [{}, {}]; it must have at least as many rows as columns", P, D);
  require(static_cast<std::int64_t>(mean_.size()) == P && static_cast<std::int64_t>(variances_.size()) == D,
          "PCA: V is [{}, {}], but there are {} means and {} variances", P, D, mean_.size(), variances_.size());
  const auto finite = [](auto value) { return std::isfinite(value); };
  require(std::all_of(mean_.begin(), mean_.end(), finite) && std::all_of(V_.data(), V_.data() + V_.size(), finite),
          "PCA: mean or V hold values that are not finite");
  const auto is_variance = [](double value) { return std::isfinite(value) && value >= 0.0; };
  require(std::all_of(variances_.begin(), variances_.end(), is_variance) && is_variance(total_variance_),
          "PCA: variances must be finite and not negative");
  V_transposed_ = Matrix<float>(D, P);
  for (std::int64_t i = 0; i < P; ++i) {
    for (std::int64_t j = 0; j < D; ++j) V_transposed_(j, i) = V_(i, j);
  }
}

void PcaFilter::apply(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_inputs(), n_outputs());
  std::fill_n(out.data, out.size(), 0.0f);
#pragma omp parallel
  {
    Matrix<float> centred(std::min(data::tile_rows, in.rows), in.cols);
#pragma omp for schedule(static)
    for (std::int64_t begin = 0; begin < in.rows; begin += data::tile_rows) {
      const auto end = std::min(begin + data::tile_rows, in.rows);
      const auto tile = centred.view().slice(0, end - begin);
      for (std::int64_t i = begin; i < end; ++i) {
        for (std::int64_t j = 0; j < in.cols; ++j) {
          tile(i - begin, j) = in(i, j) - mean_[static_cast<std::size_t>(j)];
        }
      }
      data::multiply_add(tile, V_.view(), false, out.slice(begin, end));
    }
  }
}

void PcaFilter::invert(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_outputs(), n_inputs());
  data::affine_rows(in, V_transposed_, mean_, out);
}

void PcaFilter::to_tensors(TensorFile& file) const {
  file.metadata["filter.kind"] = kind();
  file.put_vector("filter.mean", mean_);
  file.put("filter.V", V_.view());
  file.put_vector("filter.variances", variances_);
  file.put_vector("filter.total_variance", std::vector<double>{total_variance_});
}

double PcaFilter::explained_variance_ratio() const {
  double explained = 0.0;
  for (const double v : variances_) explained += v;
  return total_variance_ > 0.0 ? explained / total_variance_ : 1.0;
}

}  // namespace tarn
