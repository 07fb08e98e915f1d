#include "neuron_products.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "dsm_backward.hpp"
#include "neuron_product.hpp"
#include "product_trial.hpp"

namespace tarn::cuda {
namespace {

const std::string library = "library";

std::string name_of_tile(int tile) { return fmt::format("tile {}", tile); }

// 0 where the text is no tile's name.
int tile_of(const std::string& name) {
  const auto* const found = std::find_if(std::begin(neuron_tiles), std::end(neuron_tiles),
                                         [&](int tile) { return name == name_of_tile(tile); });
  return found == std::end(neuron_tiles) ? 0 : *found;
}

}  // namespace

int best_neuron_tile(std::int64_t n_rows, std::int64_t n_neurons, int n_multiprocessors) {
  const std::int64_t row_tiles = (n_rows + neuron_tile_rows - 1) / neuron_tile_rows;
  const auto time = [&](int tile) {
    // blocks of one multiprocessor share its arithmetic; a term costs `tile` multiply-adds and 8 reads of rows, whatever the tile
    const std::int64_t blocks = (n_neurons + tile - 1) / tile * row_tiles;
    return (blocks + n_multiprocessors - 1) / n_multiprocessors * (tile + 8);
  };
  return *std::min_element(std::begin(neuron_tiles), std::end(neuron_tiles),
                           [&](int a, int b) { return time(a) < time(b); });
}

// The ways of one product, to choose from. Trials write to a C of their own.
class NeuronProducts::NeuronWays final : public Ways {
 public:
  NeuronWays(const NeuronProducts& of, const Product& product, const float* activations)
      : of_(of), product_(product), activations_(activations) {}

  std::vector<std::string> candidates() override {
    std::vector<std::string> names{library};
    for (const int tile : neuron_tiles) names.push_back(name_of_tile(tile));
    return names;
  }
  bool is_usable(const std::string& way) override { return way == library || tile_of(way) > 0; }
  void reserve() override {
    const std::int64_t size = product_.m * product_.ldc;
    c_ = DeviceBuffer<float>(size);
    zero_async(c_.data(), size, of_.context_.stream.handle());
  }
  void enqueue(const std::string& way) override {
    Product trial = product_;
    trial.c = c_.data();
    if (way == library) {
      of_.by_library(trial, activations_);
    } else {
      of_.by_tile(tile_of(way), trial, activations_);
    }
  }

 private:
  const NeuronProducts& of_;
  Product product_;
  const float* activations_;
  DeviceBuffer<float> c_;
};

NeuronProducts::NeuronProducts(Context& context, Nonlinearity phi, Precision precision, int tile)
    : context_(context), phi_(phi), precision_(precision), tile_(tile) {}

void NeuronProducts::take(const Product& product, const float* activations) {
  int tile = 0;
  if (precision_ == Precision::fp32) {
    if (tile_ != 0) {
      tile = tile_ > 0 ? tile_ : best_neuron_tile(product.m, product.n, context_.info.n_multiprocessors);
    } else if (context_.tuner.is_on()) {
      // whether the layer's way is measured or known, the library's own choice is among those of the run
      context_.blas->prepare(of_library(product, activations), context_.stream.handle());
      const std::string key =
          fmt::format("neurons {} {}, {}", activations ? "back" : "forward", name_of(phi_), key_of(product));
      NeuronWays ways(*this, product, activations);
      tile = tile_of(context_.tuner.choose(Tuner::Kind::layer, key, ways, context_.stream.handle()));
    }
  }
  if (tile > 0) {
    by_tile(tile, product, activations);
  } else {
    by_library(product, activations);
  }
}

Product NeuronProducts::of_library(Product p, const float* activations) const {
  p.precision = precision_;
  p.relu = activations == nullptr && phi_ == Nonlinearity::relu;
  return p;
}

void NeuronProducts::by_library(const Product& product, const float* activations) const {
  const StreamHandle stream = context_.stream.handle();
  const Product p = of_library(product, activations);
  context_.blas->product(p, stream);
  if (activations) {
    launch_dsm_slope(phi_, p.c, activations, p.m * p.ldc, stream);
  } else if (!p.relu) {
    launch_dsm_activate(phi_, p.c, p.m * p.ldc, stream);
  }
}

void NeuronProducts::by_tile(int tile, const Product& product, const float* activations) const {
  NeuronProductCall q;
  q.phi = phi_;
  q.n_rows = product.m;
  q.n_neurons = product.n;
  q.n_terms = product.k;
  q.a = product.a;
  q.lda = product.lda;
  q.b = product.b;
  q.ldb = product.ldb;
  q.c = product.c;
  q.ldc = product.ldc;
  q.activations = activations;
  if (activations) {
    launch_neuron_back(q, tile, context_.stream.handle());
  } else {
    launch_neuron_forward(q, tile, context_.stream.handle());
  }
}

}  // namespace tarn::cuda
