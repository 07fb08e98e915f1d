// The exponential families of an HEE's units in double: densities, exact moments, spectral gaps, exact draws. The reference for
// the float templates of core/families.hpp, and what ancestral sampling draws from. Formulas: docs/hee.md.
#pragma once

#include <cstdint>

#include "tarn/core/families.hpp"
#include "tarn/core/word_sequence.hpp"

namespace tarn {

/// One unit: `p(x | eta) = h(x) exp(eta T(x) - A(eta))`. Functions of eta throw `Error` where it is outside `range()`.
class ExponentialFamily {
 public:
  /// Throws `UsageError` for parameters that `check_parameters` refuses.
  explicit ExponentialFamily(Family family, const FamilyParameters& parameters = {});

  Family family() const { return family_; }
  const FamilyParameters& parameters() const { return parameters_; }
  EtaRange range() const { return eta_range(family_, parameters_); }
  /// The least x: 0 for `rectified`, else minus infinity.
  double least() const;

  double statistic(double x) const;
  double statistic_derivative(double x) const;
  /// log h; minus infinity below `least()`.
  double log_base(double x) const;
  double log_base_derivative(double x) const;
  double link(double a) const;
  double link_derivative(double a) const;

  /// A(eta), normalised: `exp(eta T(x) + log_base(x) - A(eta))` integrates to 1.
  double log_partition(double eta) const;
  /// A'(eta) = E[T(x)].
  double mean_statistic(double eta) const;
  /// A''(eta) = Var T(x).
  double variance(double eta) const;
  /// log p(x | eta).
  double log_density(double x, double eta) const;

  /// Slowest rate of the Langevin dynamics `de = (T'(e) eta + (log h)'(e)) dt + sqrt(2) dB`, in units of 1/tau_e: the smallest positive
  /// eigenvalue of its generator, or the lower end of the continuous spectrum where that lies below.
  double spectral_gap(double eta) const;

  /// Words that a draw has to itself.
  static constexpr std::int64_t words_per_draw = 1024;
  /// An exact draw from p(x | eta): a transform, or rejection, which takes four words an attempt and 4 attempts on average at most. Throws
  /// `Error` when `words_per_draw` are used up, which has probability below 1e-30.
  double draw(double eta, WordSequence& words) const;

 private:
  Family family_;
  FamilyParameters parameters_;

  void check_eta(double eta) const;
  double draw_log_concave(double eta, double mode, WordSequence& words) const;
};

}  // namespace tarn
