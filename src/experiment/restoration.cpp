#include "tarn/experiment/restoration.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/models/hee_stability.hpp"

namespace tarn {
namespace {

constexpr std::int64_t steps_between = 10;  // of two states that are averaged: they are alike in between

// The plan's step, unless x_0 moves and noise of y holds it more tightly than that bears: then half of the longest stable one.
float stable_dt(const HeeDynamics& dynamics, const MeasuredHee& measured) {
  if (!measured.moves_observation()) return dynamics.dt;
  const double stiffest = largest_curvature(measured.model());
  const double longest = 2.0 / (dynamics.integrator == Integrator::baoab ? std::sqrt(stiffest) : stiffest);
  return std::min(dynamics.dt, static_cast<float>(0.5 * longest));
}

void add(const Matrix<float>& x, Matrix<double>& sum) {
  for (std::int64_t i = 0; i < x.size(); ++i) sum.data()[i] += static_cast<double>(x.data()[i]);
}

bool is_well(const float* row, std::int64_t n) {
  return std::all_of(row, row + n, [](float v) { return std::isfinite(v); });
}

}  // namespace

Restored restore(Backend& backend, const MeasuredHee& measured, const RestorationPlan& plan,
                 MatrixView<const float> y) {
  const std::int64_t n = y.rows, C = plan.chains_per_datum;
  require(n >= 1 && C >= 1 && plan.n_steps >= 2, "{} data, {} chains each, {} steps; allowed: 1, 1 and 2 or more", n, C,
          plan.n_steps);
  HeeDynamics dynamics = plan.dynamics;
  dynamics.dt = stable_dt(dynamics, measured);
  const auto session = backend.make_hee_session(measured.model(), {});
  session->set_rows({.n_data = n, .chains_per_datum = C, .first_chain = plan.first_chain});
  session->set_observations(measured.observations(y));
  session->reset(dynamics, plan.seed, 0, plan.spread);

  std::vector<Matrix<float>> state(2);  // a summary looks at layer 1 alone
  state[1] = Matrix<float>(n * C, measured.model().layers[1].size);
  const auto summary = [&] {
    session->read(1, state[1].view());
    return measured.summary(state);
  };
  HeeSteps steps;
  steps.seed = plan.seed;
  const auto advance = [&](std::int64_t n_steps) {
    steps.n_steps = n_steps;
    session->infer(dynamics, steps);
    steps.first_step += static_cast<std::uint64_t>(n_steps);
  };
  const std::int64_t burn_in = plan.n_steps / 2;
  advance(burn_in);
  Matrix<double> sum;
  Matrix<float> last;
  std::int64_t n_summed = 0;
  for (std::int64_t done = burn_in; done < plan.n_steps; ++n_summed) {
    const std::int64_t stretch = std::min(steps_between, plan.n_steps - done);
    advance(stretch);
    done += stretch;
    last = summary();
    if (sum.empty()) sum = Matrix<double>(last.rows(), last.cols());
    add(last, sum);
  }

  Matrix<float> mean(sum.rows(), sum.cols()), repeated(n * C, y.cols), first(n, last.cols());
  for (std::int64_t i = 0; i < sum.size(); ++i)
    mean.data()[i] = static_cast<float>(sum.data()[i] / static_cast<double>(n_summed));
  for (std::int64_t i = 0; i < n * C; ++i) std::copy_n(y.row(i / C), y.cols, repeated.row(i));
  for (std::int64_t i = 0; i < n; ++i) std::copy_n(last.row(i * C), last.cols(), first.row(i));
  Restored out;
  out.dt = dynamics.dt;
  out.of_chain = measured.restored(mean, repeated);
  out.draw = measured.restored(first, y);
  out.mean = Matrix<float>(n, out.of_chain.cols());
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<double> total(static_cast<std::size_t>(out.mean.cols()));
    std::int64_t n_well = 0;
    for (std::int64_t c = 0; c < C; ++c) {
      const float* row = out.of_chain.row(i * C + c);
      if (!is_well(row, out.mean.cols())) continue;
      ++n_well;
      for (std::size_t j = 0; j < total.size(); ++j) total[j] += static_cast<double>(row[j]);
    }
    out.n_lost += C - n_well;
    for (std::size_t j = 0; j < total.size(); ++j)  // 0 / 0 is NaN, as it should be
      out.mean.row(i)[j] = static_cast<float>(total[j] / static_cast<double>(n_well));
  }
  return out;
}

}  // namespace tarn
