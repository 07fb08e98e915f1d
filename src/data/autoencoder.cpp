#include "tarn/data/autoencoder.hpp"

#include "tarn/core/activations.hpp"
#include "tile_product.hpp"

namespace tarn {
namespace {

constexpr std::int64_t most_layers = 64;

// Checks a stack that leads from `n_in` values to the number it returns.
std::int64_t check_stack(const std::vector<DenseLayer>& layers, std::int64_t n_in, const char* name) {
  require(!layers.empty(), "autoencoder: the {} has no layers", name);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const auto& [W, b] = layers[l];
    require(W.size() > 0 && W.cols() == n_in && static_cast<std::int64_t>(b.size()) == W.rows(),
            "autoencoder: layer {} of the {} has weights [{}, {}] and {} biases, but takes {} values", l + 1, name,
            W.rows(), W.cols(), b.size(), n_in);
    require(data::all_finite(W) && data::all_finite(b),
            "autoencoder: layer {} of the {} holds values that are not finite", l + 1, name);
    n_in = W.rows();
  }
  return n_in;
}

void activate_in_place(Nonlinearity phi, MatrixView<float> h) {
  for (std::int64_t i = 0; i < h.size(); ++i) {
    const float u = h.data[i];
    // The comparison lets NaN through, which the circuits' rectifier does not.
    h.data[i] = phi == Nonlinearity::relu ? (u < 0.0f ? 0.0f : u) : activate<Nonlinearity::tanh>(u);
  }
}

// A tile through a stack; `h` is its input and becomes its output.
void pass(const std::vector<DenseLayer>& layers, Nonlinearity phi, Matrix<float>& h) {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    Matrix<float> next(h.rows(), layers[l].W.rows());
    for (std::int64_t i = 0; i < next.rows(); ++i) std::copy(layers[l].b.begin(), layers[l].b.end(), next.row(i));
    data::multiply_add(h, layers[l].W, true, next.view());
    if (l + 1 < layers.size()) activate_in_place(phi, next);
    h = std::move(next);
  }
}

void put_stack(const std::vector<DenseLayer>& layers, const std::string& name, TensorFile& file) {
  file.put_vector(name + ".n_layers", std::vector<std::int64_t>{static_cast<std::int64_t>(layers.size())});
  for (std::size_t l = 0; l < layers.size(); ++l) {
    file.put(fmt::format("{}.{}.W", name, l), layers[l].W.view());
    file.put_vector(fmt::format("{}.{}.b", name, l), layers[l].b);
  }
}

std::vector<DenseLayer> read_stack(const TensorFile& file, const std::string& name) {
  const auto n = file.values<std::int64_t>(name + ".n_layers", 1).front();
  require(n >= 1 && n <= most_layers, "{}: {}.n_layers is {}; allowed are 1 to {}", file.source, name, n, most_layers);
  std::vector<DenseLayer> layers;
  for (std::int64_t l = 0; l < n; ++l) {
    layers.push_back({file.matrix(fmt::format("{}.{}.W", name, l)), file.vector(fmt::format("{}.{}.b", name, l))});
  }
  return layers;
}

}  // namespace

AutoencoderFilter::AutoencoderFilter(std::vector<float> mean, double scale, Nonlinearity phi,
                                     std::vector<DenseLayer> encoder, std::vector<DenseLayer> decoder)
    : mean_(std::move(mean)), scale_(scale), phi_(phi), encoder_(std::move(encoder)), decoder_(std::move(decoder)) {
  require(data::all_finite(mean_), "autoencoder: the mean holds values that are not finite");
  require(std::isfinite(scale_) && scale_ > 0.0, "autoencoder: the scale is {}; it must be finite and above 0", scale_);
  require(phi_ == Nonlinearity::relu || phi_ == Nonlinearity::tanh,
          "autoencoder: the nonlinearity is {}; allowed are relu, tanh", name_of(phi_));
  const auto P = static_cast<std::int64_t>(mean_.size());
  const auto out = check_stack(decoder_, check_stack(encoder_, P, "encoder"), "decoder");
  require(out == P, "autoencoder: the decoder gives {} values, the encoder takes {}", out, P);
}

void AutoencoderFilter::apply(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_inputs(), n_outputs());
  const auto inverse = static_cast<float>(1.0 / scale_);
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < in.rows; begin += data::tile_rows) {
    const auto end = std::min(begin + data::tile_rows, in.rows);
    Matrix<float> h(end - begin, in.cols);
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < in.cols; ++j) {
        h(i - begin, j) = (in(i, j) - mean_[static_cast<std::size_t>(j)]) * inverse;
      }
    }
    pass(encoder_, phi_, h);
    std::copy_n(h.data(), h.size(), out.row(begin));
  }
}

void AutoencoderFilter::invert(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_outputs(), n_inputs());
  const auto scale = static_cast<float>(scale_);
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < in.rows; begin += data::tile_rows) {
    const auto end = std::min(begin + data::tile_rows, in.rows);
    Matrix<float> h(end - begin, in.cols);
    std::copy_n(in.row(begin), h.size(), h.data());
    pass(decoder_, phi_, h);
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < out.cols; ++j) {
        out(i, j) = mean_[static_cast<std::size_t>(j)] + scale * h(i - begin, j);
      }
    }
  }
}

void AutoencoderFilter::to_tensors(TensorFile& file) const {
  file.metadata["filter.kind"] = kind();
  file.metadata["filter.nonlinearity"] = name_of(phi_);
  file.put_vector("filter.mean", mean_);
  file.put_vector("filter.scale", std::vector<double>{scale_});
  put_stack(encoder_, "filter.encoder", file);
  put_stack(decoder_, "filter.decoder", file);
}

AutoencoderFilter AutoencoderFilter::from_tensors(const TensorFile& file) {
  const auto& phi = file.metadata_at("filter.nonlinearity");
  require(phi == "relu" || phi == "tanh", "{}: filter.nonlinearity is \"{}\"; allowed are relu, tanh", file.source,
          phi);
  return {file.vector("filter.mean"), file.values<double>("filter.scale", 1).front(), parse_nonlinearity(phi),
          read_stack(file, "filter.encoder"), read_stack(file, "filter.decoder")};
}

}  // namespace tarn
