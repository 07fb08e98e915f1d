// A hierarchical model of which a linear measurement with Gaussian noise is seen in place of the observation: what inpainting and denoising
// infer in (docs/hee.md, section 9).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// `y = A x_0 + c + n`, `n ~ N(0, noise)`.
struct Measurement {
  Matrix<double> A;            ///< `[m, n_0]`
  std::vector<double> offset;  ///< c `[m]`
  Matrix<double> noise;        ///< covariance `[m, m]`; zero where units are seen as they are

  /// The units `seen`, in this order, with independent noise of standard deviation `sigma` >= 0.
  static Measurement of_units(std::int64_t n_units, std::span<const std::int64_t> seen, double sigma);
};

/// The model in which the latents have the posterior that they have in the first model given y, so that inference is the usual one, on any
/// backend; and the way from there back to `E[x_0 | y]`.
///
/// A `gaussian` observation is integrated out: `y' | x_1 ~ N(R a_0, s^2)` with `R^T R = s^2 A^T (s^2 A A^T + noise)^-1 A` (15). Of other
/// families units that are hidden are leaves of the model and drop out, as long as the others are seen without noise; where there is
/// noise, the measurement becomes a Gaussian layer below the observation, which moves then (17).
class MeasuredHee {
 public:
  /// Throws `Error` for shapes that do not fit, values that are not finite, and a covariance that leaves y without a density; for
  /// another family than `gaussian` also where there is no noise and A does not select units.
  MeasuredHee(const HeeParameters& model, const Measurement& measurement);

  /// Its layer 0 is the measurement y', m' <= n_0 units.
  const HeeParameters& model() const { return measured_; }
  /// Whether x_0 is a moving layer of it, the first one.
  bool moves_observation() const { return form_ == Form::layer_below; }

  /// y' `[n, m']` of measurements y `[n, m]`.
  Matrix<float> observations(MatrixView<const float> y) const;
  /// What of a state of `model()` is to be averaged over a chain, `[n, k]`. A row is NaN where its chain is lost.
  Matrix<float> summary(std::span<const Matrix<float>> state) const;
  /// `E[x_0 | y]` `[n, n_0]` from averages of summaries over the posterior, `[n, k]`, and y `[n, m]`; from the summary of one state
  /// `E[x_0 | latents, y]`.
  Matrix<float> restored(MatrixView<const float> mean_summary, MatrixView<const float> y) const;

 private:
  enum class Form : std::uint8_t { integrated, leaves, layer_below };

  void integrate_out(const Measurement& measurement);
  void drop_leaves(const Measurement& measurement);
  void put_layer_below(const Measurement& measurement);
  void keep_rows(const Matrix<double>& R);

  HeeParameters original_, measured_;
  std::vector<double> offset_;
  Form form_;
  Matrix<double> R_;     ///< `[m', n_0]`
  Matrix<double> gain_;  ///< `[m', m]`: y' = gain (y - c)
};

}  // namespace tarn
