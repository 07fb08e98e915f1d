#include "tarn/sampling/initial_law.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

// One state a row, by the law: `width` components.
void draw_rows(const InitialLaw& law, std::uint64_t seed, std::uint64_t first_chain, MatrixView<float> out) {
  switch (law.kind) {
    case InitialKind::normal:
      fill_normals(seed, Stream::initial_law, first_chain, 0, 1, out);
      for (std::int64_t i = 0; i < out.size(); ++i) out.data[i] *= static_cast<float>(law.standard_deviation);
      return;
    case InitialKind::uniform: {
      Matrix<std::uint32_t> words(out.rows, out.cols);
      fill_words(seed, Stream::initial_law, first_chain, 0, 1, words);
      for (std::int64_t i = 0; i < out.size(); ++i) {
        out.data[i] = static_cast<float>(law.low + (law.high - law.low) * uniform_from_word(words.data()[i]));
      }
      return;
    }
    case InitialKind::data: {
      require(law.rows.rows > 0 && law.rows.cols >= out.cols,
              "initial law \"data\": needs rows of {} values, found {} rows of {}", out.cols, law.rows.rows,
              law.rows.cols);
      Matrix<std::uint32_t> words(out.rows, 1);
      fill_words(seed, Stream::initial_law, first_chain, 0, 1, words);
      for (std::int64_t i = 0; i < out.rows; ++i) {
        const auto pick =
            static_cast<std::int64_t>(uniform_from_word(words(i, 0)) * static_cast<double>(law.rows.rows));
        std::copy_n(law.rows.row(pick), out.cols, out.row(i));
      }
      return;
    }
    case InitialKind::file: {
      const auto needed = static_cast<std::int64_t>(first_chain) + out.rows;
      require(law.rows.rows >= needed && law.rows.cols == out.cols,
              "initial states: {} chains need rows of {} values each, found {} rows of {}", needed, out.cols,
              law.rows.rows, law.rows.cols);
      std::copy_n(law.rows.row(static_cast<std::int64_t>(first_chain)), out.size(), out.data);
      return;
    }
  }
}

}  // namespace

void draw_initial_state(const InitialLaw& law, const NetworkView& network, std::uint64_t seed,
                        std::uint64_t first_chain, MatrixView<float> x, MatrixView<float> r,
                        MatrixView<const float> P) {
  const std::int64_t D = network.n_outputs, N = network.n_neurons;
  if (law.space == InitialSpace::x) {
    draw_rows(law, seed, first_chain, x);
    if (!r.data) return;
#pragma omp parallel for
    for (std::int64_t i = 0; i < r.rows; ++i) {
      for (std::int64_t j = 0; j < N; ++j) {
        double sum = 0.0;
        for (std::int64_t d = 0; d < D; ++d) sum += static_cast<double>(P(j, d)) * x(i, d);
        r(i, j) = static_cast<float>(sum);
      }
    }
    return;
  }
  // Some chains at a time: N values each, of which only D are kept in output mode.
  const std::int64_t piece = std::clamp<std::int64_t>((std::int64_t{1} << 22) / N, 1, x.rows);
  Matrix<float> drawn;
  for (std::int64_t begin = 0; begin < x.rows; begin += piece) {
    const std::int64_t end = std::min(begin + piece, x.rows);
    if (!r.data && drawn.rows() != end - begin) drawn = Matrix<float>(end - begin, N);
    const MatrixView<float> rows = r.data ? r.slice(begin, end) : drawn.view();
    draw_rows(law, seed, first_chain + static_cast<std::uint64_t>(begin), rows);
#pragma omp parallel for
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t d = 0; d < D; ++d) {
        double sum = 0.0;
        for (std::int64_t j = 0; j < N; ++j) sum += static_cast<double>(network.W_out[d * N + j]) * rows(i - begin, j);
        x(i, d) = static_cast<float>(sum);
      }
    }
  }
}

void draw_initial_momentum(std::uint64_t seed, std::uint64_t first_chain, std::uint64_t first_step,
                           MatrixView<float> v) {
  fill_normals(seed, Stream::dynamics_second, first_chain, first_step, 1, v);
}

double initial_reach(const InitialLaw& law, const NetworkView& network) {
  const std::int64_t D = network.n_outputs, N = network.n_neurons;
  if (law.kind == InitialKind::data || law.kind == InitialKind::file) {
    const std::int64_t width = law.space == InitialSpace::x ? D : N;
    double largest = 0.0;
    for (std::int64_t i = 0; i < law.rows.rows && width <= law.rows.cols; ++i) {
      double square = 0.0;
      for (std::int64_t d = 0; d < D; ++d) {
        double x = law.space == InitialSpace::x ? law.rows(i, d) : 0.0;
        for (std::int64_t j = 0; law.space == InitialSpace::r && j < N; ++j) {
          x += static_cast<double>(network.W_out[d * N + j]) * law.rows(i, j);
        }
        square += x * x;
      }
      if (std::isfinite(square)) largest = std::max(largest, square);  // a bad start must not lift the bound of all
    }
    return std::sqrt(largest);
  }
  // Mean and variance of one component as drawn, then of each output.
  const bool uniform = law.kind == InitialKind::uniform;
  const double mean = uniform ? 0.5 * (law.low + law.high) : 0.0;
  const double variance =
      uniform ? (law.high - law.low) * (law.high - law.low) / 12.0 : law.standard_deviation * law.standard_deviation;
  double square = 0.0;
  for (std::int64_t d = 0; d < D; ++d) {
    double reach = 0.0;
    if (law.space == InitialSpace::x) {
      reach = uniform ? std::max(std::abs(law.low), std::abs(law.high)) : 6.0 * std::sqrt(variance);
    } else {
      double sum = 0.0, squares = 0.0;
      for (std::int64_t j = 0; j < N; ++j) {
        const double w = network.W_out[d * N + j];
        sum += w;
        squares += w * w;
      }
      reach = std::abs(mean * sum) + 6.0 * std::sqrt(variance * squares);
    }
    square += reach * reach;
  }
  return std::sqrt(square);
}

}  // namespace tarn
