#include "tarn/sampling/half_step.hpp"

#include <algorithm>
#include <cmath>

#include "momentum_step.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

bool is_well(const float* x, std::int64_t D, double bound) {
  double square = 0.0;
  for (std::int64_t d = 0; d < D; ++d) square += static_cast<double>(x[d]) * static_cast<double>(x[d]);
  return std::sqrt(square) <= bound && std::isfinite(square);
}

// One of the two: chains with their own step.
struct Path {
  float dt = 0.0f;
  MomentumStep momentum;
  Matrix<float> x, v;
};

// `first a + second b` into `out`.
void combine(double first, const float* a, double second, const float* b, Matrix<float>& out) {
  for (std::int64_t i = 0; i < out.size(); ++i)
    out.data()[i] = static_cast<float>(first * static_cast<double>(a[i]) + second * static_cast<double>(b[i]));
}

class Pair {
 public:
  Pair(Backend& backend, const HalfStepPlan& plan)
      : backend_(backend),
        plan_(plan),
        n_(plan.start.rows),
        D_(plan.start.cols),
        weights_(half_normals(plan.integrator, plan.dt, plan.friction)),
        lost_(static_cast<std::size_t>(n_), false),
        points_(n_, D_ + plan.inputs.cols),
        f_(n_, D_),
        now_(2 * n_, D_),
        next_(2 * n_, D_),
        xi_(n_, D_),
        following_(n_, D_) {
    for (Path* path : {&coarse, &fine}) {
      const double dt = path == &coarse ? plan.dt : 0.5 * plan.dt;
      path->dt = static_cast<float>(dt);
      path->momentum = momentum_step(dt, plan.friction);
      path->x = Matrix<float>(n_, D_);
      std::copy_n(plan.start.data, n_ * D_, path->x.data());
    }
    if (has_momentum()) {
      // both start from one momentum; its normals are those of step 0, the dynamics begins at step 1
      coarse.v = Matrix<float>(n_, D_);
      fill_normals(plan.seed, Stream::half_step, plan.first_chain, 0, 1, coarse.v);
      fine.v = coarse.v;
    }
    for (std::int64_t i = 0; i < n_; ++i) hold(i);
    draw(0, next_);
  }

  /// Two fine steps and a coarse one, `step` 0, 1, ...
  void advance(std::int64_t step) {
    std::swap(now_, next_);
    draw(static_cast<std::uint64_t>(step) + 1, next_);
    const float *a = now_.row(0), *b = now_.row(n_);
    take(fine, a, b);
    take(fine, b, next_.row(0));
    combine(weights_.first, a, weights_.second, b, xi_);
    combine(weights_.first, next_.row(0), weights_.second, next_.row(n_), following_);
    take(coarse, xi_.data(), following_.data());
    quarantine();
  }

  bool lost(std::int64_t chain) const { return lost_[static_cast<std::size_t>(chain)]; }

  Path coarse, fine;

 private:
  bool has_momentum() const { return plan_.integrator == Integrator::baoab; }

  // Normals of the fine steps `2 step` and `2 step + 1`.
  void draw(std::uint64_t step, Matrix<float>& out) const {
    fill_normals(plan_.seed, Stream::half_step, plan_.first_chain, 1 + 2 * step, 2, out);
  }

  // A step of all chains, `xi` its own normals `[n, D]` and `next` those of the step after it, which Leimkuhler and Matthews's method shares.
  void take(Path& path, const float* xi, const float* next) {
    for (std::int64_t i = 0; i < n_; ++i) {
      std::copy_n(path.x.row(i), D_, points_.row(i));
      if (plan_.inputs.cols > 0) std::copy_n(plan_.inputs.row(i), plan_.inputs.cols, points_.row(i) + D_);
    }
    backend_.drift(*plan_.network, points_, f_);
    const bool shared = plan_.integrator == Integrator::leimkuhler_matthews;
    const float scale = std::sqrt(shared ? 0.5f * path.dt : 2.0f * path.dt);
    for (std::int64_t k = 0; k < n_ * D_; ++k) {
      float& x = path.x.data()[k];
      if (has_momentum()) {
        take_momentum_step(path.momentum, f_.data()[k], xi[k], x, path.v.data()[k]);
      } else {
        x += path.dt * f_.data()[k] + scale * (shared ? xi[k] + next[k] : xi[k]);
      }
    }
    for (std::int64_t i = 0; i < n_; ++i) hold(i);
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
  HalfNormals weights_;
  std::vector<bool> lost_;
  Matrix<float> points_, f_;
  Matrix<float> now_, next_;      // `[2 n, D]` normals of a pair of fine steps, and of the pair after it
  Matrix<float> xi_, following_;  // what they come to for coarse steps
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

HalfNormals half_normals(Integrator integrator, double dt, double friction) {
  const double kept = integrator == Integrator::baoab ? std::exp(-0.5 * friction * dt) : 1.0;
  const double norm = 1.0 / std::sqrt(1.0 + kept * kept);
  return {kept * norm, norm};
}

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
