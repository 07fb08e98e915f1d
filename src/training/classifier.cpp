#include "tarn/training/classifier.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "dense_training.hpp"
#include "fit_tools.hpp"
#include "tarn/data/batches.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {
namespace {

constexpr std::int64_t tile = 512, most_layers = 64;

void check(MatrixView<const float> x, const std::vector<int>& labels, const ClassifierFit& fit) {
  if (static_cast<std::int64_t>(labels.size()) != x.rows)
    fail_usage("classifier: {} labels for {} images", labels.size(), x.rows);
  if (x.rows < 4 || x.cols < 1) fail_usage("classifier: images are [{}, {}]; at least four are needed", x.rows, x.cols);
  if (fit.hidden.empty()) fail_usage("classifier: no hidden layer; the last one's outputs are the features");
  for (const auto n : fit.hidden) {
    if (n < 1) fail_usage("classifier: a hidden layer of {} units; allowed: >= 1", n);
  }
  if (!(std::isfinite(fit.learning_rate) && fit.learning_rate > 0.0))
    fail_usage("classifier: learning rate {}; allowed: > 0", fit.learning_rate);
  check_batches(fit.epochs, fit.batch_size, x.rows - x.rows / 2, "classifier");
}

// The half that is trained on comes first.
std::vector<std::int64_t> split_order(std::int64_t n_rows, std::uint64_t seed) {
  return epoch_order(seed, Stream::filter_order, n_rows, classifier_split);
}

// x / |x|, in place.
void to_unit_norm(float* x, std::int64_t n) {
  double square = 0.0;
  for (std::int64_t j = 0; j < n; ++j) square += static_cast<double>(x[j]) * x[j];
  const auto factor = static_cast<float>(square > 0.0 ? 1.0 / std::sqrt(square) : 1.0);
  for (std::int64_t j = 0; j < n; ++j) x[j] *= factor;
}

}  // namespace

std::vector<std::int64_t> Classifier::held_out_rows() const {
  const std::vector<std::int64_t> order = split_order(n_rows, seed);
  std::vector<std::int64_t> rows(order.begin() + (n_rows - n_rows / 2), order.end());
  std::sort(rows.begin(), rows.end());
  return rows;
}

ImageJudgement Classifier::judge(MatrixView<const float> images) const {
  require(images.cols == n_inputs(), "the classifier takes images of {} values, found {}", n_inputs(), images.cols);
  const auto n = static_cast<std::size_t>(images.rows);
  ImageJudgement result{Matrix<float>(images.rows, n_features()), std::vector<int>(n, -1),
                        std::vector<float>(n, std::numeric_limits<float>::quiet_NaN())};
  const auto inverse = static_cast<float>(1.0 / scale);
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < images.rows; begin += tile) {
    const std::int64_t rows = std::min(tile, images.rows - begin);
    Matrix<float> h(rows, images.cols);
    for (std::int64_t i = 0; i < rows; ++i) {
      std::copy_n(images.row(begin + i), images.cols, h.row(i));
      to_unit_norm(h.row(i), images.cols);
      for (std::int64_t j = 0; j < images.cols; ++j) h(i, j) = (h(i, j) - mean[static_cast<std::size_t>(j)]) * inverse;
    }
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (l + 1 == layers.size()) std::copy_n(h.data(), h.size(), result.features.row(begin));
      const auto& [W, b] = layers[l];
      Matrix<float> next(rows, W.rows());
      for (std::int64_t i = 0; i < rows; ++i) std::copy(b.begin(), b.end(), next.row(i));
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), static_cast<int>(W.rows()),
                  static_cast<int>(W.cols()), 1.0f, h.data(), static_cast<int>(W.cols()), W.data(),
                  static_cast<int>(W.cols()), 1.0f, next.data(), static_cast<int>(W.rows()));
      for (std::int64_t k = 0; l + 1 < layers.size() && k < next.size(); ++k)
        next.data()[k] = next.data()[k] < 0.0f ? 0.0f : next.data()[k];  // lets NaN through
      h = std::move(next);
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* u = h.row(i);
      const float* end = u + h.cols();
      if (std::any_of(u, end, [](float value) { return !std::isfinite(value); })) {
        std::fill_n(result.features.row(begin + i), n_features(), std::numeric_limits<float>::quiet_NaN());
        continue;
      }
      const float* top = std::max_element(u, end);
      double sum = 0.0;
      for (const float* p = u; p < end; ++p) sum += std::exp(static_cast<double>(*p - *top));
      result.classes[static_cast<std::size_t>(begin + i)] = static_cast<int>(top - u);
      result.confidence[static_cast<std::size_t>(begin + i)] = static_cast<float>(1.0 / sum);
    }
  }
  return result;
}

Classifier fit_classifier(MatrixView<const float> images, const std::vector<int>& labels, const ClassifierFit& fit,
                          std::uint64_t seed, const FitObserver& observer) {
  check(images, labels, fit);
  Classifier result;
  result.seed = seed;
  result.n_rows = images.rows;
  result.labels = labels;
  std::sort(result.labels.begin(), result.labels.end());
  result.labels.erase(std::unique(result.labels.begin(), result.labels.end()), result.labels.end());
  if (result.labels.size() < 2) fail_usage("classifier: all {} images have the same label", images.rows);
  const auto class_of = [&](std::int64_t row) {
    const int label = labels[static_cast<std::size_t>(row)];
    return static_cast<int>(std::lower_bound(result.labels.begin(), result.labels.end(), label) -
                            result.labels.begin());
  };

  const std::vector<std::int64_t> order = split_order(images.rows, seed);
  const std::int64_t n = images.rows - images.rows / 2, P = images.cols;
  Matrix<float> x(n, P);
  std::vector<int> classes;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t row = order[static_cast<std::size_t>(i)];
    std::copy_n(images.row(row), P, x.row(i));
    to_unit_norm(x.row(i), P);
    classes.push_back(class_of(row));
  }
  const std::vector<double> mean = finite_means(x, "classifier");
  result.mean.assign(mean.begin(), mean.end());
  double variance = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < P; ++j) variance += std::pow(x(i, j) - result.mean[static_cast<std::size_t>(j)], 2);
  }
  result.scale = std::sqrt(variance / static_cast<double>(x.size()));
  require(std::isfinite(result.scale) && result.scale > 0.0, "classifier: all {} images are the same", n);
  const auto inverse = static_cast<float>(1.0 / result.scale);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < P; ++j) x(i, j) = (x(i, j) - result.mean[static_cast<std::size_t>(j)]) * inverse;
  }

  std::vector<std::int64_t> sizes{P};
  sizes.insert(sizes.end(), fit.hidden.begin(), fit.hidden.end());
  sizes.push_back(static_cast<std::int64_t>(result.labels.size()));
  DenseNet<float> net = glorot_net(sizes, Nonlinearity::relu, seed, classifier_chains);
  const std::int64_t n_steps = n / fit.batch_size * fit.epochs;
  DensePass<float> pass(net, fit.batch_size);
  DenseAdam adam(net, fit.learning_rate, std::max<std::int64_t>(n_steps, 1));
  LossMeter meter(observer, n_steps);
  std::vector<int> batch_classes(static_cast<std::size_t>(fit.batch_size));
  for_each_batch(
      x, fit.epochs, fit.batch_size, seed,
      [&](std::int64_t step, MatrixView<const float> batch, std::span<const std::int64_t> rows) {
        for (std::size_t i = 0; i < rows.size(); ++i) batch_classes[i] = classes[static_cast<std::size_t>(rows[i])];
        const double loss = cross_entropy_and_gradient<float>(net, batch, batch_classes, pass);
        require(std::isfinite(loss), "classifier: the loss is {} at step {}; a smaller learning rate may help", loss,
                step);
        adam.step(net, pass, step);
        meter.add(step, loss);
      },
      classifier_epochs);
  for (auto& layer : net.layers)
    result.layers.push_back({std::move(layer.W), std::vector<float>(layer.b.data(), layer.b.data() + layer.b.size())});

  std::int64_t n_right = 0;
  const std::vector<std::int64_t> others = result.held_out_rows();
  Matrix<float> unseen(static_cast<std::int64_t>(others.size()), P);
  for (std::size_t i = 0; i < others.size(); ++i)
    std::copy_n(images.row(others[i]), P, unseen.row(static_cast<std::int64_t>(i)));
  const ImageJudgement judged = result.judge(unseen);
  for (std::size_t i = 0; i < others.size(); ++i) n_right += judged.classes[i] == class_of(others[i]) ? 1 : 0;
  result.accuracy = static_cast<double>(n_right) / static_cast<double>(others.size());
  return result;
}

void save_classifier(const Classifier& c, const std::filesystem::path& path) {
  TensorFile file;
  file.metadata["tarn_kind"] = "classifier";
  file.put_vector("mean", c.mean);
  file.put_vector("scale", std::vector<double>{c.scale});
  file.put_vector("labels", std::vector<std::int32_t>(c.labels.begin(), c.labels.end()));
  file.put_vector("seed", std::vector<std::uint64_t>{c.seed});
  file.put_vector("n_rows", std::vector<std::int64_t>{c.n_rows});
  file.put_vector("accuracy", std::vector<double>{c.accuracy});
  file.put_vector("n_layers", std::vector<std::int64_t>{static_cast<std::int64_t>(c.layers.size())});
  for (std::size_t l = 0; l < c.layers.size(); ++l) {
    file.put(fmt::format("layer.{}.W", l), c.layers[l].W.view());
    file.put_vector(fmt::format("layer.{}.b", l), c.layers[l].b);
  }
  write_safetensors(path, file);
}

Classifier load_classifier(const std::filesystem::path& path) {
  const TensorFile file = read_safetensors(path);
  const auto kind = file.metadata.find("tarn_kind");
  require(kind != file.metadata.end() && kind->second == "classifier",
          "{}: not a classifier; `tarn train-classifier` writes one", path.string());
  Classifier c;
  c.mean = file.vector("mean");
  c.scale = file.values<double>("scale", 1)[0];
  const auto labels = file.values<std::int32_t>("labels");
  c.labels.assign(labels.begin(), labels.end());
  c.seed = file.values<std::uint64_t>("seed", 1)[0];
  c.n_rows = file.values<std::int64_t>("n_rows", 1)[0];
  c.accuracy = file.values<double>("accuracy", 1)[0];
  const auto n_layers = file.values<std::int64_t>("n_layers", 1)[0];
  require(n_layers >= 2 && n_layers <= most_layers, "{}: n_layers is {}; allowed are 2 to {}", file.source, n_layers,
          most_layers);
  const auto finite = [](const auto& values) {
    return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  };
  require(std::isfinite(c.scale) && c.scale > 0.0 && finite(c.mean) && c.labels.size() >= 2 && c.n_rows >= 4,
          "{}: a classifier needs a finite mean, a scale above 0, two labels and four rows; found scale {}, {} labels, "
          "{} rows",
          file.source, c.scale, c.labels.size(), c.n_rows);
  std::int64_t width = c.n_inputs();
  for (std::int64_t l = 0; l < n_layers; ++l) {
    DenseLayer layer{file.matrix(fmt::format("layer.{}.W", l), -1, width), file.vector(fmt::format("layer.{}.b", l))};
    width = layer.W.rows();
    require(width >= 1 && static_cast<std::int64_t>(layer.b.size()) == width &&
                finite(std::span(layer.W.data(), static_cast<std::size_t>(layer.W.size()))) && finite(layer.b),
            "{}: layer {} has weights [{}, {}] and {} biases; all must be finite", file.source, l, width,
            layer.W.cols(), layer.b.size());
    c.layers.push_back(std::move(layer));
  }
  require(width == static_cast<std::int64_t>(c.labels.size()), "{}: {} outputs for {} labels", file.source, width,
          c.labels.size());
  return c;
}

}  // namespace tarn
