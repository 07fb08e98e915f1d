#include "tarn/evaluation/stationary_law.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "batch_function.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double drop = 40.0;
constexpr int block_cells = 2048;  // of one doubling of the distance
constexpr int most_doublings = 20;
constexpr std::int64_t first_cells = 1 << 11, most_cells = 1 << 18;
constexpr double tolerance = 1e-7;
constexpr double infinity = std::numeric_limits<double>::infinity();

// Integral of the score outward on one side of the centre.
struct Side {
  std::vector<double> x, log_density;  // at cell ends, from the centre outward
  double last_score = 0.0;
  bool confines = false;
  double not_finite_at = infinity;  // where a score was not finite
};

Side explore(const BatchFunction1d& score, double centre, double direction, double scale, double largest) {
  Side side;
  side.x.push_back(centre);
  side.log_density.push_back(0.0);
  double from = 0.0, to = 4.0 * scale;
  for (int doubling = 0; doubling <= most_doublings; ++doubling, from = to, to *= 2.0) {
    std::vector<double> x;
    for (int i = 0; i <= 2 * block_cells; ++i)
      x.push_back(centre + direction * (from + (to - from) * i / (2.0 * block_cells)));
    const std::vector<double> s = evaluate(score, x);
    const double width = direction * (to - from) / block_cells;
    for (std::size_t i = 0; i < block_cells; ++i) {
      const double step = width / 6.0 * (s[2 * i] + 4.0 * s[2 * i + 1] + s[2 * i + 2]);
      if (!std::isfinite(step)) {
        side.not_finite_at = x[2 * i];
        return side;
      }
      side.x.push_back(x[2 * i + 2]);
      side.log_density.push_back(side.log_density.back() + step);
      largest = std::max(largest, side.log_density.back());
    }
    side.last_score = s.back();
    if (side.log_density.back() < largest - drop && s.back() * direction < 0.0) {
      side.confines = true;
      return side;
    }
  }
  return side;
}

double top(const Side& side) { return *std::max_element(side.log_density.begin(), side.log_density.end()); }

// One cell beyond the outermost point whose log density is within `drop` of the largest.
double limit(const Side& side, double largest) {
  std::size_t last = side.x.size() - 1;
  while (last > 1 && side.log_density[last - 1] < largest - drop) --last;
  return side.x[last];
}

// Scores at even nodes, cell ends and middles, to a law: within a cell the score is a parabola.
Law1d integrate(double low, double high, const std::vector<double>& s) {
  const std::size_t n = s.size() / 2;
  const double width = (high - low) / static_cast<double>(n);
  std::vector<double> log_density(s.size(), 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const double a = s[2 * i], m = s[2 * i + 1], b = s[2 * i + 2];
    log_density[2 * i + 1] = log_density[2 * i] + width * (5.0 * a + 8.0 * m - b) / 24.0;
    log_density[2 * i + 2] = log_density[2 * i] + width * (a + 4.0 * m + b) / 6.0;
  }
  return Law1d(low, high, std::move(log_density));
}

std::string why(const Side& side, const char* name) {
  if (std::isfinite(side.not_finite_at)) {
    return fmt::format("the score is not finite at x = {:.4g}, on the {}", side.not_finite_at, name);
  }
  return fmt::format("the drift does not confine on the {} (score {:+.3g} at x = {:.3g})", name, side.last_score,
                     side.x.back());
}

}  // namespace

StationaryLaw stationary_law(const BatchFunction1d& score, double centre, double scale) {
  require(std::isfinite(centre) && std::isfinite(scale) && scale > 0.0,
          "centre and scale of a stationary law must be finite, scale above 0; found {} and {}", centre, scale);
  StationaryLaw result;
  const Side right = explore(score, centre, 1.0, scale, 0.0);
  const Side left = explore(score, centre, -1.0, scale, top(right));
  result.left_open = !left.confines;
  result.right_open = !right.confines;
  if (result.left_open || result.right_open) {
    result.problem = "no stationary law: ";
    if (result.left_open) result.problem += why(left, "left");
    if (result.left_open && result.right_open) result.problem += "; ";
    if (result.right_open) result.problem += why(right, "right");
    return result;
  }

  const double largest = std::max(top(left), top(right));
  const double low = limit(left, largest), high = limit(right, largest);
  std::int64_t n_cells = first_cells;
  std::vector<double> s, x;
  const auto node = [&](std::int64_t i) {
    return low + (high - low) * static_cast<double>(i) / static_cast<double>(2 * n_cells);
  };
  for (std::int64_t i = 0; i <= 2 * n_cells; ++i) x.push_back(node(i));
  s = evaluate(score, x);
  const auto finite = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  };
  const auto not_finite = [&] {
    result.problem =
        fmt::format("no stationary law: the score is not finite somewhere between {:.4g} and {:.4g}", low, high);
    return result;
  };
  if (!finite(s)) return not_finite();
  Law1d law = integrate(low, high, s);
  result.resolved = false;
  while (n_cells < most_cells) {
    n_cells *= 2;
    x.clear();
    for (std::int64_t i = 1; i < 2 * n_cells; i += 2) x.push_back(node(i));
    const std::vector<double> between = evaluate(score, x);
    if (!finite(between)) return not_finite();
    std::vector<double> finer(static_cast<std::size_t>(2 * n_cells + 1));
    for (std::size_t i = 0; i < finer.size(); ++i) finer[i] = i % 2 == 0 ? s[i / 2] : between[i / 2];
    s = std::move(finer);
    Law1d refined = integrate(low, high, s);
    double change = 0.0;
    for (std::size_t i = 0; i < law.nodes().size(); i += 2) {
      change = std::max(change, std::abs(refined.cdf(law.nodes()[i]) - law.cdf(law.nodes()[i])));
    }
    law = std::move(refined);
    if (change < tolerance) {
      result.resolved = true;
      break;
    }
  }
  result.law = std::move(law);

  // Far outside a barrier of height 40 the drift may still point outward: a chain that got there would not come back.
  const double far = 4.0 * scale * std::ldexp(1.0, most_doublings);
  const std::vector<double> ends = evaluate(score, std::vector<double>{centre - far, centre + far});
  result.left_open = !(ends[0] > 0.0);
  result.right_open = !(ends[1] < 0.0);
  if (result.left_open || result.right_open) {
    result.problem =
        fmt::format("far out on the {} the drift points outward, behind a barrier of more than {} in log density",
                    result.left_open && result.right_open ? "left and right"
                    : result.left_open                    ? "left"
                                                          : "right",
                    drop);
  }
  return result;
}

LawDistance distance(const StationaryLaw& learned, const Law1d& reference) {
  if (!learned.law) return {infinity, infinity};
  return {kl_divergence(*learned.law, reference), wasserstein_1(*learned.law, reference)};
}

}  // namespace tarn
