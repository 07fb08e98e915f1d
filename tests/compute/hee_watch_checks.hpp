// What looks at a session's chains must be on any backend: those of a watch in the host's memory at the states that are read.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "compute/hee_session_checks.hpp"
#include "host_watch.hpp"

namespace tarn::test {

/// Units as `watched_units` orders them, `[n_rows, units]`.
inline Matrix<float> watched_states(const HeeSession& session, const std::vector<HeeUnits>& order,
                                    std::int64_t n_rows) {
  Matrix<float> x(n_rows, n_units(order));
  std::int64_t column = 0;
  for (const HeeUnits& piece : order) {
    const Matrix<float> layer = read(session, piece.layer, n_rows);
    for (std::int64_t i = 0; i < n_rows; ++i) std::copy_n(layer.row(i) + piece.first, piece.n, x.row(i) + column);
    column += piece.n;
  }
  return x;
}

inline void expect_same_sums(const WatchState& found, const WatchState& expected) {
  EXPECT_EQ(found.clock, expected.clock);
  std::vector<std::vector<double>> arrays[2];
  const auto collect = [](const WatchState& state, std::vector<std::vector<double>>& into) {
    WatchState::for_each_array(state,
                               [&](const char*, const auto& array) { into.emplace_back(array.begin(), array.end()); });
  };
  collect(found, arrays[0]);
  collect(expected, arrays[1]);
  for (std::size_t k = 0; k < arrays[0].size(); ++k) {
    ASSERT_EQ(arrays[0][k].size(), arrays[1][k].size());
    for (std::size_t i = 0; i < arrays[0][k].size(); ++i) {
      if (std::isnan(arrays[0][k][i]) && std::isnan(arrays[1][k][i])) continue;
      ASSERT_EQ(arrays[0][k][i], arrays[1][k][i]) << "array " << k << " at " << i;
    }
  }
}

/// Seven chains, one of which is lost on the way, looked at ten times in layers `first` to `last`; half way another session takes over.
inline void expect_watched(const MakeHee& make, int first, int last, bool free_observation, std::int64_t n_outputs) {
  SCOPED_TRACE(testing::Message() << "layers " << first << " to " << last << ", " << n_outputs << " outputs");
  const HeeParameters p = some_hee({{5, 9, 6}, {Family::gaussian, Family::laplace, Family::quartic}});
  constexpr std::int64_t n = 7;
  HeeDynamics d = dynamics_of(Integrator::leimkuhler_matthews, Interneurons::sampled);
  d.free_observation = free_observation;
  const std::vector<HeeUnits> order = watched_units(p, first, last, n_outputs);
  WatchPlan plan;
  plan.n_outputs = n_outputs;
  std::unique_ptr<HeeSession> session = make(p, {});
  session->set_rows({.n_data = n});
  session->set_observations(some_states(p, 0, n));
  session->reset(d, 3, 0, 1.0f);
  Matrix<float> top = read(*session, 2, n);
  top(4, 2) = 60.0f;  // the cubic force is larger than a step can follow
  session->write(2, top);
  session->watch(first, last, plan);
  HostWatch expected(plan, n, n_units(order), nullptr);
  for (std::uint64_t look = 0; look < 10; ++look) {
    session->infer(d, {.seed = 3, .first_step = 5 * look, .n_steps = 5});
    session->observe();
    Matrix<float> x = watched_states(*session, order, n);
    if (session->first_bad_step()[4] >= 0)
      std::fill_n(x.row(4), x.cols(), std::numeric_limits<float>::quiet_NaN());  // a held observation too
    expected.observe(x.view(), 1);
    if (look != 4) continue;
    const WatchState so_far = session->read_watch();
    std::unique_ptr<HeeSession> other = make(p, {});
    other->set_rows({.n_data = n});
    other->restore(session->chain_state());
    other->watch(first, last, plan, &so_far);
    session = std::move(other);
  }
  EXPECT_GE(session->first_bad_step()[4], 0);
  expect_same_sums(session->read_watch(), expected.state());
}

}  // namespace tarn::test
