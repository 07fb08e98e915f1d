#include "tarn/sampling/half_step.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// One of the two: chains with their own step.
struct Path {
  double dt = 0.0;
  double keep = 0.0;  // of v, in a step
  Matrix<float> x, v;
};

bool is_well(const float* x, std::int64_t D, double bound) {
  double square = 0.0;
  for (std::int64_t d = 0; d < D; ++d) square += static_cast<double>(x[d]) * static_cast<double>(x[d]);
  return std::sqrt(square) <= bound && std::isfinite(square);
}

class Pair {
 public:
  Pair(Backend& backend, const HalfStepPlan& plan)
      : backend_(backend),
        plan_(plan),
        n_(plan.start.rows),
        D_(plan.start.cols),
        lost_(static_cast<std::size_t>(n_), false),
        points_(n_, D_ + plan.inputs.cols),
        f_(n_, D_),
        xi_(n_, D_),
        fine_(2 * n_, D_),
        kept_(n_, D_),
        coarse_kept_(n_, D_) {
    for (Path* path : {&coarse, &fine}) {
      path->dt = path == &coarse ? plan.dt : 0.5 * plan.dt;
      path->keep = std::exp(-plan.friction * path->dt);
      path->x = Matrix<float>(n_, D_);
      std::copy_n(plan.start.data, n_ * D_, path->x.data());
    }
    if (plan.integrator == Integrator::baoab) {
      // both start from one momentum; its normals are those of step 0, the dynamics begins at step 1
      coarse.v = Matrix<float>(n_, D_);
      fill_normals(plan.seed, Stream::half_step, plan.first_chain, 0, 1, coarse.v);
      fine.v = coarse.v;
    }
    for (std::int64_t i = 0; i < n_; ++i) hold(i);
    if (plan.integrator == Integrator::leimkuhler_matthews) draw(0);
  }

  /// Two fine steps and a coarse one, `step` 0, 1, ...
  void advance(std::int64_t step) {
    if (plan_.integrator == Integrator::leimkuhler_matthews) {
      advance_shared(step);
    } else {
      draw(static_cast<std::uint64_t>(step));
      const bool momentum = plan_.integrator == Integrator::baoab;
      for (std::int64_t half = 0; half < 2; ++half)
        take(fine, [&](std::int64_t i) { return fine_.row(half * n_ + i); });
      // c xi_1 + xi_2, c what friction leaves after half a step, has variance 1 + c^2
      const double first = momentum ? fine.keep : 1.0, norm = 1.0 / std::sqrt(1.0 + first * first);
      combine(xi_, first * norm, norm);
      take(coarse, [&](std::int64_t i) { return xi_.row(i); });
    }
    quarantine();
  }

  bool lost(std::int64_t chain) const { return lost_[static_cast<std::size_t>(chain)]; }

  Path coarse, fine;

 private:
  // Normals of the two fine steps `2 step` and `2 step + 1`.
  void draw(std::uint64_t step) {
    fill_normals(plan_.seed, Stream::half_step, plan_.first_chain, 1 + 2 * step, 2, fine_);
  }
  void combine(Matrix<float>& out, double first, double second) const {
    for (std::int64_t i = 0; i < n_ * D_; ++i)
      out.data()[i] = static_cast<float>(first * static_cast<double>(fine_.data()[i]) +
                                         second * static_cast<double>(fine_.data()[n_ * D_ + i]));
  }

  void drift(const Path& path) {
    for (std::int64_t i = 0; i < n_; ++i) {
      std::copy_n(path.x.row(i), D_, points_.row(i));
      if (plan_.inputs.cols > 0) std::copy_n(plan_.inputs.row(i), plan_.inputs.cols, points_.row(i) + D_);
    }
    backend_.drift(*plan_.network, points_, f_);
  }

  // A step of chains with noise `xi_of(i)`: plain, or with momentum as docs/models.md (4b).
  template <class Noise>
  void take(Path& path, Noise&& xi_of) {
    drift(path);
    const bool momentum = plan_.integrator == Integrator::baoab;
    const double dt = path.dt, noise = momentum ? std::sqrt(1.0 - path.keep * path.keep) : std::sqrt(2.0 * dt);
    for (std::int64_t i = 0; i < n_; ++i) {
      const float* xi = xi_of(i);
      for (std::int64_t d = 0; d < D_; ++d) {
        double x = static_cast<double>(path.x(i, d));
        const double f = static_cast<double>(f_(i, d)), normal = static_cast<double>(xi[d]);
        if (momentum) {
          double v = static_cast<double>(path.v(i, d)) + dt * f;
          x += 0.5 * dt * v;
          v = path.keep * v + noise * normal;
          x += 0.5 * dt * v;
          path.v(i, d) = static_cast<float>(v);
        } else {
          x += dt * f + noise * normal;
        }
        path.x(i, d) = static_cast<float>(x);
      }
      hold(i);
    }
  }

  // Leimkuhler and Matthews: a step's noise is the mean of its own normal and the next one's, times sqrt(2 dt).
  void advance_shared(std::int64_t step) {
    const double r = std::sqrt(0.5);
    const auto add = [&](Path& path, const auto& of) {
      drift(path);
      const double scale = std::sqrt(0.5 * path.dt);
      for (std::int64_t i = 0; i < n_; ++i) {
        for (std::int64_t d = 0; d < D_; ++d)
          path.x(i, d) =
              static_cast<float>(static_cast<double>(path.x(i, d)) + path.dt * static_cast<double>(f_(i, d)) +
                                 scale * static_cast<double>(of(i, d)));
        hold(i);
      }
    };
    // `fine_` holds normals 2 step and 2 step + 1
    combine(coarse_kept_, r, r);
    add(fine, [&](std::int64_t i, std::int64_t d) { return fine_(i, d) + fine_(n_ + i, d); });
    std::copy_n(fine_.row(n_), n_ * D_, kept_.data());
    draw(static_cast<std::uint64_t>(step) + 1);
    add(fine, [&](std::int64_t i, std::int64_t d) { return kept_(i, d) + fine_(i, d); });
    combine(xi_, r, r);
    add(coarse, [&](std::int64_t i, std::int64_t d) { return coarse_kept_(i, d) + xi_(i, d); });
  }

  void hold(std::int64_t i) {
    if (plan_.clamp.rows == 0) return;
    const float* held = plan_.clamp.row(plan_.clamp.rows == 1 ? 0 : i);
    for (std::int64_t d = 0; d < D_; ++d) {
      if (std::isnan(held[d])) continue;
      for (Path* path : {&coarse, &fine}) {
        path->x(i, d) = held[d];
        if (!path->v.empty()) path->v(i, d) = 0.0f;
      }
    }
  }

  // A lost chain stays at zero, out of the way of those that are well.
  void quarantine() {
    for (std::int64_t i = 0; i < n_; ++i) {
      for (Path* path : {&coarse, &fine}) {
        if (!is_well(path->x.row(i), D_, plan_.bound)) lost_[static_cast<std::size_t>(i)] = true;
      }
      if (!lost(i)) continue;
      for (Path* path : {&coarse, &fine}) {
        std::fill_n(path->x.row(i), D_, 0.0f);
        if (!path->v.empty()) std::fill_n(path->v.row(i), D_, 0.0f);
      }
    }
  }

  Backend& backend_;
  const HalfStepPlan& plan_;
  std::int64_t n_, D_;
  std::vector<bool> lost_;
  Matrix<float> points_, f_, xi_, fine_, kept_, coarse_kept_;
};

void check_plan(const HalfStepPlan& p) {
  require(p.network != nullptr, "half step: there is no network");
  const NetworkView& network = p.network->view();
  require(p.start.rows > 0 && p.start.cols == network.n_outputs, "half step: start must be [n, {}], found [{}, {}]",
          network.n_outputs, p.start.rows, p.start.cols);
  require(p.inputs.cols == network.n_inputs && (p.inputs.cols == 0 || p.inputs.rows == p.start.rows),
          "half step: inputs must be [{}, {}], found [{}, {}]", p.start.rows, network.n_inputs, p.inputs.rows,
          p.inputs.cols);
  require(p.clamp.rows == 0 || (p.clamp.cols == p.start.cols && (p.clamp.rows == 1 || p.clamp.rows == p.start.rows)),
          "half step: clamp must be [1 or {}, {}], found [{}, {}]", p.start.rows, p.start.cols, p.clamp.rows,
          p.clamp.cols);
  require(p.dt > 0.0 && std::isfinite(p.dt), "half step: dt must be above 0, found {}", p.dt);
  require(p.n_steps >= 2, "half step: two steps or more, found {}", p.n_steps);
  require(p.integrator != Integrator::baoab || p.friction > 0.0, "half step: friction must be above 0, found {}",
          p.friction);
}

// Of the starts that are no lost ones.
std::vector<double> mean_of_well(const HalfStepPlan& plan) {
  std::vector<double> mean(static_cast<std::size_t>(plan.start.cols), 0.0);
  double n = 0.0;
  for (std::int64_t i = 0; i < plan.start.rows; ++i) {
    const float* x = plan.start.row(i);
    if (!is_well(x, plan.start.cols, plan.bound)) continue;
    n += 1.0;
    for (std::size_t d = 0; d < mean.size(); ++d) mean[d] += (static_cast<double>(x[d]) - mean[d]) / n;
  }
  return mean;
}

// Mean over chains of a difference, and its standard error.
PairedChange change_of(const std::vector<double>& differences) {
  const auto n = static_cast<double>(differences.size());
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (differences.size() < 2) return {nan, nan};
  double mean = 0.0, squares = 0.0;
  for (const double d : differences) mean += d / n;
  for (const double d : differences) squares += (d - mean) * (d - mean);
  return {mean, std::sqrt(squares / (n - 1.0) / n)};
}

}  // namespace

HalfStepCheck check_half_step(Backend& backend, const HalfStepPlan& plan) {
  check_plan(plan);
  const std::int64_t n = plan.start.rows, D = plan.start.cols;
  const std::vector<double> centre = mean_of_well(plan);

  // Of each chain and output, summed over the second half of the steps.
  Matrix<double> difference(n, D), squares(n, D), fine_squares(n, D), apart(n, 1);
  Pair pair(backend, plan);
  const std::int64_t n_looks = plan.n_steps - plan.n_steps / 2;
  for (std::int64_t step = 0; step < plan.n_steps; ++step) {
    pair.advance(step);
    if (step < plan.n_steps / 2) continue;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t d = 0; d < D; ++d) {
        const double a = static_cast<double>(pair.coarse.x(i, d)) - centre[static_cast<std::size_t>(d)];
        const double b = static_cast<double>(pair.fine.x(i, d)) - centre[static_cast<std::size_t>(d)];
        difference(i, d) += (a - b) / static_cast<double>(n_looks);
        squares(i, d) += (a * a - b * b) / static_cast<double>(n_looks);
        fine_squares(i, d) += b * b / static_cast<double>(n_looks);
        apart(i, 0) += (a - b) * (a - b) / static_cast<double>(n_looks);
      }
    }
  }

  HalfStepCheck check;
  check.time = plan.dt * static_cast<double>(plan.n_steps);
  std::vector<std::int64_t> well;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!pair.lost(i)) well.push_back(i);
  }
  check.n_chains = static_cast<std::int64_t>(well.size());
  check.n_lost = n - check.n_chains;
  const auto of_chains = [&](const auto& value) {
    std::vector<double> values;
    for (const std::int64_t i : well) values.push_back(value(i));
    return values;
  };
  for (std::int64_t d = 0; d < D; ++d) {
    check.mean.push_back(change_of(of_chains([&](std::int64_t i) { return difference(i, d); })));
    check.mean_square.push_back(change_of(of_chains([&](std::int64_t i) { return squares(i, d); })));
    check.spread.push_back(change_of(of_chains([&](std::int64_t i) { return fine_squares(i, d); })).value);
  }
  const auto sum_of = [&](const Matrix<double>& of) {
    return of_chains([&](std::int64_t i) {
      double sum = 0.0;
      for (std::int64_t d = 0; d < D; ++d) sum += of(i, d);
      return sum;
    });
  };
  const double spread = change_of(sum_of(fine_squares)).value;
  const PairedChange total = change_of(sum_of(squares));
  check.total = {total.value / spread, total.error / spread};
  check.path = std::sqrt(change_of(of_chains([&](std::int64_t i) { return apart(i, 0); })).value / spread);
  return check;
}

double extrapolated(double change, int order) {
  const double factor = std::exp2(order);
  return change * factor / (factor - 1.0);
}

}  // namespace tarn
