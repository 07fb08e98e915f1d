#include "tarn/data/scaling.hpp"

#include <cmath>
#include <string>

namespace tarn {

std::string_view name_of(DatumScalingKind kind) {
  switch (kind) {
    case DatumScalingKind::none:
      return "none";
    case DatumScalingKind::unit_norm:
      return "unit_norm";
    case DatumScalingKind::divide_255:
      return "divide_255";
    case DatumScalingKind::standardise:
      break;
  }
  return "standardise";
}

DatumScalingKind parse_datum_scaling_kind(std::string_view name) {
  for (const auto kind : {DatumScalingKind::none, DatumScalingKind::unit_norm, DatumScalingKind::divide_255,
                          DatumScalingKind::standardise}) {
    if (name == name_of(kind)) return kind;
  }
  fail_usage("unknown scaling \"{}\"; allowed are none, unit_norm, divide_255, standardise", name);
}

namespace {

void check_width(const DatumScaling& scaling, std::int64_t n_features) {
  if (scaling.kind != DatumScalingKind::standardise) return;
  const auto fitted = static_cast<std::int64_t>(scaling.mean.size());
  require(fitted == n_features && scaling.standard_deviation.size() == scaling.mean.size(),
          "scaling was fitted to {} features, found {}", fitted, n_features);
}

void to_unit_norm(MatrixView<float> x) {
  for (std::int64_t i = 0; i < x.rows; ++i) {
    float* row = x.row(i);
    double square = 0.0;
    for (std::int64_t j = 0; j < x.cols; ++j) square += static_cast<double>(row[j]) * row[j];
    require(square != 0.0, "row {} is all zeros, so it cannot be scaled to unit norm; remove it or use another scaling",
            i);
    const double factor = 1.0 / std::sqrt(square);
    for (std::int64_t j = 0; j < x.cols; ++j) row[j] = static_cast<float>(row[j] * factor);
  }
}

std::vector<double> column_means(MatrixView<const float> x) {
  std::vector<double> mean(static_cast<std::size_t>(x.cols));
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) mean[static_cast<std::size_t>(j)] += x(i, j);
  }
  for (auto& m : mean) m /= static_cast<double>(x.rows);
  return mean;
}

std::vector<double> column_variances(MatrixView<const float> x, const std::vector<double>& mean) {
  std::vector<double> variance(mean.size());
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) {
      const auto k = static_cast<std::size_t>(j);
      variance[k] += (x(i, j) - mean[k]) * (x(i, j) - mean[k]);
    }
  }
  for (auto& v : variance) v /= static_cast<double>(x.rows);
  return variance;
}

// Columns that a scaling acts on.
std::int64_t scaled_columns(const AffineScaling& scaling, MatrixView<float> x) {
  require(scaling.scale > 0.0 && std::isfinite(scaling.scale), "scale must be a positive number, found {}",
          scaling.scale);
  const auto n = scaling.shift.empty() ? x.cols : static_cast<std::int64_t>(scaling.shift.size());
  require(n <= x.cols, "scaling has a shift of {} values, but rows have {} columns", n, x.cols);
  return n;
}

}  // namespace

void DatumScaling::apply(MatrixView<float> x) const {
  check_width(*this, x.cols);
  if (kind == DatumScalingKind::unit_norm) to_unit_norm(x);
  if (kind == DatumScalingKind::divide_255) {
    for (std::int64_t i = 0; i < x.size(); ++i) x.data[i] /= 255.0f;
  }
  if (kind != DatumScalingKind::standardise) return;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) {
      const auto k = static_cast<std::size_t>(j);
      x(i, j) = (x(i, j) - mean[k]) / standard_deviation[k];
    }
  }
}

void DatumScaling::invert(MatrixView<float> x) const {
  check_width(*this, x.cols);
  if (kind == DatumScalingKind::divide_255) {
    for (std::int64_t i = 0; i < x.size(); ++i) x.data[i] *= 255.0f;
  }
  if (kind != DatumScalingKind::standardise) return;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) {
      const auto k = static_cast<std::size_t>(j);
      x(i, j) = x(i, j) * standard_deviation[k] + mean[k];
    }
  }
}

void DatumScaling::to_tensors(TensorFile& file) const {
  file.metadata["datum_scaling.kind"] = name_of(kind);
  if (kind != DatumScalingKind::standardise) return;
  file.put_vector("datum_scaling.mean", mean);
  file.put_vector("datum_scaling.standard_deviation", standard_deviation);
}

DatumScaling DatumScaling::from_tensors(const TensorFile& file) {
  DatumScaling scaling;
  scaling.kind = parse_datum_scaling_kind(file.metadata_at("datum_scaling.kind"));
  if (scaling.kind != DatumScalingKind::standardise) return scaling;
  scaling.mean = file.vector("datum_scaling.mean");
  scaling.standard_deviation =
      file.vector("datum_scaling.standard_deviation", static_cast<std::int64_t>(scaling.mean.size()));
  for (std::size_t j = 0; j < scaling.mean.size(); ++j) {
    require(std::isfinite(scaling.mean[j]), "{}: datum_scaling.mean[{}] is {}; it must be finite", file.source, j,
            scaling.mean[j]);
    require(scaling.standard_deviation[j] > 0.0f && std::isfinite(scaling.standard_deviation[j]),
            "{}: datum_scaling.standard_deviation[{}] is {}; it must be positive and finite", file.source, j,
            scaling.standard_deviation[j]);
  }
  return scaling;
}

DatumScaling fit_datum_scaling(DatumScalingKind kind, MatrixView<const float> x) {
  DatumScaling scaling;
  scaling.kind = kind;
  if (kind != DatumScalingKind::standardise) return scaling;
  require(x.rows > 0, "standardise needs at least one row of data");
  const auto mean = column_means(x), variance = column_variances(x, mean);
  for (std::size_t j = 0; j < mean.size(); ++j) {
    const double magnitude = std::abs(mean[j]);
    // A constant feature can show a variance of rounding size, because its mean is rounded.
    const bool constant = std::sqrt(variance[j]) <= 1e-12 * magnitude;
    const auto deviation = static_cast<float>(std::sqrt(variance[j]));
    scaling.mean.push_back(static_cast<float>(mean[j]));
    scaling.standard_deviation.push_back(constant || deviation == 0.0f ? 1.0f : deviation);
  }
  return scaling;
}

AffineScaling fit_affine_scaling(MatrixView<const float> x) {
  require(x.rows > 0 && x.cols > 0, "scaling \"auto\" needs data, found {} rows of {} features", x.rows, x.cols);
  AffineScaling scaling;
  scaling.shift = column_means(x);
  double total = 0.0;
  for (const double v : column_variances(x, scaling.shift)) total += v;
  require(std::isfinite(total), "scaling \"auto\": the data hold values that are not finite");
  require(total > 0.0, "scaling \"auto\": all {} rows are the same", x.rows);
  scaling.scale = std::sqrt(total);
  return scaling;
}

AffineScaling exact_affine_scaling(const Target& target) { return {target.mean(), std::sqrt(target.total_variance())}; }

void apply_scaling(const AffineScaling& scaling, MatrixView<float> x) {
  const auto n = scaled_columns(scaling, x);
  const bool shifted = !scaling.shift.empty();
  if (!shifted && scaling.scale == 1.0) return;
  const double factor = 1.0 / scaling.scale;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    float* row = x.row(i);
    for (std::int64_t j = 0; j < n; ++j) {
      const double centred = shifted ? row[j] - scaling.shift[static_cast<std::size_t>(j)] : row[j];
      row[j] = static_cast<float>(centred * factor);
    }
  }
}

void invert_scaling(const AffineScaling& scaling, MatrixView<float> x) {
  const auto n = scaled_columns(scaling, x);
  const bool shifted = !scaling.shift.empty();
  if (!shifted && scaling.scale == 1.0) return;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    float* row = x.row(i);
    for (std::int64_t j = 0; j < n; ++j) {
      const double shift = shifted ? scaling.shift[static_cast<std::size_t>(j)] : 0.0;
      row[j] = static_cast<float>(row[j] * scaling.scale + shift);
    }
  }
}

}  // namespace tarn
