// Laws that data can be drawn from, with exact densities and scores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/core/target.hpp"

// Randomness of draw i: chain i, step 0 of `Stream::synthetic_data`. Components of D-dimensional mixtures, with E = D
// rounded up to even: 0 .. D-1 normals (E words, Box-Muller pairs), E which component, E+1 the exponential variable
// (Laplace). Ring: normals 0, 1 give the direction, normal 2 the radius. Two moons: normals 0, 1 the place on the arcs,
// normals 2, 3 the noise. Checkerboard: words 0, 1 the place in the cell, word 2 which cell. The layout is permanent,
// and draws are the same bits on every machine.

namespace tarn {

/// One component of a mixture in D dimensions.
struct MixtureComponent {
  double weight = 1.0;             ///< > 0; weights are divided by their sum
  std::vector<double> mean;        ///< `[D]`
  std::vector<double> covariance;  ///< `[D, D]`, row-major, symmetric positive definite

  /// A component with covariance `standard_deviation^2 I`.
  static MixtureComponent isotropic(double weight, std::vector<double> mean, double standard_deviation);
};

/// What mixtures share: checked components, their factors and moments, and how a component is chosen.
class MixtureTarget : public Target {
 public:
  std::int64_t dimension() const final { return dimension_; }
  std::vector<double> mean() const final;
  double total_variance() const final;
  const std::vector<MixtureComponent>& components() const { return components_; }
  void draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const final;
  double log_density(const double* x, double sigma) const final;
  void score(const double* x, double sigma, double* score) const final;

 protected:
  /// `covariance = Q diag(eigenvalues) Q^T`.
  struct Factors {
    std::vector<double> Q, eigenvalues;
    double log_weight = 0.0;
    std::vector<float> mean, cholesky;  ///< lower factor, stored by columns: `[D, D]` transposed
  };

  /// Throws `UsageError` where there are no components, dimensions differ, a weight is not positive, or a covariance is
  /// not symmetric positive definite, naming the component.
  MixtureTarget(std::vector<MixtureComponent> components, bool exponential_scale);
  /// Log density of one component at `y = Q^T (x - mean)` `[D]`, smoothed; writes its gradient in y to `gradient`
  /// unless null.
  virtual double component_log_density(const Factors& factors, const double* y, double sigma,
                                       double* gradient) const = 0;

 private:
  double evaluate(const double* x, double sigma, double* score) const;

  std::int64_t dimension_ = 0;
  bool exponential_scale_;  ///< scale each draw by sqrt(w), w ~ Exp(1)
  bool diagonal_ = true;    ///< all covariances are
  std::vector<MixtureComponent> components_;
  std::vector<Factors> factors_;
  std::vector<std::uint32_t> thresholds_;  ///< component k is chosen by words in [thresholds_[k-1], thresholds_[k])
};

/// `sum_k weight_k N(mean_k, covariance_k)`. Density and score are exact for every sigma.
class GaussianMixture final : public MixtureTarget {
 public:
  explicit GaussianMixture(std::vector<MixtureComponent> components);
  std::string name() const override { return "gaussian_mixture"; }
  bool has_density(double) const override { return true; }

  /// The law of the first `dimension() - u.size()` coordinates, given that the others are `u`; also a mixture.
  /// Throws `UsageError` unless `u` has 1 to D-1 values.
  GaussianMixture conditional(const std::vector<double>& u) const;
  /// The law of the first `n` coordinates. Throws `UsageError` unless 1 <= n <= D.
  GaussianMixture marginal(std::int64_t n) const;

 protected:
  double component_log_density(const Factors& factors, const double* y, double sigma, double* gradient) const override;
};

/// Mixture of multivariate Laplace laws: draws `mean_k + sqrt(w) z`, `w ~ Exp(1)`, `z ~ N(0, covariance_k)` (Eltoft,
/// Kim and Lee 2006; Kotz, Kozubowski and Podgorski 2001, chapter 5). Density and score by Bessel functions for sigma =
/// 0, else by the integral over w, to about 1e-10 relative. At a component's mean the density at sigma = 0 is infinite
/// for D >= 2 (a cusp for D = 1), and that component adds nothing to the score there.
class LaplaceMixture final : public MixtureTarget {
 public:
  explicit LaplaceMixture(std::vector<MixtureComponent> components);
  std::string name() const override { return "laplace_mixture"; }
  bool has_density(double) const override { return true; }

 protected:
  double component_log_density(const Factors& factors, const double* y, double sigma, double* gradient) const override;
};

/// 2-D: uniform angle, radius `N(radius, standard_deviation^2)`, centre 0. Smoothed densities by an integral over the
/// radius, to about 1e-10 relative.
class RingTarget final : public Target {
 public:
  /// Throws `UsageError` unless radius > 0 and standard_deviation >= 0.
  RingTarget(double radius, double standard_deviation);
  std::string name() const override { return "ring"; }
  std::int64_t dimension() const override { return 2; }
  std::vector<double> mean() const override { return {0.0, 0.0}; }
  double total_variance() const override { return radius_ * radius_ + deviation_ * deviation_; }
  void draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const override;
  bool has_density(double sigma) const override { return deviation_ > 0.0 || sigma > 0.0; }
  double log_density(const double* x, double sigma) const override;
  void score(const double* x, double sigma, double* score) const override;

 private:
  double evaluate(double r, double sigma, double& slope) const;
  double radius_, deviation_;
};

/// 2-D: two half circles of radius 1, `(cos t, sin t)` and `(1 - cos t, 1/2 - sin t)` with t uniform in [0, pi], plus
/// `noise` times a standard normal. Densities by an integral over t, to about 1e-10 relative.
class TwoMoonsTarget final : public Target {
 public:
  /// Throws `UsageError` unless noise >= 0.
  explicit TwoMoonsTarget(double noise);
  std::string name() const override { return "two_moons"; }
  std::int64_t dimension() const override { return 2; }
  std::vector<double> mean() const override { return {0.5, 0.25}; }
  double total_variance() const override;
  void draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const override;
  bool has_density(double sigma) const override { return noise_ > 0.0 || sigma > 0.0; }
  double log_density(const double* x, double sigma) const override;
  void score(const double* x, double sigma, double* score) const override;

 private:
  double evaluate(const double* x, double sigma, double* score) const;
  double noise_;
};

/// 2-D: uniform on every second cell of `cells` x `cells` squares that fill [-half_width, half_width]^2; the cell in
/// the lower left corner is one of them. Exact density and score for sigma > 0; without smoothing there is no score at
/// the edges.
class CheckerboardTarget final : public Target {
 public:
  /// Throws `UsageError` unless 1 <= cells <= 1024 and half_width > 0.
  CheckerboardTarget(std::int64_t cells, double half_width);
  std::string name() const override { return "checkerboard"; }
  std::int64_t dimension() const override { return 2; }
  std::vector<double> mean() const override { return {0.0, 0.0}; }
  double total_variance() const override;
  void draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const override;
  bool has_density(double sigma) const override { return sigma > 0.0; }
  double log_density(const double* x, double sigma) const override;
  void score(const double* x, double sigma, double* score) const override;

 private:
  double evaluate(const double* x, double sigma, double* score) const;
  std::int64_t cells_;
  double half_width_;
};

}  // namespace tarn
