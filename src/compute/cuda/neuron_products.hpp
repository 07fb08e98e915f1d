// The two products of a training step whose result has a column a neuron, with the nonlinearity behind them.
#pragma once

#include "blas.hpp"
#include "context.hpp"
#include "tarn/core/nonlinearity.hpp"

namespace tarn::cuda {

/// The tile of `kernels/neuron_product.hpp` by which the multiprocessors should be done soonest.
int best_neuron_tile(std::int64_t n_rows, std::int64_t n_neurons, int n_multiprocessors);

/// By the library, its rectifier included, and a pass over the result; or, in float32, by a kernel of our own that does both at once. The library, unless
/// the context chooses by measurement or a tile is given. They differ in rounding.
class NeuronProducts {
 public:
  /// `tile`: of the kernel, which is then always taken; 0: as above; -1: the kernel with the best tile.
  NeuronProducts(Context& context, Nonlinearity phi, Precision precision, int tile);

  /// `c = phi(a b^T)`; c is `[m, ldc]`, of which columns from `n` on hold finite numbers before and after, not the same ones.
  void forward(const Product& product) { take(product, nullptr); }
  /// `c = (a b) phi'(u)` where `activations`, like c, is phi(u).
  void back(const Product& product, const float* activations) { take(product, activations); }

 private:
  class NeuronWays;
  void take(const Product& product, const float* activations);
  Product of_library(Product product, const float* activations) const;
  void by_library(const Product& product, const float* activations) const;
  void by_tile(int tile, const Product& product, const float* activations) const;

  Context& context_;
  Nonlinearity phi_;
  Precision precision_;
  int tile_;
};

}  // namespace tarn::cuda
