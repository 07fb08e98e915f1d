// The best fits of the sampler-only classes in the form that backends run.
#pragma once

#include <optional>

#include "tarn/compute/network_view.hpp"
#include "tarn/evaluation/best_fit.hpp"

namespace tarn {

/// Owns the weights of a `NetworkView`. May be moved.
class FittedDrift {
 public:
  /// `f(x) = (-x + phi(x W_in^T + b) W_out^T + c) M^T`; all `[D, D]` and `[1, D]`.
  FittedDrift(Nonlinearity phi, const Matrix<double>& W_in, const Matrix<double>& b, const Matrix<double>& W_out,
              const Matrix<double>& c, const Matrix<double>& M);
  NetworkView view() const;

 private:
  Nonlinearity phi_;
  Matrix<float> W_in_, b_, W_out_, c_, M_;
};

FittedDrift fitted_drift(const RateFit& fit);
/// Nothing where the part of the fit that is linear in x has no inverse: that form cannot hold it.
std::optional<FittedDrift> fitted_drift(const SynapticFit& fit);

}  // namespace tarn
