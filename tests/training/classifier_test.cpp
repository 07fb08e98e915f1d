#include "tarn/training/classifier.hpp"

#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "dense_gradient.hpp"
#include "message_of.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {
namespace {

using test::message_of;
using ::testing::HasSubstr;

// Images of 6 x 6 with a bar in one of three places, of any brightness, with noise; labels 2, 5, 9.
struct Bars {
  Matrix<float> images;
  std::vector<int> labels;
  explicit Bars(std::int64_t n, std::uint64_t seed = 1) : images(n, 36) {
    Matrix<float> noise(n, 37);
    fill_normals(seed, Stream::synthetic_data, 0, 0, 1, noise.view());
    const int names[] = {9, 2, 5};
    for (std::int64_t i = 0; i < n; ++i) {
      const float bright = 100.0f * std::exp(0.5f * noise(i, 36));
      for (std::int64_t j = 0; j < 36; ++j)
        images(i, j) = bright * ((j / 12 == i % 3 ? 1.0f : 0.0f) + 0.5f * noise(i, j));
      labels.push_back(names[i % 3]);
    }
  }
};

TEST(Classifier, GradientByFiniteDifferences) {
  DenseNet<double> net;
  net.code = 1;
  net.layers = test::dense_layers(std::vector<std::int64_t>{5, 7, 3}, 1.0, 1.0, 3);
  const Matrix<double> x = test::normal_rows(6, 5, 13);
  const std::vector<int> labels{0, 2, 1, 1, 2, 0};
  DensePass<double> pass(net, 6), other(net, 6);
  const double loss = cross_entropy_and_gradient<double>(net, x.view(), labels, pass);
  double expected = 0.0;  // the loss itself, from the outputs
  for (std::int64_t i = 0; i < 6; ++i) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < 3; ++c) sum += std::exp(pass.h.back()(i, c));
    expected -= std::log(std::exp(pass.h.back()(i, labels[static_cast<std::size_t>(i)])) / sum) / 6.0;
  }
  EXPECT_NEAR(loss, expected, 1e-12);
  test::expect_gradient(net, pass, 1e-8,
                        [&] { return cross_entropy_and_gradient<double>(net, x.view(), labels, other); });
}

TEST(Classifier, LearnsBarsAndTellsThemApart) {
  const Bars bars(601), others(300, 2);
  ClassifierFit fit;
  fit.hidden = {24, 12};
  fit.batch_size = 20;
  const Classifier c = fit_classifier(bars.images, bars.labels, fit, 7);
  EXPECT_THAT(c.labels, testing::ElementsAre(2, 5, 9));
  EXPECT_EQ(c.n_features(), 12);
  EXPECT_GT(c.accuracy, 0.97);
  const ImageJudgement judged = c.judge(others.images);
  int right = 0;
  double confidence = 0.0;
  for (std::size_t i = 0; i < 300; ++i) {
    right += c.labels[static_cast<std::size_t>(judged.classes[i])] == others.labels[i] ? 1 : 0;
    confidence += judged.confidence[i] / 300.0;
  }
  EXPECT_GT(right, 290);
  EXPECT_GT(confidence, 0.9);
  EXPECT_LE(confidence, 1.0);

  // brightness does not matter, and features explain the classes: softmax of the last layer
  Matrix<float> brighter = others.images;
  for (std::int64_t i = 0; i < brighter.size(); ++i) brighter.data()[i] *= 3.0f;
  EXPECT_EQ(c.judge(brighter).classes, judged.classes);
  const auto& [W, b] = c.layers.back();
  double sum = 0.0, top = -1e30;
  for (std::int64_t k = 0; k < 3; ++k) {
    double u = b[static_cast<std::size_t>(k)];
    for (std::int64_t j = 0; j < 12; ++j) u += static_cast<double>(W(k, j)) * judged.features(5, j);
    sum += std::exp(u);
    top = std::max(top, u);
  }
  EXPECT_NEAR(judged.confidence[5], std::exp(top) / sum, 1e-5);

  // the split: of 601 rows 300 were not trained on
  const auto held_out = c.held_out_rows();
  EXPECT_EQ(std::set<std::int64_t>(held_out.begin(), held_out.end()).size(), 300u);
  EXPECT_TRUE(std::is_sorted(held_out.begin(), held_out.end()));
  int counted = 0;
  for (const auto row : held_out) {
    const int k = c.judge(bars.images.view().slice(row, row + 1)).classes[0];
    counted += c.labels[static_cast<std::size_t>(k)] == bars.labels[static_cast<std::size_t>(row)] ? 1 : 0;
  }
  EXPECT_DOUBLE_EQ(c.accuracy, counted / 300.0);
}

TEST(Classifier, SameForAnyNumberOfThreadsAndBackFromItsFile) {
  const Bars bars(120);
  ClassifierFit fit;
  fit.hidden = {130, 20};
  fit.batch_size = 15;
  fit.epochs = 2;
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Classifier one = fit_classifier(bars.images, bars.labels, fit, 7);
  omp_set_num_threads(3);
  const Classifier three = fit_classifier(bars.images, bars.labels, fit, 7);
  omp_set_num_threads(threads);
  for (std::size_t l = 0; l < 3; ++l) EXPECT_EQ(one.layers[l].W, three.layers[l].W) << l;

  const ScratchFolder folder("tarn_classifier");
  const std::filesystem::path file = folder.path() / "classifier.safetensors";
  save_classifier(one, file);
  const Classifier again = load_classifier(file);
  EXPECT_EQ(again.judge(bars.images).features, one.judge(bars.images).features);
  EXPECT_EQ(again.labels, one.labels);
  EXPECT_EQ(again.held_out_rows(), one.held_out_rows());
  EXPECT_EQ(again.accuracy, one.accuracy);

  TensorFile tensors = read_safetensors(file);
  tensors.metadata["tarn_kind"] = "reservoir_sampler";
  write_safetensors(file, tensors);
  EXPECT_THAT(message_of([&] { load_classifier(file); }), HasSubstr("not a classifier"));
  tensors.metadata["tarn_kind"] = "classifier";
  tensors.put_vector("layer.1.b", std::vector<float>(19));
  write_safetensors(file, tensors);
  EXPECT_THAT(message_of([&] { load_classifier(file); }), HasSubstr("layer 1"));
}

TEST(Classifier, Traps) {
  Bars bars(60);
  ClassifierFit fit;
  fit.hidden = {8};
  fit.batch_size = 10;
  fit.epochs = 1;
  Matrix<float> strange(3, 36);
  strange(1, 4) = std::numeric_limits<float>::quiet_NaN();
  strange(2, 4) = std::numeric_limits<float>::infinity();
  const ImageJudgement judged = fit_classifier(bars.images, bars.labels, fit, 1).judge(strange);
  EXPECT_GE(judged.classes[0], 0) << "an image of zeros";
  for (const std::int64_t i : {1, 2}) {
    EXPECT_EQ(judged.classes[static_cast<std::size_t>(i)], -1);
    EXPECT_TRUE(std::isnan(judged.confidence[static_cast<std::size_t>(i)]));
    EXPECT_TRUE(std::isnan(judged.features(i, 0)) && std::isnan(judged.features(i, 7)));
  }
  const auto refused = [&](const std::vector<int>& labels) {
    return message_of([&] { fit_classifier(bars.images, labels, fit, 1); });
  };
  EXPECT_THAT(refused(std::vector<int>(60, 3)), HasSubstr("all 60 images have the same label"));
  EXPECT_THAT(refused(std::vector<int>(59, 3)), HasSubstr("59 labels for 60 images"));
  fit.batch_size = 31;
  EXPECT_THAT(refused(bars.labels), HasSubstr("batches of 31 of 30 rows"));
  fit.batch_size = 10;
  for (std::int64_t i = 0; i < 60; ++i) bars.images(i, 2) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refused(bars.labels), HasSubstr("not finite"));
}

}  // namespace
}  // namespace tarn
