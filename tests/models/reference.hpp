// The sampling networks in float64, formula by formula, and what rounding to float32 may do to them.
#pragma once

#include <cmath>

#include "models/array.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

/// Half an ulp of float32 at 1.
inline constexpr double unit_roundoff = 0x1p-24;

inline double phi(Nonlinearity kind, double u) {
  switch (kind) {
    case Nonlinearity::relu:
      return u > 0.0 ? u : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0.0 ? u : static_cast<double>(leaky_slope) * u;
    case Nonlinearity::tanh:
      return std::tanh(u);
    case Nonlinearity::softplus:
      return u > 0.0 ? u + std::log1p(std::exp(-u)) : std::log1p(std::exp(u));
    case Nonlinearity::sigmoid:
      return 1.0 / (1.0 + std::exp(-u));
  }
  return NAN;
}

inline double phi_derivative(Nonlinearity kind, double u) {
  switch (kind) {
    case Nonlinearity::relu:
      return u > 0.0 ? 1.0 : 0.0;
    case Nonlinearity::leaky_relu:
      return u > 0.0 ? 1.0 : static_cast<double>(leaky_slope);
    case Nonlinearity::tanh:
      return 1.0 - std::tanh(u) * std::tanh(u);
    case Nonlinearity::softplus:
      return 1.0 / (1.0 + std::exp(-u));
    case Nonlinearity::sigmoid: {
      const double a = 1.0 / (1.0 + std::exp(-u));
      return a * (1.0 - a);
    }
  }
  return NAN;
}

/// A batch and its noise level.
struct ReferenceBatch {
  Array x, xi;  ///< `[B, D+U]`, `[B, D]`
  double sigma = 1.0;
};

/// Score, loss and gradients. With `magnitudes`, every input and activation is replaced by a bound of its size and
/// every difference by a sum: what comes out, times the number of roundings and `unit_roundoff`, bounds the error of a
/// float32 evaluation of the same formula to first order (|phi'| <= 1 and |phi''| <= 1 for all nonlinearities here,
/// away from kinks).
struct Reference {
  Array score;
  double loss = 0.0, excess = 0.0;
  Array dW_in, db, dW_out;  ///< reservoir_sampler
  Array dW, dgamma, dS;     ///< sampler-only (and db)
};

struct ReservoirArrays {
  Array W_in, b, W_out;
};

struct SamplerOnlyArrays {
  Array W, b, gamma, S;
};

class ReferenceMath {
 public:
  explicit ReferenceMath(Nonlinearity kind, bool magnitudes = false) : kind_(kind), magnitudes_(magnitudes) {}

  Reference reservoir(const ReservoirArrays& p, const ReferenceBatch& batch) const {
    const std::int64_t D = p.W_out.rows();
    const Array W_in = in(p.W_in), W_out = in(p.W_out), xi = in(batch.xi);
    const Array y = noisy(in(batch.x), xi, batch.sigma), x = columns(y, D);
    const Array u = plus_row(dot(y, transpose(W_in)), in(p.b)), a = activation(u);
    Reference out;
    out.score = minus(dot(a, transpose(W_out)), x);
    const Array e = finish_loss(out, xi, batch.sigma);
    out.dW_out = dot(transpose(e), a);
    const Array g = times(dot(e, W_out), slope(u));
    out.dW_in = dot(transpose(g), y);
    out.db = sum_rows(g);
    return out;
  }

  Reference sampler_only(ModelKind model, const SamplerOnlyArrays& p, const ReferenceBatch& batch) const {
    const Array W = in(p.W), b = in(p.b), gamma = in(p.gamma), S = in(p.S), xi = in(batch.xi);
    const Array y = noisy(in(batch.x), xi, batch.sigma), A = dot(S, transpose(S));
    const bool synaptic = model == ModelKind::sampler_only_sc;
    const Array from = synaptic ? activation(y) : y;
    const Array u = plus_row(dot(from, transpose(W)), b);
    const Array h = minus(synaptic ? u : activation(u), y), q = times_row(h, gamma);
    Reference out;
    out.score = dot(q, A);
    const Array e = finish_loss(out, xi, batch.sigma);
    const Array dA = dot(transpose(q), e), k = dot(e, A);
    out.dS = dot(dA + transpose(dA), S);
    out.dgamma = sum_rows(times(k, h));
    const Array dh = times_row(k, gamma), g = synaptic ? dh : times(dh, slope(u));
    out.dW = dot(transpose(g), from);
    out.db = sum_rows(g);
    return out;
  }

 private:
  Array in(const Array& a) const { return magnitudes_ ? absolute(a) : a; }
  Array minus(const Array& a, const Array& b) const { return magnitudes_ ? a + b : a - b; }
  Array activation(const Array& u) const {
    // |phi(u)| <= |u| + 1
    return map(u, [this](double v) { return magnitudes_ ? v + 1.0 : phi(kind_, v); });
  }
  Array slope(const Array& u) const {
    // the error of phi'(u) is at most that of u, relative to a derivative of at most 1
    return map(u, [this](double v) { return magnitudes_ ? v + 1.0 : phi_derivative(kind_, v); });
  }
  static Array columns(const Array& a, std::int64_t n) {
    Array out(a.rows(), n);
    for (std::int64_t i = 0; i < a.rows(); ++i) {
      for (std::int64_t j = 0; j < n; ++j) out(i, j) = a(i, j);
    }
    return out;
  }
  static Array noisy(Array x, const Array& xi, double sigma) {
    for (std::int64_t i = 0; i < xi.rows(); ++i) {
      for (std::int64_t j = 0; j < xi.cols(); ++j) x(i, j) += sigma * xi(i, j);
    }
    return x;
  }
  /// Sets loss and excess, and returns `e / B`.
  Array finish_loss(Reference& out, const Array& xi, double sigma) const {
    const auto B = static_cast<double>(xi.rows());
    const Array target = (1.0 / sigma) * xi, e = out.score + target;
    out.loss = 0.5 * sum(times(e, e)) / B;
    out.excess = (0.5 * sum(times(out.score, out.score)) + sum(times(out.score, target))) / B;
    return (1.0 / B) * e;
  }

  Nonlinearity kind_;
  bool magnitudes_;
};

/// Adam as published (Kingma and Ba 2015; L2 decay; AMSGrad: Reddi et al. 2018) for one array.
class ReferenceAdam {
 public:
  ReferenceAdam(std::int64_t rows, std::int64_t cols, double beta1 = 0.9, double beta2 = 0.999)
      : beta1_(beta1), beta2_(beta2), m_(rows, cols), v_(rows, cols), largest_(rows, cols) {}

  void step(Array& w, const Array& gradient, double lr, double decay, bool amsgrad, bool decoupled = false) {
    ++t_;
    for (std::int64_t i = 0; i < w.size(); ++i) {
      double& weight = w.data()[i];
      const double g = gradient.data()[i] + (decoupled ? 0.0 : decay * weight);
      double &m = m_.data()[i], &v = v_.data()[i], &largest = largest_.data()[i];
      m = beta1_ * m + (1.0 - beta1_) * g;
      v = beta2_ * v + (1.0 - beta2_) * g * g;
      largest = std::max(largest, v);
      const double m_hat = m / (1.0 - std::pow(beta1_, t_)),
                   v_hat = (amsgrad ? largest : v) / (1.0 - std::pow(beta2_, t_));
      if (decoupled) weight -= lr * decay * weight;
      weight -= lr * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }

 private:
  double beta1_, beta2_;
  Array m_, v_, largest_;
  int t_ = 0;
};

}  // namespace tarn::test
