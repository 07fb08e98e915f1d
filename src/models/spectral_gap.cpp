// How fast the Langevin dynamics of one unit forgets: the spectral gap of its generator.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn {
namespace {

/// A symmetric tridiagonal matrix: `diagonal[i]`, and `squared[i]` the square of the element that couples i and i + 1.
struct Tridiagonal {
  std::vector<double> diagonal, squared;

  /// Eigenvalues below `x`, by Sylvester's law of inertia.
  int count_below(double x) const {
    int count = 0;
    double pivot = 1.0;
    for (std::size_t i = 0; i < diagonal.size(); ++i) {
      pivot = diagonal[i] - x - (i == 0 ? 0.0 : squared[i - 1] / pivot);
      if (pivot == 0.0) pivot = -1e-300;
      count += pivot < 0.0 ? 1 : 0;
    }
    return count;
  }
};

/// The generator on a grid as a reversible chain of jumps between neighbours, whose stationary law is the unit's: jumps i <-> i + 1 happen
/// at rate sqrt(p_i p_{i+1}) / (distance * mass). Its first eigenvalue is 0 exactly; errors are of second order in the spacing.
Tridiagonal generator(const std::vector<double>& x, const std::function<double(double)>& log_density) {
  const std::size_t n = x.size();
  Tridiagonal matrix{std::vector<double>(n), std::vector<double>(n - 1)};
  const auto width = [&](std::size_t i) { return 0.5 * (x[std::min(i + 1, n - 1)] - x[i == 0 ? 0 : i - 1]); };
  for (std::size_t i = 0; i + 1 < n; ++i) {
    // half the difference of logarithms, so that no density underflows
    const double half = 0.5 * (log_density(x[i + 1]) - log_density(x[i])), distance = x[i + 1] - x[i];
    matrix.diagonal[i] += std::exp(half) / (distance * width(i));
    matrix.diagonal[i + 1] += std::exp(-half) / (distance * width(i + 1));
    matrix.squared[i] = 1.0 / (distance * distance * width(i) * width(i + 1));
  }
  return matrix;
}

double second_eigenvalue(const Tridiagonal& matrix, double upper) {
  double low = 0.0, high = upper;
  for (int i = 0; i < 60 && high - low > 1e-10 * high; ++i) {
    const double middle = 0.5 * (low + high);
    (matrix.count_below(middle) >= 2 ? high : low) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace

double ExponentialFamily::spectral_gap(double eta) const {
  check_eta(eta);
  const double s = parameters_.s, d = parameters_.width;
  if (family_ == Family::gaussian) return 1.0 / (s * s);
  if (family_ == Family::gaussian_scale) return eta;

  // Where log p ends as -k |x|, the continuous spectrum begins at k^2/4 for the slower of its two ends.
  double edge = std::numeric_limits<double>::infinity();
  double centre = 0.0, unit = s;  // x = centre + unit sinh(u): fine around the peak, and far enough out
  double k = 0.0;
  switch (family_) {
    case Family::laplace:
      k = parameters_.rate - std::fabs(eta);
      unit = d;
      break;
    case Family::laplace_scale:
      k = eta;
      unit = d;
      break;
    case Family::quartic:
      unit = 1.0 / std::sqrt(std::max(1.0, std::fabs(parameters_.c)));
      centre = families::quartic_moments(eta, parameters_.c).mean;
      break;
    case Family::rectified:
      centre = std::max(eta, 0.0);
      unit = eta >= 0.0 ? s : s * s / (s - eta);
      break;
    case Family::gaussian:
    case Family::gaussian_scale:
      break;
  }
  if (k > 0.0) edge = 0.25 * k * k;

  const auto log_p = [&](double x) { return eta * statistic(x) + log_base(x); };
  double highest = log_p(centre);
  constexpr double coarse = 0.02;
  const auto reach = [&](double direction) {
    double u = 0.0;
    while (true) {
      const double next = u + coarse, x = centre + direction * unit * std::sinh(next);
      if (x < least()) return u;
      highest = std::max(highest, log_p(x));
      u = next;
      if (log_p(x) < highest - 60.0) return u;
    }
  };
  const double right = reach(1.0);
  double left = -reach(-1.0);
  if (least() == 0.0 && centre - unit * std::sinh(-left + coarse) < 0.0) left = -std::asinh(centre / unit);
  constexpr std::size_t n = 4001;
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double u = left + (right - left) * static_cast<double>(i) / static_cast<double>(n - 1);
    x[i] = centre + unit * std::sinh(u);
  }
  if (least() == 0.0) x[0] = std::max(x[0], 0.0);
  const Tridiagonal matrix = generator(x, log_p);
  double upper = std::isfinite(edge) ? edge : 1.0;
  while (!std::isfinite(edge) && matrix.count_below(upper) < 2) upper *= 2.0;
  if (std::isfinite(edge) && matrix.count_below(edge) < 2) return edge;
  return second_eigenvalue(matrix, upper);
}

}  // namespace tarn
