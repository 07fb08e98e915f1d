#include "tarn/sampling/chain_engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>

#include "tarn/core/interrupt.hpp"

namespace tarn {
namespace {

void check(const SamplingRun& run) {
  require(!run.stages.empty(), "sampling: no stages");
  require(run.n_chains > 0, "sampling: needs at least one chain, found {}", run.n_chains);
  const NetworkView& first = run.stages.front().network->view();
  for (const Stage& s : run.stages) {
    const NetworkView& n = s.network->view();
    require(n.n_outputs == first.n_outputs && n.n_inputs == first.n_inputs,
            "sampling: stages have networks of different sizes");
    require(!run.reservoir || n.n_neurons == first.n_neurons,
            "reservoir mode: stages have different numbers of neurons");
    require(std::isfinite(s.dt) && s.dt > 0.0, "sampling: dt must be above 0, found {}", s.dt);
  }
  require(run.n_input_pieces >= 1, "inputs: needs at least one piece");
  if (first.n_inputs > 0) {
    require(run.inputs.rows == run.n_input_pieces * run.n_chains && run.inputs.cols == first.n_inputs,
            "inputs: the network takes {} a chain, so {} x {} values are needed, found {} x {}", first.n_inputs,
            run.n_input_pieces * run.n_chains, first.n_inputs, run.inputs.rows, run.inputs.cols);
    // The rectifiers give 0 for NaN, and inputs have no leak through which it would show.
    for (std::int64_t i = 0; i < run.inputs.size(); ++i) {
      require(std::isfinite(run.inputs.data[i]), "inputs: found {} in row {}; they must be finite", run.inputs.data[i],
              i / run.inputs.cols);
    }
  } else {
    require(run.inputs.rows == 0, "inputs were given, but the network takes none");
  }
  if (run.clamp.data) {
    require((run.clamp.rows == 1 || run.clamp.rows == run.n_chains) && run.clamp.cols == first.n_outputs,
            "clamp: needs {} values for all chains or for each of the {}, found {} x {}", first.n_outputs, run.n_chains,
            run.clamp.rows, run.clamp.cols);
  }
  require(run.reservoir || !run.private_noise.data, "noise private to the neurons needs reservoir mode");
  if (run.reservoir) {
    require(run.P.rows == first.n_neurons && run.P.cols == first.n_outputs,
            "reservoir mode: P must be {} x {}, found {} x {}", first.n_neurons, first.n_outputs, run.P.rows,
            run.P.cols);
    require(!run.private_noise.data || (run.private_noise.rows == 1 && run.private_noise.cols == first.n_neurons),
            "reservoir mode: private noise must be 1 x {}, found {} x {}", first.n_neurons, run.private_noise.rows,
            run.private_noise.cols);
    require(!first.c, "reservoir mode: sampler-only networks have no reservoir");
    for (std::int64_t j : run.recording.neurons) {
      require(j >= 0 && j < first.n_neurons, "record: neuron {} is out of range 0 to {}", j, first.n_neurons - 1);
    }
    require(run.recording.projections.empty() || run.recording.projections.cols() == first.n_neurons,
            "record: projections need {} columns, found {}", first.n_neurons, run.recording.projections.cols());
  }
}

// The chains of one tile, with room for everything that is done to them.
class Tile {
 public:
  Tile(Backend& backend, const SamplingRun& run, std::int64_t begin, std::int64_t end,
       std::span<std::int64_t> first_bad_step)
      : backend_(backend),
        run_(run),
        view_(run.stages.front().network->view()),
        begin_(begin),
        n_(end - begin),
        x_(n_, view_.n_outputs),
        first_bad_step_(first_bad_step) {
    if (run.reservoir) r_ = Matrix<float>(n_, view_.n_neurons);
    if (view_.n_inputs > 0 || run.denoise) points_ = Matrix<float>(n_, view_.n_outputs + view_.n_inputs);
    if (run.denoise) draw_ = Matrix<float>(n_, view_.n_outputs);
    if (run.clamp.data) {
      clamp_ = Matrix<float>(n_, view_.n_outputs);
      for (std::int64_t i = 0; i < n_; ++i) {
        std::copy_n(run.clamp.row(run.clamp.rows == 1 ? 0 : begin_ + i), view_.n_outputs, clamp_.row(i));
      }
    }
  }

  void start() { draw_initial_state(run_.initial, view_, run_.seed, global_chain(), x_, r_.view(), run_.P); }
  void restore(const SamplingPosition& at) {
    require(at.x.rows() == n_ && at.x.cols() == x_.cols() && at.r.size() == r_.size(),
            "sampling: the stored state of {} x {} is not that of {} chains with D = {}", at.x.rows(), at.x.cols(), n_,
            x_.cols());
    x_ = at.x;
    r_ = at.r;
  }
  void store(SamplingPosition& at) const {
    at.x = x_;
    at.r = r_;
  }

  void advance(const Stage& stage, std::uint64_t noise_step, std::int64_t n_steps, std::int64_t piece) {
    LangevinSteps steps;
    steps.integrator = run_.integrator;
    steps.dt = static_cast<float>(stage.dt);
    steps.seed = run_.seed;
    steps.first_chain = global_chain();
    steps.first_step = noise_step;
    steps.n_steps = n_steps;
    if (stage.bound > 0.0) steps.bound = static_cast<float>(stage.bound);
    const ChainBlock block{x_, inputs(piece), clamp_.view(), first_bad_step_.data()};
    if (run_.reservoir) {
      backend_.advance_reservoir(*stage.network, steps, {block, r_, run_.P, run_.private_noise});
    } else {
      backend_.advance(*stage.network, steps, block);
    }
  }

  // The state as it is handed on: denoised where that is asked for.
  MatrixView<const float> draw(const Stage& stage, std::int64_t piece) {
    if (!run_.denoise) return x_;
    const std::int64_t D = view_.n_outputs, U = view_.n_inputs;
    const MatrixView<const float> u = inputs(piece);
    for (std::int64_t i = 0; i < n_; ++i) {
      std::copy_n(x_.row(i), D, points_.row(i));
      if (U > 0) std::copy_n(u.row(i), U, points_.row(i) + D);
    }
    backend_.drift(stage.score ? *stage.score : *stage.network, points_, draw_);
    const auto variance = static_cast<float>(stage.sigma * stage.sigma);
    for (std::int64_t i = 0; i < draw_.size(); ++i) {
      const bool held = !clamp_.empty() && !std::isnan(clamp_.data()[i]);
      draw_.data()[i] = held ? x_.data()[i] : x_.data()[i] + variance * draw_.data()[i];
    }
    return draw_;
  }

  MatrixView<const float> activity() {
    const ActivityRecording& record = run_.recording;
    if (activity_.empty()) activity_ = Matrix<float>(n_, record.n_recorded());
    const auto n_neurons = static_cast<std::int64_t>(record.neurons.size());
    for (std::int64_t i = 0; i < n_; ++i) {
      for (std::int64_t j = 0; j < n_neurons; ++j) activity_(i, j) = r_(i, record.neurons[static_cast<std::size_t>(j)]);
      for (std::int64_t q = 0; q < record.projections.rows(); ++q) {
        double sum = 0.0;
        for (std::int64_t j = 0; j < r_.cols(); ++j) sum += static_cast<double>(record.projections(q, j)) * r_(i, j);
        activity_(i, n_neurons + q) = static_cast<float>(sum);
      }
    }
    return activity_;
  }

  std::uint64_t global_chain() const { return run_.first_chain + static_cast<std::uint64_t>(begin_); }
  std::int64_t size() const { return n_; }

 private:
  MatrixView<const float> inputs(std::int64_t piece) const {
    if (view_.n_inputs == 0) return {};
    const std::int64_t row = piece * run_.n_chains + begin_;
    return run_.inputs.slice(row, row + n_);
  }

  Backend& backend_;
  const SamplingRun& run_;
  const NetworkView& view_;
  std::int64_t begin_, n_;
  Matrix<float> x_, r_, points_, draw_, clamp_, activity_;
  std::span<std::int64_t> first_bad_step_;
};

// Chains in a tile: what memory allows, in multiples of what suits the backend.
std::int64_t tile_size(const Backend& backend, const SamplingRun& run) {
  const NetworkView& n = run.stages.front().network->view();
  const std::int64_t floats =
      4 * n.n_outputs + n.n_inputs + (run.reservoir ? 3 * n.n_neurons : 0) + run.recording.n_recorded();
  const std::int64_t most = std::max<std::int64_t>(run.memory_bytes / (4 * floats), 1);
  const std::int64_t unit = backend.preferred_tile(n);
  return std::min(run.n_chains, most >= unit ? most / unit * unit : most);
}

}  // namespace

SamplingResult run_chains(Backend& backend, const SamplingRun& run, Sink* sink,
                          const std::function<void(double, std::int64_t)>& progress,
                          const SamplingCheckpoints& checkpoints) {
  check(run);
  const auto start = std::chrono::steady_clock::now();
  const NetworkView& view = run.stages.front().network->view();
  const bool midpoint = run.integrator == Integrator::leimkuhler_matthews;
  const std::int64_t total_steps = n_steps(run.stages);

  SamplingPosition at = checkpoints.from ? *checkpoints.from : SamplingPosition{};
  if (at.tile_size == 0) {
    at.tile_size = tile_size(backend, run);
    at.last_draw = Matrix<float>(run.n_chains, view.n_outputs);
    at.first_bad_step.assign(static_cast<std::size_t>(run.n_chains), -1);
  }
  require(at.last_draw.rows() == run.n_chains && at.last_draw.cols() == view.n_outputs &&
              std::ssize(at.first_bad_step) == run.n_chains && at.stage < std::ssize(run.stages),
          "sampling: the stored position is not one of this run");
  const auto n_lost = [&] {
    return std::count_if(at.first_bad_step.begin(), at.first_bad_step.end(), [](auto s) { return s >= 0; });
  };

  while (at.tile_begin < run.n_chains) {
    const std::int64_t begin = at.tile_begin, end = std::min(begin + at.tile_size, run.n_chains);
    const auto bad =
        std::span(at.first_bad_step).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    Tile chains(backend, run, begin, end, bad);
    if (at.x.empty()) {
      chains.start();
    } else {
      chains.restore(at);
      at.x = at.r = {};
    }
    // Called between chunks: everything in `at` but the state of the tile is up to date.
    const auto pause = [&](bool tile_ended) {
      if (checkpoints.due && checkpoints.due()) {
        if (!tile_ended) chains.store(at);
        checkpoints.save(at);
        at.x = at.r = {};
      }
      stop_if_interrupted();
    };
    // Long enough to keep the device busy, short enough for a lively progress bar.
    const double work =
        4.0 * static_cast<double>(view.n_neurons * (view.n_outputs + view.n_inputs)) * static_cast<double>(end - begin);
    const auto longest = static_cast<std::int64_t>(std::clamp(2e10 / work, 1.0, 1e6));

    for (; at.stage < std::ssize(run.stages); ++at.stage) {
      const Stage& stage = run.stages[static_cast<std::size_t>(at.stage)];
      double time = at.stage_start + stage.dt * static_cast<double>(at.in_stage);
      const auto keep = [&] {
        // The inputs of the step that led here; another piece may begin with the next one.
        const std::int64_t last = std::max<std::int64_t>(at.done - 1, 0);
        const std::int64_t piece = last * run.n_input_pieces / std::max<std::int64_t>(total_steps, 1);
        const MatrixView<const float> x = chains.draw(stage, piece);
        std::copy_n(x.data, x.size(), at.last_draw.row(begin));
        if (sink) {
          const bool record = run.reservoir && run.recording.n_recorded() > 0 && at.draw % run.recording.every == 0;
          sink->take({static_cast<std::int64_t>(chains.global_chain()), at.draw, at.done, time, x,
                      record ? chains.activity() : MatrixView<const float>{}});
        }
        ++at.draw;
      };
      while (at.in_stage < stage.n_steps) {
        std::int64_t n = std::min(longest, stage.n_steps - at.in_stage);
        if (stage.thin > 0) n = std::min(n, stage.thin - at.in_stage % stage.thin);
        const std::int64_t piece = at.done * run.n_input_pieces / total_steps;
        if (run.n_input_pieces > 1) {
          // Piece p covers steps ceil(p total / T) to ceil((p + 1) total / T).
          const std::int64_t next = ((piece + 1) * total_steps + run.n_input_pieces - 1) / run.n_input_pieces;
          n = std::min(n, next - at.done);
        }
        // With the midpoint scheme each stage before this one has left out one number.
        const std::uint64_t noise_step =
            run.first_step + static_cast<std::uint64_t>(at.done + (midpoint ? at.stage : 0));
        chains.advance(stage, noise_step, n, piece);
        at.in_stage += n;
        at.done += n;
        time = at.stage_start + stage.dt * static_cast<double>(at.in_stage);
        if (stage.thin > 0 && at.in_stage % stage.thin == 0) keep();
        at.chain_steps += static_cast<double>(n * chains.size());
        if (progress) progress(at.chain_steps, n_lost());
        pause(false);
      }
      if (stage.keep_end && (stage.thin == 0 || stage.n_steps % stage.thin != 0 || stage.n_steps == 0)) keep();
      // The midpoint scheme shares each normal between two steps of one size: a new stage begins with a fresh one.
      at.stage_start = time;
      at.in_stage = 0;
    }
    at.tile_begin = end;
    at.stage = at.done = at.draw = 0;
    at.stage_start = 0.0;
    at.x = at.r = {};
    pause(true);
  }

  SamplingResult result;
  result.n_draws = n_draws(run.stages);
  result.n_quarantined = n_lost();
  result.chain_steps = at.chain_steps;
  result.last_draw = std::move(at.last_draw);
  result.first_bad_step = std::move(at.first_bad_step);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace tarn
