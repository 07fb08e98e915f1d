// Every kept draw of some chains, in memory, for evaluations that follow chains over time.
#pragma once

#include <algorithm>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/core/sink.hpp"

namespace tarn {

/// The first `n_kept` outputs of each draw, in the units that the chains live in.
class CourseSink final : public Sink {
 public:
  CourseSink(std::int64_t n_chains, std::int64_t n_draws, std::int64_t n_kept)
      : steps(static_cast<std::size_t>(n_draws)), times(static_cast<std::size_t>(n_draws)) {
    for (std::int64_t t = 0; t < n_draws; ++t) draws.emplace_back(n_chains, n_kept);
  }
  void take(const DrawBlock& block) override {
    const auto t = static_cast<std::size_t>(block.draw);
    steps[t] = block.step;
    times[t] = block.time;
    Matrix<float>& x = draws[t];
    for (std::int64_t i = 0; i < block.x.rows; ++i) std::copy_n(block.x.row(i), x.cols(), x.row(block.first_chain + i));
  }

  std::vector<std::int64_t> steps;   ///< `[n_draws]` before each draw
  std::vector<double> times;         ///< `[n_draws]` in units of tau
  std::vector<Matrix<float>> draws;  ///< `[n_draws]` of `[n_chains, n_kept]`
};

}  // namespace tarn
