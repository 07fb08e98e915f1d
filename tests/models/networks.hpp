// Small networks with weights of order one, for tests.
#pragma once

#include "message_of.hpp"
#include "models/array.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

inline SamplingNetwork some_network(ModelKind kind, std::int64_t D, std::int64_t U, std::int64_t N,
                                    Nonlinearity phi = Nonlinearity::tanh) {
  SamplingNetwork network;
  network.kind = kind;
  network.phi = phi;
  network.n_outputs = D;
  network.n_inputs = U;
  if (kind == ModelKind::reservoir_sampler) {
    network.W_in = normals(N, D + U, 1);
    network.b = normals(1, N, 2);
    network.W_out = normals(D, N, 3);
  } else {
    network.W_in = normals(D, D, 1);
    network.b = normals(1, D, 2);
    network.gamma = normals(1, D, 4);
    network.S = normals(D, D, 5);
  }
  return network;
}

inline constexpr ModelKind all_kinds[] = {ModelKind::reservoir_sampler, ModelKind::sampler_only_sc,
                                          ModelKind::sampler_only_fr};

}  // namespace tarn::test
