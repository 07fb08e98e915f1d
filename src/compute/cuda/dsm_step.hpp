// A training step's way from rows to gradients, as work put into a stream.
#pragma once

#include <cstdint>

#include "adam.hpp"
#include "context.hpp"
#include "dsm_layout.hpp"
#include "dsm_residual.hpp"
#include "memory.hpp"
#include "neuron_products.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cuda {

/// The memory of a step and its phases:
///   forward    a = phi(points [W_in b]^T), sums = a V^T, slice by slice of the neurons; the slices are added up in their order
///   residuals  delta = d loss / d sums, and the rows' losses; where J is trained the score is `f M^T` (docs/models.md)
///   backward   dV = delta^T a, g = (delta V) phi'(u), d[W_in b] = g^T points
/// Gradients have the layout of the parameters; or they are not stored, and the optimiser's step is taken with them at once (descent). Everything is
/// deterministic.
class DsmStep {
 public:
  /// `slices` false: sums over neurons are the library's to cut. `precision`: of products with neurons. `neuron_tile`: as `NeuronProducts` has it.
  DsmStep(Context& context, const DsmLayout& layout, Nonlinearity phi, bool slices = true,
          Precision precision = Precision::fp32, int neuron_tile = 0);

  /// Room for this many rows. True where memory moved, so that recorded graphs are of no use any more.
  bool resize(std::int64_t rows);
  /// Constants of the level, for steps from here on.
  void set_level(const DsmLevel& level, std::int64_t batch_size);

  float* points() { return points_.data(); }    ///< `[rows, in_width]`
  float* targets() { return targets_.data(); }  ///< `[rows, out_width]`
  float* target_scale() { return target_scale_.data(); }
  /// Everything that steps depend on beside the sizes.
  const DsmResidualCall& constants() const { return residual_; }
  const double* row_losses() const { return row_losses_.data(); }

  /// Puts forward, residuals and backward into the context's stream. `weights` and `gradient`: device, of the layout.
  void enqueue(const float* weights, float* gradient);
  /// The same, with the optimiser's step and the end of the training step; of `gradient` only J's part is written.
  void enqueue_descent(const AdamArrays& arrays, float* gradient, DsmLossRecord* losses, unsigned* ticket,
                       const DsmClock& clock);

 private:
  std::int64_t slices_of(std::int64_t rows) const;
  const float* deltas() const { return (layout_.has_skew ? back_outputs_ : deltas_).data(); }
  void residuals(const float* weights, float* gradient);
  Product back_to_neurons(const float* weights);  ///< delta V, into `back_`
  void forward(const float* weights);
  void mapped_residuals(const float* weights, float* gradient);
  void backward(const float* weights, float* gradient);

  Context& context_;
  DsmLayout layout_;
  Nonlinearity phi_;
  bool slices_;
  Precision precision_;
  NeuronProducts neurons_;
  std::int64_t rows_ = 0;
  DsmResidualCall residual_;
  DeviceBuffer<float> points_, targets_, target_scale_;
  DeviceBuffer<float> activations_, back_;  ///< `[rows, hidden_width]`
  DeviceBuffer<float> sums_;                ///< `[n_slices, rows, out_width]`
  DeviceBuffer<float> deltas_;              ///< `[rows, out_width]`
  DeviceBuffer<double> row_losses_;
  DeviceBuffer<float> map_, pulled_;                     ///< where J is trained: M and (g M)^T s, both `[D, out_width]`
  DeviceBuffer<float> outputs_, scores_, back_outputs_;  ///< and f, s and g M, all `[rows, out_width]`
  DeviceBuffer<double> skew_scratch_;
};

}  // namespace tarn::cuda
