#include "tarn/models/sampler_only_dsm.hpp"

#include <algorithm>

#include "sampler_only_rows.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

/// Views of the workspace of one row, each `[D]`.
struct RowSpace {
  double *h, *score, *e, *dh;
  float *u, *a;
};

/// Everything that one pass over the rows needs.
struct Pass {
  const SamplingNetwork& network;
  const double* mixing;  ///< `S S^T`
  double *d_mixing, *dW, *db, *dgamma;
  RowSpace row;
  std::int64_t D;
  bool synaptic;  ///< sampler_only_sc
};

/// Drift of one point: fills `u`, `a` and `h`, and writes the score to `score`.
template <Nonlinearity phi>
void forward(const Pass& p, const float* y, double* score) {
  const std::int64_t D = p.D;
  const RowSpace& r = p.row;
  if (p.synaptic) {
    for (std::int64_t i = 0; i < D; ++i) r.a[i] = activate<phi>(y[i]);
  }
  for (std::int64_t i = 0; i < D; ++i) {
    const float* weights = p.network.W_in.row(i);
    const float* from = p.synaptic ? r.a : y;
    double sum = p.network.b(0, i);
    for (std::int64_t j = 0; j < D; ++j) sum += static_cast<double>(weights[j]) * from[j];
    if (p.synaptic) {
      r.h[i] = sum - y[i];
    } else {
      r.u[i] = static_cast<float>(sum);
      r.a[i] = activate<phi>(r.u[i]);
      r.h[i] = static_cast<double>(r.a[i]) - y[i];
    }
  }
  std::fill(score, score + D, 0.0);
  for (std::int64_t i = 0; i < D; ++i) {
    const double q = r.h[i] * p.network.gamma(0, i);
    for (std::int64_t j = 0; j < D; ++j) score[j] += q * p.mixing[i * D + j];
  }
}

/// Adds the gradients of one point, `row.e` being d loss / d score.
template <Nonlinearity phi>
void backward(const Pass& p, const float* y) {
  const std::int64_t D = p.D;
  const RowSpace& r = p.row;
  for (std::int64_t i = 0; i < D; ++i) {
    const double gamma = p.network.gamma(0, i), q = r.h[i] * gamma;
    double k = 0.0;
    for (std::int64_t j = 0; j < D; ++j) {
      k += r.e[j] * p.mixing[i * D + j];
      p.d_mixing[i * D + j] += q * r.e[j];
    }
    p.dgamma[i] += k * r.h[i];
    r.dh[i] = k * gamma;
  }
  for (std::int64_t i = 0; i < D; ++i) {
    const double g = p.synaptic ? r.dh[i] : r.dh[i] * activate_derivative<phi>(r.u[i], r.a[i]);
    const float* from = p.synaptic ? r.a : y;
    p.db[i] += g;
    for (std::int64_t j = 0; j < D; ++j) p.dW[i * D + j] += g * from[j];
  }
}

template <Nonlinearity phi>
DsmLoss pass_over(const Pass& p, const ScoreMatchingRows& rows) {
  DsmLoss total;
  const auto n_data = static_cast<double>(rows.n_data);
  for (std::int64_t i = 0; i < rows.points.rows; ++i) {
    const bool datum = i < rows.n_data;
    const double weight = (datum ? rows.loss_scale : 1.0) * rows.scale[i] / n_data;
    const float* y = rows.points.row(i);
    const float* target = rows.targets.row(i);
    double* score = p.row.score;
    forward<phi>(p, y, score);
    for (std::int64_t j = 0; j < p.D; ++j) {
      const double residual = rows.scale[i] * score[j] + target[j];
      if (datum) {
        total.loss += 0.5 * residual * residual;
        total.excess += score[j] * (0.5 * score[j] + target[j]);
      }
      p.row.e[j] = weight * residual;
    }
    backward<phi>(p, y);
  }
  total.loss /= n_data;
  total.excess /= n_data;
  return total;
}

void store(const double* from, Matrix<float>& to, std::int64_t rows, std::int64_t cols) {
  if (to.rows() != rows || to.cols() != cols) to = Matrix<float>(rows, cols);
  std::transform(from, from + rows * cols, to.data(), [](double v) { return static_cast<float>(v); });
}

}  // namespace

DsmLoss SamplerOnlyGradients::operator()(const SamplingNetwork& network, const ScoreMatchingRows& rows,
                                         SamplerOnlyGradient& gradient) {
  require(network.kind != ModelKind::reservoir_sampler, "a {} network has no sampler-only gradients",
          name_of(network.kind));
  const std::int64_t D = network.n_outputs;
  require(rows.points.cols == D && rows.targets.cols == D && rows.targets.rows == rows.points.rows,
          "points [{}, {}] and targets [{}, {}] must have {} columns and as many rows", rows.points.rows,
          rows.points.cols, rows.targets.rows, rows.targets.cols, D);
  require(rows.n_data >= 1 && rows.n_data <= rows.points.rows, "{} of {} rows cannot be data", rows.n_data,
          rows.points.rows);

  const auto n = static_cast<std::size_t>(D), square = n * n;
  mixing_.assign(square, 0.0);
  d_mixing_.assign(square, 0.0);
  dW_.assign(square, 0.0);
  db_.assign(n, 0.0);
  dgamma_.assign(n, 0.0);
  row_.resize(4 * n);
  row_values_.resize(2 * n);
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < D; ++k) sum += static_cast<double>(network.S(i, k)) * network.S(j, k);
      mixing_[static_cast<std::size_t>(i * D + j)] = mixing_[static_cast<std::size_t>(j * D + i)] = sum;
    }
  }

  const Pass pass{.network = network,
                  .mixing = mixing_.data(),
                  .d_mixing = d_mixing_.data(),
                  .dW = dW_.data(),
                  .db = db_.data(),
                  .dgamma = dgamma_.data(),
                  .row = {row_.data(), row_.data() + n, row_.data() + 2 * n, row_.data() + 3 * n, row_values_.data(),
                          row_values_.data() + n},
                  .D = D,
                  .synaptic = network.kind == ModelKind::sampler_only_sc};
  const DsmLoss loss = dispatch(network.phi, [&](auto phi) { return pass_over<phi.value>(pass, rows); });

  store(dW_.data(), gradient.W, D, D);
  store(db_.data(), gradient.b, 1, D);
  store(dgamma_.data(), gradient.gamma, 1, D);
  // dS = (d_mixing + d_mixing^T) S; dW_ is free now
  std::fill(dW_.begin(), dW_.end(), 0.0);
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t k = 0; k < D; ++k) {
      const double both = pass.d_mixing[i * D + k] + pass.d_mixing[k * D + i];
      for (std::int64_t j = 0; j < D; ++j) pass.dW[i * D + j] += both * network.S(k, j);
    }
  }
  store(dW_.data(), gradient.S, D, D);
  return loss;
}

DsmLoss sampler_only_gradient(const SamplingNetwork& network, const DsmLevel& level, const DsmBatch& batch,
                              SamplerOnlyGradient& gradient) {
  require(level.output_scale == 1.0, "output_scale is {}; sampler-only networks have 1", level.output_scale);
  NoisyBatches batches;
  batches.fill(batch, level);
  SamplerOnlyGradients gradients;
  return gradients(network, rows_of_step(batches, 0, batch.xi.cols, batch.x.rows, level.loss_scale), gradient);
}

}  // namespace tarn
