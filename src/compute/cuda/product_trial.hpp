// Trials of a product, for choices by measurement: whatever library does the products.
#pragma once

#include <optional>
#include <string>

#include "blas.hpp"
#include "memory.hpp"
#include "tuner.hpp"

namespace tarn::cuda {

/// Bytes, up to 16, that an address is a multiple of: what one call's algorithm may assume, another's must keep.
int alignment(const void* pointer);

/// Sizes, strides, operands' kinds and alignments of a product, as a text. Products with one key may be done by one algorithm.
std::string key_of(const Product& product);

/// All ways of a library to do a product. Trials read A, B and the bias where they are, and write to a C of their own.
class ProductWays : public Ways {
 public:
  ProductWays(const Product& product, StreamHandle stream) : product_(product), stream_(stream) {}
  void reserve() final;
  void enqueue(const std::string& way) final { run(trial_, way, stream_); }

 protected:
  const Product& product() const { return product_; }
  virtual void run(const Product& product, const std::string& way, StreamHandle stream) = 0;

 private:
  Product product_, trial_;
  StreamHandle stream_;
  DeviceBuffer<float> c_;
};

}  // namespace tarn::cuda
