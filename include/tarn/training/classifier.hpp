// A small classifier of labelled images, so that draws can be judged by what they show: its features, classes, confidence.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "tarn/data/autoencoder.hpp"
#include "tarn/training/autoencoder.hpp"

namespace tarn {

struct ClassifierFit {
  std::vector<std::int64_t> hidden{256, 128};  ///< units of the hidden layers; the last one's outputs are the features
  std::int64_t epochs = 12;
  std::int64_t batch_size = 128;
  double learning_rate = 1e-3;  ///< of Adam, falling to 0 along a cosine
};

/// What a classifier says of images.
struct ImageJudgement {
  Matrix<float> features;         ///< `[n, n_features]`; NaN for an image that is not finite
  std::vector<int> classes;       ///< `[n]`, index into `Classifier::labels`; -1 for an image that is not finite
  std::vector<float> confidence;  ///< `[n]`, probability of that class; NaN likewise
};

/// Dense layers with relu between them and softmax at the end, on images of unit norm:
///
///     h_0 = (x / |x| - mean) / scale,   h_l = relu(h_{l-1} W_l^T + b_l),   features h_{L-1},   p = softmax(h_{L-1} W_L^T + b_L).
///
/// An image of zeros stays as it is. It goes with the data it was trained on: half of the rows, in an order that the seed and their number
/// give, so that the other half can serve as real images that it has not seen.
struct Classifier {
  std::vector<float> mean;  ///< `[P]`
  double scale = 1.0;
  std::vector<DenseLayer> layers;
  std::vector<int> labels;  ///< `[n_classes]`, ascending: what the data call them
  std::uint64_t seed = 0;
  std::int64_t n_rows = 0;  ///< of the labelled set: n_rows - n_rows / 2 were trained on
  double accuracy = 0.0;    ///< on the others

  std::int64_t n_inputs() const { return static_cast<std::int64_t>(mean.size()); }
  std::int64_t n_features() const { return layers.back().W.cols(); }
  /// `images` `[n, P]`. Throws `Error` for another P.
  ImageJudgement judge(MatrixView<const float> images) const;
  /// Rows of the labelled set that were not trained on, ascending, `[n_rows / 2]`.
  std::vector<std::int64_t> held_out_rows() const;
};

/// Trained on half of the rows by the mean cross entropy; the accuracy is that on the other half. `images` `[n, P]`, `labels` `[n]`. A pure
/// function of its arguments for any number of threads. Throws `UsageError` for settings out of range and fewer than two classes, `Error`
/// for images that are not finite and where the loss ceases to be.
Classifier fit_classifier(MatrixView<const float> images, const std::vector<int>& labels, const ClassifierFit& fit,
                          std::uint64_t seed, const FitObserver& observer = {});

/// A safetensors file of kind "classifier" (docs/quality.md). Throws `Error`; `load_classifier` also for a file that holds something else or
/// whose sizes disagree.
void save_classifier(const Classifier& classifier, const std::filesystem::path& path);
Classifier load_classifier(const std::filesystem::path& path);

}  // namespace tarn
