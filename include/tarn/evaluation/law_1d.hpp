// A law on the real line, tabulated finely enough that its density, distribution function and distances are exact to
// about 1e-9.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tarn/core/target.hpp"

namespace tarn {

/// Log density up to a constant, of one point.
using LogDensity1d = std::function<double(double)>;

/// A score or log density at many points at once: `x` `[n]` in, values `[n]` out.
using BatchFunction1d = std::function<void(std::span<const double> x, std::span<double> values)>;

/// A tabulated law on the line. Between the limits everything is interpolated from an even grid (Simpson's rule in each
/// cell, so that the distribution function is the exact integral of the interpolated density); outside, the density
/// counts as zero for integrals, and `log_density` goes on as described there.
class Law1d {
 public:
  /// The law with density proportional to `exp(log_density)`. Limits grow outward from `centre +- 4 scale` until the
  /// density has fallen by `exp(-40)` from its largest value; the grid is refined until the distribution function
  /// moves by less than 1e-10. Throws `Error` where a value is NaN or +infinity, or the density does not fall within
  /// 2^30 scales.
  static Law1d from_log_density(LogDensity1d log_density, double centre, double scale);

  /// The law of `x + sigma xi`, x drawn from `target`. Throws `Error` unless `target` is one-dimensional with a density
  /// at this sigma. The target must outlive the law.
  static Law1d from_target(const Target& target, double sigma);

  /// From log densities (up to a constant) at `2 n_cells + 1` even nodes from `low` to `high`: cell ends and middles.
  Law1d(double low, double high, std::vector<double> log_density);

  double low() const { return low_; }
  double high() const { return high_; }
  std::int64_t n_cells() const { return static_cast<std::int64_t>(cdf_.size()) - 1; }
  /// Nodes `[2 n_cells + 1]`, and the normalised log density at them.
  const std::vector<double>& nodes() const { return nodes_; }
  const std::vector<double>& log_density_at_nodes() const { return log_density_; }
  /// Simpson weights `[2 n_cells + 1]` times the density: `sum_i weights[i] f(nodes[i])` is the mean of f.
  const std::vector<double>& weights() const { return weights_; }

  double density(double x) const;
  /// Normalised. From the function the law was made from; where it was made from a table, outside the limits a straight
  /// line with the last slope.
  double log_density(double x) const;
  double cdf(double x) const;
  /// `int_{-inf}^x cdf`.
  double integrated_cdf(double x) const;
  /// The smallest x with `cdf(x) >= u`; `low()` for u <= 0, `high()` for u >= 1.
  double quantile(double u) const;
  double mean() const;
  double variance() const;

 private:
  std::size_t cell_of(double x) const;

  double low_, high_, step_;         // step_: width of a cell
  std::vector<double> nodes_;        // [2 n + 1]
  std::vector<double> log_density_;  // [2 n + 1]
  std::vector<double> density_;      // [2 n + 1]
  std::vector<double> weights_;      // [2 n + 1]
  std::vector<double> cdf_;          // [n + 1], at cell ends
  std::vector<double> integrated_;   // [n + 1], at cell ends
  LogDensity1d function_;            ///< unnormalised, or empty
  double log_mass_ = 0.0;            // log of the integral of exp(unnormalised log density)
};

/// `KL(q || p) = int q log(q / p)` by quadrature over q's grid. In this project q is the learned law and p the
/// reference, so that mass put where the reference has none is what costs most.
double kl_divergence(const Law1d& q, const Law1d& p);

/// 1-Wasserstein distance, `int |F_a - F_b|`.
double wasserstein_1(const Law1d& a, const Law1d& b);

}  // namespace tarn
