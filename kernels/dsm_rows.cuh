// What kernels that make the rows of training steps share (dsm_rows.cu says what rows are).
#pragma once

#include <cstdint>

#include "dsm_rows.hpp"
#include "normals.cuh"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {

/// Components 4 quad to 4 quad + 3 of a step with n components; those beyond n mean nothing.
__device__ inline void normals_of_quad(std::uint64_t seed, Stream stream, std::uint64_t chain, std::uint64_t step,
                                       std::int64_t n, std::int64_t quad, float (&out)[4]) {
  const auto offset = step * static_cast<std::uint64_t>(step_stride(n)) + static_cast<std::uint64_t>(4 * quad);
  normals_of_block(seed, static_cast<std::uint64_t>(stream) << 48 | chain, offset / 4, out);
  // one or two components a step: several steps share the block
  if ((offset & 2) != 0) {
    out[0] = out[2];
    out[1] = out[3];
  }
  if ((offset & 1) != 0) out[0] = out[1];
}

/// The noise of data row `row`, components as above, its sign included.
__device__ inline void noise_of_row(const DsmRowsCall& q, std::uint64_t step, std::int64_t row, std::int64_t quad,
                                    float (&out)[4]) {
  const float sign = q.antithetic && row % 2 == 1 ? -1.0f : 1.0f;
  const auto chain = static_cast<std::uint64_t>(q.antithetic ? row / 2 : row);
  normals_of_quad(q.seed, Stream::training_noise, chain, step, q.n_outputs, quad, out);
  for (float& component : out) component = mul(sign, component);
}

/// Where the data of row `row` begin: inputs u of confinement point p are those of data row p mod batch_size.
__device__ inline const float* data_of_row(const DsmRowsCall& q, std::int64_t row_offset, std::int64_t row) {
  std::int64_t like = row;
  if (row >= q.batch_size) like = (row - q.batch_size) % q.batch_size;  // a division that data rows need not wait for
  std::int64_t from = row_offset + (q.antithetic ? like / 2 : like);
  if (q.indices) from = q.indices[from];
  return q.data + from * q.n_columns;
}

/// A confinement point R d: its radius from the normal after those of the direction, and component k of d from its normal and the sum of
/// all squares. A direction of exactly zero length (D = 1, once in 2^25) gets some direction rather than none.
__device__ inline double confinement_radius(const DsmRowsCall& q, float normal) {
  const double uniform = 0.5 * ::erfc(-static_cast<double>(normal) * ::sqrt(0.5));
  return ::exp(q.log_low + (q.log_high - q.log_low) * uniform);
}
__device__ inline double confinement_direction(float normal, double square, std::int64_t k) {
  return square > 0.0 ? normal / ::sqrt(square) : (k == 0 ? 1.0 : 0.0);
}

/// Row `row` of the batch by a warp, all its lanes together.
__device__ inline void data_row(const DsmRowsCall& q, std::uint64_t step, std::int64_t row, const float* x,
                                unsigned lane) {
  for (std::int64_t quad = lane; 4 * quad < q.in_width; quad += 32) {
    float xi[4] = {};
    if (4 * quad < q.n_outputs) noise_of_row(q, step, row, quad, xi);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t k = 4 * quad + i;
      float value = k == q.n_columns ? 1.0f : 0.0f;
      if (k < q.n_columns) value = x[k];
      if (k < q.n_outputs) {
        value = add(value, mul(q.sigma, xi[i]));
        q.targets[row * q.out_width + k] = mul(q.inverse_sigma, xi[i]);
      }
      q.points[row * q.in_width + k] = value;
    }
  }
  if (lane == 0) q.target_scale[row] = 1.0f;
}

__device__ inline void confinement_row(const DsmRowsCall& q, std::uint64_t step, std::int64_t row, const float* x,
                                       unsigned lane) {
  const std::int64_t D = q.n_outputs;
  const auto chain = static_cast<std::uint64_t>(row - q.batch_size);
  double square = 0.0;
  float last = 0.0f;
  for (std::int64_t quad = lane; 4 * quad <= D; quad += 32) {
    float normal[4];
    normals_of_quad(q.seed, Stream::confinement, chain, step, D + 1, quad, normal);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t d = 4 * quad + i;
      if (d < D) square += static_cast<double>(normal[i]) * normal[i];
      if (d == D) last = normal[i];
    }
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) square += __shfl_xor_sync(0xffffffffu, square, lanes);
  last = __shfl_sync(0xffffffffu, last, static_cast<int>(D / 4 % 32));

  const double R = confinement_radius(q, last);
  for (std::int64_t quad = lane; 4 * quad < q.in_width; quad += 32) {
    float normal[4] = {};
    if (4 * quad < D) normals_of_quad(q.seed, Stream::confinement, chain, step, D + 1, quad, normal);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t k = 4 * quad + i;
      float value = k == q.n_columns ? 1.0f : 0.0f;
      if (k < D) {
        const double direction = confinement_direction(normal[i], square, k);
        value = static_cast<float>(R * direction);
        q.targets[row * q.out_width + k] = static_cast<float>(q.pull * direction);
      } else if (k < q.n_columns) {
        value = x[k];
      }
      q.points[row * q.in_width + k] = value;
    }
  }
  if (lane == 0) q.target_scale[row] = static_cast<float>(q.sigma_squared / R);
}

/// Row `row` of the record's step, if there are so many: all lanes of a warp of one-dimensional blocks, or of blocks 32 threads wide.
__device__ inline void make_row(const DsmRowsCall& q, const DsmRecord& record, std::int64_t row) {
  if (row >= q.batch_size + q.confinement_points) return;
  const float* x = data_of_row(q, record.row_offset, row);
  const unsigned lane = threadIdx.x % 32;
  if (row < q.batch_size) {
    data_row(q, record.step, row, x, lane);
  } else {
    confinement_row(q, record.step, row, x, lane);
  }
}

}  // namespace tarn::cuda
