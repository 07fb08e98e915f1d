// What inpainting and denoising are judged on: images, what of them is hidden, and how they hang together with the model's observation.
#pragma once

#include <optional>
#include <vector>

#include "tarn/experiment/config.hpp"
#include "tarn/experiment/prepared_data.hpp"

namespace tarn {

/// Features `[P]` that `evaluation.inpaint` hides: a half of the images, or what a mask file has other than 0. Throws `UsageError` in one line
/// where there are no images, where the mask has another shape, and where it hides nothing or everything.
std::vector<bool> hidden_features(const std::string& inpaint, const std::optional<ImageShape>& image,
                                  std::int64_t n_features);

/// What a run can know before it trains: whether its mask, filter and images fit. Throws `UsageError`.
void check_restoration(const Config& config, const PreparedData& data);

/// Rows `[n, P]` after the scaling of each datum, which is where noise is added and errors are measured.
struct RestorationData {
  Matrix<float> fit;         ///< of the run's own data, which Gaussians are fitted to
  Matrix<float> clean;       ///< to be restored: at most `evaluation.restore_data`
  bool is_held_out = false;  ///< from `evaluation.restore_path`
};
RestorationData restoration_data(const Config& config, const PreparedData& data);

/// `x = A x_0 + c + r`: features from the model's observation, `r ~ N(0, residual)` what a filter discards, independent of x_0.
struct LinearDecoder {
  Matrix<double> A;          ///< `[P, n_0]`
  std::vector<double> c;     ///< `[P]`
  Matrix<double> residual;   ///< `[P, P]`; empty without a filter
  bool is_identity = false;  ///< A is a multiple of 1
};
/// For filters none and pca; `covariance` `[P, P]` is that of the features.
LinearDecoder linear_decoder_of(const PreparedData& data, const Matrix<double>& covariance);

}  // namespace tarn
