#include "dsm_batch.hpp"

#include <algorithm>
#include <cmath>

#include "tarn/core/noise.hpp"

namespace tarn {

std::int64_t steps_a_chunk(std::int64_t batch_size, std::int64_t n_columns) {
  return std::clamp<std::int64_t>(65536 / std::max<std::int64_t>(batch_size * n_columns, 1), 1, 256);
}

NoisyStep NoisyBatches::step(std::int64_t i) const {
  return {points_.data() + i * rows_ * n_columns_, targets_.data() + i * rows_ * n_outputs_,
          target_scale_.data() + i * rows_};
}

void NoisyBatches::resize(std::int64_t n_steps, std::int64_t rows, std::int64_t n_outputs, std::int64_t n_columns) {
  rows_ = rows;
  n_outputs_ = n_outputs;
  n_columns_ = n_columns;
  const auto at_least = [](AlignedVector<float>& v, std::int64_t n) {
    if (static_cast<std::int64_t>(v.size()) < n) v.resize(static_cast<std::size_t>(n));
  };
  at_least(points_, n_steps * rows * n_columns);
  at_least(targets_, n_steps * rows * n_outputs);
  at_least(target_scale_, n_steps * rows);
}

void NoisyBatches::fill(BatchSource& source, const DsmLevel& level, std::int64_t D, std::int64_t B, std::uint64_t seed,
                        std::int64_t first_step, std::int64_t n_steps) {
  const std::int64_t K = source.n_columns(), C = level.confinement_points;
  require(B > 0 && n_steps > 0, "training: batch size and number of steps must be above 0, found {} and {}", B,
          n_steps);
  require(!level.antithetic || B % 2 == 0, "training: antithetic noise needs an even batch size, found {}", B);
  require(K >= D, "training: batches have {} columns, the network {} outputs", K, D);
  require(C == 0 || (level.confinement_radius[0] > 0.0 && level.confinement_radius[1] >= level.confinement_radius[0]),
          "training: confinement radii must satisfy 0 < smallest <= largest, found {} and {}",
          level.confinement_radius[0], level.confinement_radius[1]);
  resize(n_steps, B + C, D, K);
  const std::int64_t pair = level.antithetic ? 2 : 1, drawn = B / pair;
  if (data_.rows() != n_steps * drawn || data_.cols() != K) {
    data_ = Matrix<float>(n_steps * drawn, K);
    normals_ = Matrix<float>(n_steps * drawn, D);
  }
  source.fill(first_step, n_steps, data_);
  fill_normals(seed, Stream::training_noise, 0, static_cast<std::uint64_t>(first_step), n_steps, normals_);

  const auto sigma = static_cast<float>(level.sigma), inverse = static_cast<float>(1.0 / level.sigma);
  for (std::int64_t t = 0; t < n_steps; ++t) {
    float* points = points_.data() + t * rows_ * K;
    float* targets = targets_.data() + t * rows_ * D;
    for (std::int64_t i = 0; i < B; ++i) {
      const float sign = level.antithetic && i % 2 == 1 ? -1.0f : 1.0f;
      const float* x = data_.row(t * drawn + i / pair);
      const float* xi = normals_.row(t * drawn + i / pair);
      for (std::int64_t d = 0; d < D; ++d) {
        const float noise = sign * xi[d];
        points[i * K + d] = x[d] + sigma * noise;
        targets[i * D + d] = inverse * noise;
      }
      for (std::int64_t k = D; k < K; ++k) points[i * K + k] = x[k];
    }
    std::fill_n(target_scale_.data() + t * rows_, B, 1.0f);
  }
  if (C == 0) return;

  if (confinement_.rows() != n_steps * C || confinement_.cols() != D + 1)
    confinement_ = Matrix<float>(n_steps * C, D + 1);
  fill_normals(seed, Stream::confinement, 0, static_cast<std::uint64_t>(first_step), n_steps, confinement_);
  const double low = std::log(level.confinement_radius[0]), high = std::log(level.confinement_radius[1]);
  for (std::int64_t t = 0; t < n_steps; ++t) {
    float* points = points_.data() + (t * rows_ + B) * K;
    float* targets = targets_.data() + (t * rows_ + B) * D;
    for (std::int64_t p = 0; p < C; ++p) {
      const float* normal = confinement_.row(t * C + p);
      double square = 0.0;
      for (std::int64_t d = 0; d < D; ++d) square += static_cast<double>(normal[d]) * normal[d];
      // a normal of exactly zero length (D = 1, once in 2^25) gets some direction rather than none
      const double norm = square > 0.0 ? std::sqrt(square) : 1.0;
      const double uniform = 0.5 * std::erfc(-normal[D] * std::sqrt(0.5));
      const double R = std::exp(low + (high - low) * uniform);
      for (std::int64_t d = 0; d < D; ++d) {
        const double direction = square > 0.0 ? normal[d] / norm : (d == 0 ? 1.0 : 0.0);
        points[p * K + d] = static_cast<float>(R * direction);
        targets[p * D + d] = static_cast<float>(level.confinement_pull * direction);
      }
      const float* row = points_.data() + (t * rows_ + p % B) * K;
      for (std::int64_t k = D; k < K; ++k) points[p * K + k] = row[k];
      target_scale_[static_cast<std::size_t>(t * rows_ + B + p)] = static_cast<float>(level.sigma * level.sigma / R);
    }
  }
}

void NoisyBatches::fill(const DsmBatch& batch, const DsmLevel& level) {
  const std::int64_t B = batch.x.rows, K = batch.x.cols, D = batch.xi.cols;
  require(batch.xi.rows == B && B > 0 && K >= D, "training: data [{}, {}] and noise [{}, {}] do not fit", B, K,
          batch.xi.rows, D);
  resize(1, B, D, K);
  const auto sigma = static_cast<float>(level.sigma), inverse = static_cast<float>(1.0 / level.sigma);
  for (std::int64_t i = 0; i < B; ++i) {
    for (std::int64_t k = 0; k < K; ++k) points_[i * K + k] = batch.x(i, k) + (k < D ? sigma * batch.xi(i, k) : 0.0f);
    for (std::int64_t d = 0; d < D; ++d) targets_[i * D + d] = inverse * batch.xi(i, d);
  }
  std::fill_n(target_scale_.data(), B, 1.0f);
}

}  // namespace tarn
