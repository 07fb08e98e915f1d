#include "restoration_data.hpp"

#include <cblas.h>

#include <algorithm>
#include <array>

#include "labelled_images.hpp"
#include "tarn/core/error.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

bool is_half(const std::string& name) { return name == "left" || name == "right" || name == "top" || name == "bottom"; }

std::vector<bool> hidden_half(const std::string& half, const ImageShape& shape) {
  std::vector<bool> hidden(static_cast<std::size_t>(shape.size()));
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    const std::int64_t pixel = i / shape.channels, row = pixel / shape.cols, column = pixel % shape.cols;
    const bool low = half == "left" || half == "top", across = half == "left" || half == "right";
    const bool in_low = across ? column < shape.cols / 2 : row < shape.rows / 2;
    hidden[static_cast<std::size_t>(i)] = low == in_low;
  }
  return hidden;
}

std::vector<bool> hidden_by_mask(const std::string& path, const std::optional<ImageShape>& image,
                                 std::int64_t n_features) {
  const NpyArray array = read_npy(path);
  std::vector<Shape> allowed{{n_features}};
  if (image) {
    allowed.push_back({image->rows, image->cols});
    allowed.push_back({image->rows, image->cols, image->channels});
  }
  const auto fits = std::ranges::find(allowed, array.shape);
  if (fits == allowed.end()) {
    fail_usage("evaluation.inpaint: {} is a mask of shape {}, the data have {} features; allowed: {}{}", path,
               to_string(array.shape), n_features, to_string(allowed[0]),
               image ? ", " + to_string(allowed[1]) + ", " + to_string(allowed[2]) : "");
  }
  const Matrix<float> values = to_matrix(array, path);
  const std::int64_t channels = n_features / values.size();  // a mask of pixels hides all channels
  std::vector<bool> hidden(static_cast<std::size_t>(n_features));
  for (std::int64_t i = 0; i < n_features; ++i)
    hidden[static_cast<std::size_t>(i)] = values.data()[i / channels] != 0.0f;
  return hidden;
}

Config with_path(const Config& config, const std::string& path) {
  Config other = config;
  other.data.path = path;
  other.data.labels.clear();
  other.data.condition.clear();
  if (is_patches(config.data)) return other;  // max_items counts images there
  if (path.ends_with(".npy")) {
    other.data.kind = "npy";
    other.data.classes.clear();
  }
  other.data.max_items = other.data.classes.empty() ? config.evaluation.restore_data : 0;
  return other;
}

// Rows of a config's data after the scaling of each datum.
Matrix<float> scaled_rows(const Config& config, const PreparedData& maps) {
  if (is_synthetic(config.data)) {
    Matrix<float> x(maps.rows.rows(), maps.n_outputs);
    std::copy_n(maps.rows.data(), x.size(), x.data());
    invert_scaling(maps.scaling, x);
    return x;
  }
  Matrix<float> x;
  if (is_patches(config.data)) {
    Config plain = config;
    plain.filter.kind = "none";
    plain.data.scaling = "none";
    x = prepare_data(plain).rows;
  } else {
    x = read_items(config).x;
  }
  maps.datum_scaling.apply(x);
  return x;
}

}  // namespace

std::vector<bool> hidden_features(const std::string& inpaint, const std::optional<ImageShape>& image,
                                  std::int64_t n_features) {
  if (is_half(inpaint) && !image)
    fail_usage("evaluation.inpaint: \"{}\" is half of an image, the data are none; allowed: a mask file .npy [{}]",
               inpaint, n_features);
  std::vector<bool> hidden =
      is_half(inpaint) ? hidden_half(inpaint, *image) : hidden_by_mask(inpaint, image, n_features);
  const auto n = std::ranges::count(hidden, true);
  if (n == 0 || n == std::ssize(hidden)) {
    fail_usage("evaluation.inpaint: {} hides {} of {} features; allowed: 1 to {}", inpaint, n, hidden.size(),
               hidden.size() - 1);
  }
  return hidden;
}

void check_restoration(const Config& config, const PreparedData& data) {
  const EvaluationConfig& e = config.evaluation;
  if (e.inpaint.empty() && e.denoise.empty()) return;
  const std::string filter = data.filter->kind(), asked = e.inpaint.empty() ? "denoise" : "inpaint";
  if (filter != "none" && filter != "pca") {
    fail_usage(
        "evaluation.{}: what is seen of an image says nothing linear of a filter of kind \"{}\"; allowed: none, pca",
        asked, filter);
  }
  const std::string& family = config.model.layers.front().family;
  if (!e.inpaint.empty()) {
    if (filter != "none" && family != "gaussian") {
      fail_usage(
          "evaluation.inpaint: seen pixels are combinations of {} units behind the filter {}; allowed: filter.kind = "
          "\"none\", or a gaussian observation",
          family, filter);
    }
    hidden_features(e.inpaint, data.image, data.filter->n_inputs());
  }
  if (e.restore_path.empty()) return;
  const Matrix<float> clean = scaled_rows(with_path(config, e.restore_path), data);
  if (clean.cols() != data.filter->n_inputs()) {
    fail_usage("evaluation.restore_path: {} has data of {} features, the run's have {}", e.restore_path, clean.cols(),
               data.filter->n_inputs());
  }
}

RestorationData restoration_data(const Config& config, const PreparedData& data) {
  const EvaluationConfig& e = config.evaluation;
  RestorationData out;
  out.is_held_out = !e.restore_path.empty();
  out.fit = scaled_rows(config, data);
  const Matrix<float> others = out.is_held_out ? scaled_rows(with_path(config, e.restore_path), data) : Matrix<float>();
  const Matrix<float>& from = out.is_held_out ? others : out.fit;
  out.clean = Matrix<float>(std::min(from.rows(), e.restore_data), from.cols());
  std::copy_n(from.data(), out.clean.size(), out.clean.data());
  return out;
}

LinearDecoder linear_decoder_of(const PreparedData& data, const Matrix<double>& covariance) {
  const std::int64_t n_0 = data.n_outputs, P = data.filter->n_inputs();
  Matrix<float> probes(n_0 + 1, n_0);  // 0, then each unit at 1
  for (std::int64_t j = 0; j < n_0; ++j) probes(j + 1, j) = 1.0f;
  invert_scaling(data.scaling, probes);
  const Matrix<float> seen = data.filter->invert(probes.view());
  LinearDecoder decoder;
  decoder.A = Matrix<double>(P, n_0);
  for (std::int64_t i = 0; i < P; ++i) {
    decoder.c.push_back(static_cast<double>(seen(0, i)));
    for (std::int64_t j = 0; j < n_0; ++j)
      decoder.A(i, j) = static_cast<double>(seen(j + 1, i)) - static_cast<double>(seen(0, i));
  }
  decoder.is_identity = data.filter->kind() == "none";
  if (decoder.is_identity) return decoder;
  // (1 - V V^T) C (1 - V V^T), V = A / scale with orthonormal columns
  const double per_unit = 1.0 / (data.scaling.scale * data.scaling.scale);
  const int p = static_cast<int>(P), n = static_cast<int>(n_0);
  Matrix<double> outside(P, P), half(P, P);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p, p, n, -per_unit, decoder.A.data(), n, decoder.A.data(), n,
              0.0, outside.data(), p);
  for (std::int64_t i = 0; i < P; ++i) outside(i, i) += 1.0;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p, p, p, 1.0, outside.data(), p, covariance.data(), p, 0.0,
              half.data(), p);
  decoder.residual = Matrix<double>(P, P);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, p, p, p, 1.0, half.data(), p, outside.data(), p, 0.0,
              decoder.residual.data(), p);
  return decoder;
}

}  // namespace tarn
