// Output mode: each thread takes a tile of chains through all steps of the call; x stays in the tile, the hidden layer
// in cache.
#include "large_langevin.hpp"

#include <omp.h>

#include "large_tile.hpp"

namespace tarn::cpu {
namespace {

struct LangevinWorker {
  DriftTile drift;
  TileNoise noise;
  Panels clamp, momentum;

  LangevinWorker(const LargeNetwork& network, const LangevinSteps& steps, const ChainBlock& block,
                 std::int64_t n_chains)
      : drift(network, n_chains), noise(steps, network.n_outputs, n_chains, drift.kernels()) {
    if (block.clamp.data) clamp = Panels(n_chains, network.n_outputs);
    if (steps.integrator == Integrator::baoab) momentum = Panels(n_chains, network.n_outputs);
  }

  void run(const LargeNetwork& network, const LangevinSteps& steps, const ChainBlock& block, ChainRange chains) {
    const std::int64_t n = chains.size(), D = network.n_outputs;
    drift.state().load(0, block.x.slice(chains.begin, chains.end));
    if (network.n_columns > D) drift.state().load(D, block.u.slice(chains.begin, chains.end));
    if (!clamp.empty()) clamp.load(0, block.clamp.slice(chains.begin, chains.end));
    if (!momentum.empty()) momentum.load(0, block.v.slice(chains.begin, chains.end));
    noise.start(chains.begin, n);

    PanelUpdate q;
    q.n_outputs = D;
    q.dt = steps.dt;
    q.scale = noise.scale();
    q.limit = square_limit(steps.bound);
    q.momentum = momentum_step(steps);
    for (std::int64_t t = 0; t < steps.n_steps; ++t) {
      const std::uint64_t step = steps.first_step + static_cast<std::uint64_t>(t);
      drift.evaluate(n);
      for (std::int64_t p = 0; p < panels_of(n); ++p) {
        noise.make(p, step);
        q.packs = packs_of_panel(n, p);
        q.x = drift.state().panel(p);
        q.f = drift.drift().panel(p);
        q.xi = noise.xi(p);
        q.xi_next = noise.xi_next(p);
        q.clamp = clamp.empty() ? nullptr : clamp.panel(p);
        q.v = momentum.empty() ? nullptr : momentum.panel(p);
        if (const std::uint32_t escaped = drift.kernels().update(q))
          note_escaped(escaped, p, chains, step, block.first_bad_step);
      }
      noise.turn();
    }
    drift.state().store(0, block.x.slice(chains.begin, chains.end));
    if (!momentum.empty()) momentum.store(0, block.v.slice(chains.begin, chains.end));
  }
};

}  // namespace

void advance_large(const LargeNetwork& network, const LangevinSteps& steps, const ChainBlock& block, int n_threads) {
  if (block.x.rows == 0 || steps.n_steps == 0) return;
  const TilePlan plan(block.x.rows, n_threads);
  // Made here, not in the parallel region: out of memory is an exception.
  std::vector<LangevinWorker> workers;
  workers.reserve(static_cast<std::size_t>(n_threads));
  for (int i = 0; i < n_threads && i < plan.n_tiles(); ++i) workers.emplace_back(network, steps, block, plan.largest());
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(workers.size()))
  for (std::int64_t i = 0; i < plan.n_tiles(); ++i) {
    workers[static_cast<std::size_t>(omp_get_thread_num())].run(network, steps, block, plan.tile(i));
  }
}

void drift_large(const LargeNetwork& network, MatrixView<const float> points, MatrixView<float> out, int n_threads) {
  if (points.rows == 0) return;
  const TilePlan plan(points.rows, n_threads);
  std::vector<DriftTile> workers;
  workers.reserve(static_cast<std::size_t>(n_threads));
  for (int i = 0; i < n_threads && i < plan.n_tiles(); ++i) workers.emplace_back(network, plan.largest());
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(workers.size()))
  for (std::int64_t i = 0; i < plan.n_tiles(); ++i) {
    DriftTile& worker = workers[static_cast<std::size_t>(omp_get_thread_num())];
    const ChainRange range = plan.tile(i);
    worker.state().load(0, points.slice(range.begin, range.end));
    worker.evaluate(range.size());
    worker.drift().store(0, out.slice(range.begin, range.end));
  }
}

std::int64_t preferred_block_large(int n_threads) { return 4 * max_tile_chains * n_threads; }

}  // namespace tarn::cpu
