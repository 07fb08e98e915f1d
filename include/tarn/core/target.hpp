// A target distribution with a known sampler and, where it exists, an exact density and score.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// A distribution on R^D that data are drawn from. Draw number `i` is a pure function of (seed, i):
/// see `Stream::synthetic_data`. All values are in the data's own units.
class Target {
 public:
  virtual ~Target() = default;

  virtual std::string name() const = 0;
  virtual std::int64_t dimension() const = 0;
  /// Exact mean `[D]` of the law, and `E |x - mean|^2`.
  virtual std::vector<double> mean() const = 0;
  virtual double total_variance() const = 0;
  /// Writes draws `first .. first + out.rows - 1` to `out` `[n, D]`.
  virtual void draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const = 0;

  /// Whether `log_density` and `score` exist in closed form for the law smoothed by Gaussian noise of this sigma (>= 0).
  virtual bool has_density(double sigma) const = 0;
  /// log of the density of `x + sigma xi` at `x` `[D]`. Throws `Error` where `has_density(sigma)` is false.
  virtual double log_density(const double* x, double sigma) const = 0;
  /// Gradient of `log_density`, written to `score` `[D]`. Throws `Error` where `has_density(sigma)` is false.
  virtual void score(const double* x, double sigma, double* score) const = 0;
};

}  // namespace tarn
