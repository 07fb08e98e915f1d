// Products of training rows with all neurons: the kernel's tiles against one chain of multiply-adds a result, bit for bit, whatever lies beyond the
// last row, neuron and term; and the choice of one.
#include "neuron_products.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "compute/large_reference.hpp"
#include "cuda/device.hpp"
#include "memory.hpp"
#include "neuron_product.hpp"
#include "tarn/core/activations.hpp"

namespace tarn::cuda {
namespace {

using test::normal_matrix;

constexpr float guard = -77.25f;
const float nan = std::numeric_limits<float>::quiet_NaN();

// `[rows, pitch]` of standard normals with `filler` in columns from `cols` on.
std::vector<float> padded(std::int64_t rows, std::int64_t cols, std::int64_t pitch, std::uint64_t which, float filler) {
  const Matrix<float> values = normal_matrix(rows, cols, which);
  std::vector<float> out(static_cast<std::size_t>(rows * pitch), filler);
  for (std::int64_t i = 0; i < rows; ++i) std::copy_n(values.row(i), cols, out.data() + i * pitch);
  return out;
}

DeviceBuffer<float> uploaded(const std::vector<float>& values, StreamHandle stream) {
  DeviceBuffer<float> buffer(static_cast<std::int64_t>(values.size()));
  copy_async(buffer.data(), values.data(), buffer.size(), stream);
  return buffer;
}

std::int64_t width_of(std::int64_t n) { return (n + 3) / 4 * 4; }

struct Shape {
  std::int64_t rows, neurons, terms;
};

class Sums {
 public:
  Sums(bool back, Nonlinearity phi, const Shape& s) : back_(back), shape_(s) {
    const std::int64_t lda = width_of(s.terms) + 4, ldc = width_of(s.neurons) + 4;
    ldb_ = back ? width_of(s.neurons) + 8 : width_of(s.terms);
    a_ = padded(s.rows, s.terms, lda, 1, nan);
    b_ = padded(back ? s.terms : s.neurons, back ? s.neurons : s.terms, ldb_, 2, nan);
    activations_ = padded(s.rows, s.neurons, ldc, 3, nan);
    dispatch(phi, [&](auto kind) {
      for (float& value : activations_) value = activate<kind.value>(value);
    });
    q_.phi = phi;
    q_.n_rows = s.rows;
    q_.n_neurons = s.neurons;
    q_.n_terms = s.terms;
    q_.lda = lda;
    q_.ldb = ldb_;
    q_.ldc = ldc;
  }

  std::vector<float> expected() const {
    std::vector<float> c(static_cast<std::size_t>(shape_.rows * q_.ldc), guard);
    for (std::int64_t i = 0; i < shape_.rows; ++i)
      std::fill(c.begin() + i * q_.ldc + shape_.neurons, c.begin() + i * q_.ldc + width_of(shape_.neurons), 0.0f);
    dispatch(q_.phi, [&](auto kind) {
      for (std::int64_t i = 0; i < shape_.rows; ++i) {
        for (std::int64_t j = 0; j < shape_.neurons; ++j) {
          float sum = 0.0f;
          for (std::int64_t k = 0; k < shape_.terms; ++k)
            sum = std::fma(at(a_, i * q_.lda + k), at(b_, back_ ? k * ldb_ + j : j * ldb_ + k), sum);
          c[static_cast<std::size_t>(i * q_.ldc + j)] =
              back_ ? mul(sum, derivative_of_value<kind.value>(at(activations_, i * q_.ldc + j)))
                    : activate<kind.value>(sum);
        }
      }
    });
    return c;
  }

  std::vector<float> on_device(Context& context, int tile) const {
    const StreamHandle stream = context.stream.handle();
    std::vector<float> c(static_cast<std::size_t>(shape_.rows * q_.ldc), guard);
    const DeviceBuffer<float> a = uploaded(a_, stream), b = uploaded(b_, stream),
                              activations = uploaded(activations_, stream);
    DeviceBuffer<float> result = uploaded(c, stream);
    NeuronProductCall q = q_;
    q.a = a.data();
    q.b = b.data();
    q.c = result.data();
    q.activations = back_ ? activations.data() : nullptr;
    (back_ ? launch_neuron_back : launch_neuron_forward)(q, tile, stream);
    copy_async(c.data(), std::as_const(result).data(), result.size(), stream);
    context.stream.synchronize();
    return c;
  }

 private:
  static float at(const std::vector<float>& values, std::int64_t i) { return values[static_cast<std::size_t>(i)]; }

  bool back_;
  Shape shape_;
  std::int64_t ldb_ = 0;
  std::vector<float> a_, b_, activations_;
  NeuronProductCall q_;
};

TEST(CudaNeuronProducts, EveryTileIsOneChainOfMultiplyAdds) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{64, 80, 16}, Shape{65, 83, 33}, Shape{7, 162, 47}, Shape{130, 31, 4},
                             Shape{64, 241, 300}}) {
    for (const bool back : {false, true}) {
      const Sums sums(back, Nonlinearity::tanh, shape);
      const std::vector<float> expected = sums.expected();
      for (const int tile : neuron_tiles)
        EXPECT_EQ(sums.on_device(context, tile), expected)
            << (back ? "back, " : "forward, ") << shape.rows << " rows, " << shape.neurons << " neurons, "
            << shape.terms << " terms, tile " << tile;
    }
  }
}

TEST(CudaNeuronProducts, EveryNonlinearity) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::tanh,
                                 Nonlinearity::softplus, Nonlinearity::sigmoid}) {
    for (const bool back : {false, true}) {
      const Sums sums(back, phi, {9, 85, 50});  // four rounds of terms, so that both buffers are filled again
      EXPECT_EQ(sums.on_device(context, 80), sums.expected()) << name_of(phi) << (back ? ", back" : ", forward");
    }
  }
}

// By counting: 20000 neurons are 250 blocks of 80, two for each of 132 multiprocessors; few neurons are spread over all of them.
TEST(CudaNeuronProducts, TheTileFillsTheCard) {
  EXPECT_EQ(best_neuron_tile(64, 20000, 132), 80);
  EXPECT_EQ(best_neuron_tile(64, 2000, 132), 16);
  EXPECT_EQ(best_neuron_tile(128, 4000, 132), 64);
  EXPECT_EQ(best_neuron_tile(1, 1, 132), 16);
}

}  // namespace
}  // namespace tarn::cuda
