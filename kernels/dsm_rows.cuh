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

}  // namespace tarn::cuda
