// The families that tests run over, with values of eta, and integrals over their densities by a rule of its own.
#pragma once

#include <algorithm>
#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "tarn/models/exponential_family.hpp"

namespace tarn::test {

struct FamilyCase {
  std::string name;
  Family family;
  FamilyParameters parameters;
  std::vector<double> etas;
};
inline void PrintTo(const FamilyCase& c, std::ostream* out) { *out << c.name; }

inline const std::vector<FamilyCase>& family_cases() {
  static const std::vector<FamilyCase> cases{
      {"gaussian", Family::gaussian, {}, {-3.0, 0.0, 0.7}},
      {"gaussian_narrow", Family::gaussian, {0.3, 4.0, 0.1, 1.0}, {-2.0, 0.0, 5.0}},
      {"laplace", Family::laplace, {}, {-3.6, -1.0, 0.0, 2.0, 3.0, 3.6}},
      {"laplace_round", Family::laplace, {1.0, 2.0, 3.0, 1.0}, {-1.8, 0.0, 1.0}},
      {"gaussian_scale", Family::gaussian_scale, {}, {0.05, 1.0, 20.0}},
      {"laplace_scale", Family::laplace_scale, {}, {0.05, 1.0, 20.0, 300.0}},
      {"laplace_scale_round", Family::laplace_scale, {1.0, 4.0, 2.0, 1.0}, {0.05, 1.0, 20.0}},
      {"quartic", Family::quartic, {}, {-1000.0, -2.0, 0.0, 0.01, 0.5, 10.0}},
      {"quartic_two_wells", Family::quartic, {1.0, 4.0, 0.1, 3.0}, {-1.0, 0.0, 0.05, 0.3, 1.9, 2.1, 30.0}},
      {"quartic_single_well", Family::quartic, {1.0, 4.0, 0.1, -30.0}, {-50.0, 0.0, 7.0}},
      {"rectified", Family::rectified, {}, {-20.0, -4.9, -1.0, 0.0, 2.0, 9.0}},
      {"rectified_narrow", Family::rectified, {0.2, 4.0, 0.1, 1.0}, {-1.0, 0.0, 0.5}},
  };
  return cases;
}

/// exp(eta T + log h) on panels that are fine around 0 and cover all that is above exp(-60) of the peak.
class Panels {
 public:
  Panels(const ExponentialFamily& family, double eta) : family_(family), eta_(eta) {
    const double first = family.least() == 0.0 ? 0.0 : -16.0;
    std::vector<double> grid;
    for (int i = 0; first + 0.01 * i <= 16.0; ++i) grid.push_back(0.01 * std::sinh(first + 0.01 * i));
    for (const double x : grid) peak_ = std::max(peak_, exponent(x));
    for (const double x : grid) {
      if (exponent(x) > peak_ - 60.0) edges_.push_back(x);
    }
  }
  /// Integral of f(x) exp(eta T + log h - peak).
  template <class F>
  double integrate(F f) const {
    double sum = 0.0;
    for (std::size_t i = 0; i + 1 < edges_.size(); ++i) sum += panel(f, edges_[i], edges_[i + 1]);
    return sum;
  }
  /// A by quadrature.
  double log_partition() const {
    return peak_ + std::log(integrate([](double) { return 1.0; }));
  }
  template <class F>
  double expectation(F f) const {
    return integrate(f) / integrate([](double) { return 1.0; });
  }
  /// The distribution function at ascending points.
  std::vector<double> distribution(const std::vector<double>& points) const {
    const auto one = [](double) { return 1.0; };
    const double mass = integrate(one);
    std::vector<double> values;
    double below = 0.0;
    std::size_t at = 0;
    for (const double x : points) {
      while (at + 1 < edges_.size() && edges_[at + 1] <= x) {
        below += panel(one, edges_[at], edges_[at + 1]);
        ++at;
      }
      values.push_back((below + panel(one, edges_[at], std::max(x, edges_[at]))) / mass);
    }
    return values;
  }

 private:
  ExponentialFamily family_;
  double eta_, peak_ = -1e300;
  std::vector<double> edges_;

  double exponent(double x) const { return eta_ * family_.statistic(x) + family_.log_base(x); }
  template <class F>
  double panel(F f, double from, double to) const {
    if (!(to > from)) return 0.0;
    return boost::math::quadrature::gauss<double, 10>::integrate(
        [&](double x) { return f(x) * std::exp(exponent(x) - peak_); }, from, to);
  }
};

}  // namespace tarn::test
