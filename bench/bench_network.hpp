// A network for benches of chains: what it draws does not matter, that it is not NaN does.
#pragma once

#include "tarn/compute/backend.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::bench {

/// W_in normals times `in_scale`, no biases, W_out normals over N.
struct BenchNetwork {
  Matrix<float> W_in, b, W_out;
  NetworkView view;

  BenchNetwork(std::int64_t D, std::int64_t N, float in_scale, Nonlinearity phi = Nonlinearity::relu)
      : W_in(N, D), b(1, N), W_out(D, N) {
    fill_normals(1, Stream::weight_init, 0, 0, 1, W_in);
    fill_normals(1, Stream::weight_init, 0, 1, 1, W_out);
    for (std::int64_t i = 0; i < W_in.size(); ++i) W_in.data()[i] *= in_scale;
    for (std::int64_t i = 0; i < W_out.size(); ++i) W_out.data()[i] /= static_cast<float>(N);
    view = {D, 0, N, phi, W_in.data(), b.data(), W_out.data(), nullptr, nullptr};
  }
};

}  // namespace tarn::bench
