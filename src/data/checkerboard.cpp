#include <cmath>
#include <numbers>
#include <utility>

#include "log_sum.hpp"
#include "tarn/data/synthetic.hpp"
#include "tile.hpp"

namespace tarn {
namespace {

// log of the upper tail of the standard normal.
double log_upper_tail(double u) {
  const double z = u * std::numbers::sqrt2 * 0.5;
  if (z < 20.0) return std::log(0.5 * std::erfc(z));
  // erfc's asymptotic series (Abramowitz and Stegun 7.1.23); at z = 20 the first term left out is below 1e-15.
  const double q = 1.0 / (2.0 * z * z);
  const double series = 1.0 - q * (1.0 - 3.0 * q * (1.0 - 5.0 * q * (1.0 - 7.0 * q * (1.0 - 9.0 * q))));
  return -z * z - std::log(2.0 * z * std::sqrt(std::numbers::pi)) + std::log(series);
}

// log of the mass of a standard normal in [a, b], a < b, to full relative precision where the interval is in a tail.
double log_mass(double a, double b) {
  if (b < 0.0) return log_mass(-b, -a);
  if (a > 0.0) {
    const double near = log_upper_tail(a);
    return near + std::log1p(-std::exp(log_upper_tail(b) - near));
  }
  return std::log1p(-std::exp(log_upper_tail(b)) - std::exp(log_upper_tail(-a)));
}

double log_normal_density(double u) { return -0.5 * u * u - 0.5 * std::log(2.0 * std::numbers::pi); }

// One coordinate: log of the smoothed mass of the even and of the odd strips, each with its slope.
struct Strips {
  data::LogSum even{1}, odd{1};
};

Strips strips(double x, std::int64_t cells, double half_width, double sigma) {
  Strips result;
  const double width = 2.0 * half_width / static_cast<double>(cells);
  for (std::int64_t i = 0; i < cells; ++i) {
    const double left = -half_width + static_cast<double>(i) * width;
    // The smoothed mass at x is that of a normal around x in the strip.
    const double a = (left - x) / sigma, b = (left + width - x) / sigma;
    const double mass = log_mass(a, b);
    const double slope = (std::exp(log_normal_density(a) - mass) - std::exp(log_normal_density(b) - mass)) / sigma;
    (i % 2 == 0 ? result.even : result.odd).add(mass, &slope);
  }
  return result;
}

}  // namespace

CheckerboardTarget::CheckerboardTarget(std::int64_t cells, double half_width) : cells_(cells), half_width_(half_width) {
  if (cells < 1 || cells > 1024) fail_usage("checkerboard: {} cells a side; 1 to 1024 are allowed", cells);
  if (!(half_width > 0.0) || !std::isfinite(half_width)) {
    fail_usage("checkerboard: half_width is {}; it must be positive", half_width);
  }
}

double CheckerboardTarget::total_variance() const {
  const double width = 2.0 * half_width_ / static_cast<double>(cells_);
  // Mean square of the centres over all cells of one colour, plus that within a cell.
  double sum = 0.0;
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < cells_; ++i) {
    const double centre = -half_width_ + (static_cast<double>(i) + 0.5) * width;
    const auto partners = i % 2 == 0 ? (cells_ + 1) / 2 : cells_ / 2;  // cells of this strip that are filled
    sum += static_cast<double>(partners) * centre * centre;
    count += partners;
  }
  return 2.0 * (sum / static_cast<double>(count) + width * width / 12.0);
}

void CheckerboardTarget::draw(std::uint64_t seed, std::uint64_t first, MatrixView<float> out) const {
  data::check_draw_width(out, 2);
  const auto n_filled = static_cast<std::uint64_t>((cells_ * cells_ + 1) / 2);
  const double width = 2.0 * half_width_ / static_cast<double>(cells_);
  data::for_each_tile(seed, first, out.rows, 0, 3, [&](const data::Tile& tile) {
    for (std::int64_t i = 0; i < tile.n; ++i) {
      // Filled cells are every second one along a row for an odd number of cells; for an even number every row has
      // half.
      const auto filled = static_cast<std::int64_t>(n_filled * tile.words[2 * tile.stride + i] >> 32);
      std::int64_t row, column;
      if (cells_ % 2 == 1) {
        row = 2 * filled / cells_;
        column = 2 * filled % cells_;
      } else {
        row = filled / (cells_ / 2);
        column = 2 * (filled % (cells_ / 2)) + row % 2;
      }
      const double u = uniform_from_word(tile.words[i]), v = uniform_from_word(tile.words[tile.stride + i]);
      out(tile.begin + i, 0) = static_cast<float>(-half_width_ + width * (static_cast<double>(column) + u));
      out(tile.begin + i, 1) = static_cast<float>(-half_width_ + width * (static_cast<double>(row) + v));
    }
  });
}

double CheckerboardTarget::evaluate(const double* x, double sigma, double* score) const {
  require(has_density(sigma), "checkerboard has no score without smoothing; use sigma > 0, found {}", sigma);
  const auto horizontal = strips(x[0], cells_, half_width_, sigma), vertical = strips(x[1], cells_, half_width_, sigma);
  data::LogSum sum(2);
  const auto add = [&](const data::LogSum& a, const data::LogSum& b) {
    const double slopes[2] = {a.mean(0), b.mean(0)};
    sum.add(a.log() + b.log(), slopes);
  };
  add(horizontal.even, vertical.even);
  if (cells_ > 1) add(horizontal.odd, vertical.odd);
  for (std::size_t k = 0; score != nullptr && k < 2; ++k) score[k] = sum.mean(k);
  const double width = 2.0 * half_width_ / static_cast<double>(cells_);
  const auto n_filled = static_cast<double>((cells_ * cells_ + 1) / 2);
  return sum.log() - std::log(n_filled * width * width);
}

double CheckerboardTarget::log_density(const double* x, double sigma) const { return evaluate(x, sigma, nullptr); }

void CheckerboardTarget::score(const double* x, double sigma, double* score) const { evaluate(x, sigma, score); }

}  // namespace tarn
