// Networks and sinks for tests of the chain engine.
#pragma once

#include <map>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/core/sink.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

inline Matrix<float> normals(std::int64_t rows, std::int64_t cols, std::uint64_t which, double scale = 1.0) {
  Matrix<float> m(rows, cols);
  if (m.size() == 0) return m;
  fill_normals(31415, Stream::evaluation, 0, which, 1, m);
  for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] *= static_cast<float>(scale);
  return m;
}

/// A reservoir-sampler network with a mild drift towards the middle.
inline SamplingNetwork some_network(Nonlinearity phi, std::int64_t D, std::int64_t U, std::int64_t N) {
  SamplingNetwork n;
  n.phi = phi;
  n.n_outputs = D;
  n.n_inputs = U;
  n.W_in = normals(N, D + U, 1, 1.0);
  n.b = normals(1, N, 2, 0.5);
  n.W_out = normals(D, N, 3, 0.5 / static_cast<double>(N));
  n.sigma = 0.3;
  return n;
}

/// A network in the form that the engine runs.
struct Prepared {
  RunnableNetwork runnable;
  std::unique_ptr<PreparedNetwork> network;

  Prepared(Backend& backend, const SamplingNetwork& n) : runnable(n), network(backend.prepare(runnable.view())) {}
};

/// Keeps every draw: `x[draw]` `[n_chains, D]` by global chain, and what came with it.
class KeepingSink final : public Sink {
 public:
  struct Draw {
    std::map<std::int64_t, std::vector<float>> x, activity;  ///< by global chain
    std::int64_t step = 0;
    double time = 0.0;
    bool operator==(const Draw&) const = default;
  };
  std::map<std::int64_t, Draw> draws;
  std::int64_t n_blocks = 0;

  void take(const DrawBlock& block) override {
    Draw& draw = draws[block.draw];
    draw.step = block.step;
    draw.time = block.time;
    for (std::int64_t i = 0; i < block.x.rows; ++i) {
      draw.x[block.first_chain + i].assign(block.x.row(i), block.x.row(i) + block.x.cols);
      if (block.activity.data) {
        draw.activity[block.first_chain + i].assign(block.activity.row(i), block.activity.row(i) + block.activity.cols);
      }
    }
    ++n_blocks;
  }
};

}  // namespace tarn::test
