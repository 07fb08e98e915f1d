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
    require(run.integrator != Integrator::baoab || (std::isfinite(s.friction) && s.friction > 0.0),
            "sampling: the friction of a momentum must be above 0, found {}", s.friction);
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
  require(run.watch.n_outputs >= 0 && run.watch.n_outputs <= first.n_outputs,
          "live diagnostics: {} outputs are to be watched, there are {}", run.watch.n_outputs, first.n_outputs);
  require(run.until.empty() || (run.watch.n_outputs > 0 && run.stages.back().watch > 0),
          "sampling: a rule to stop by needs live diagnostics in the last stage");
  require(run.reservoir || !run.private_noise.data, "noise private to the neurons needs reservoir mode");
  if (run.reservoir) {
    require(run.integrator != Integrator::baoab, "reservoir mode has no momentum");
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

// The chains of one tile, held by the backend, and what is recorded of them.
class Tile {
 public:
  Tile(Backend& backend, const SamplingRun& run, SamplingPosition& at, std::int64_t begin, std::int64_t end)
      : run_(run), view_(run.stages.front().network->view()), begin_(begin), n_(end - begin) {
    Matrix<float> x(n_, view_.n_outputs), v, r, clamp;
    if (has_momentum()) v = Matrix<float>(n_, view_.n_outputs);
    if (run.reservoir) r = Matrix<float>(n_, view_.n_neurons);
    if (at.x.empty()) {
      draw_initial_state(run.initial, view_, run.seed, global_chain(), x, r.view(), run.P);
      if (has_momentum()) draw_initial_momentum(run.seed, global_chain(), run.first_step, v);
    } else {
      require(at.x.rows() == n_ && at.x.cols() == x.cols() && at.v.size() == v.size() && at.r.size() == r.size(),
              "sampling: the stored state of {} x {} is not that of {} chains with D = {}", at.x.rows(), at.x.cols(),
              n_, x.cols());
      x = std::move(at.x);
      v = std::move(at.v);
      r = std::move(at.r);
      at.x = at.v = at.r = {};
    }
    if (run.clamp.data) {
      clamp = Matrix<float>(n_, view_.n_outputs);
      for (std::int64_t i = 0; i < n_; ++i) {
        std::copy_n(run.clamp.row(run.clamp.rows == 1 ? 0 : begin_ + i), view_.n_outputs, clamp.row(i));
      }
    }
    const MatrixView<const float> held = clamp.empty() ? MatrixView<const float>{} : clamp.view();
    ChainBlock chains{x, inputs(0), held, first_bad_step(at).data()};
    if (has_momentum()) chains.v = v.view();
    MatrixView<float> rates;
    if (run.reservoir) rates = r.view();
    chains_ = backend.hold(view_, {chains, rates, run.P, run.private_noise});
    if (is_watched()) chains_->watch(run.watch, at.watch ? &*at.watch : nullptr);
    if (at.watch) clock_ = at.watch->clock;
    at.watch.reset();
  }

  void advance(const Stage& stage, std::uint64_t noise_step, std::int64_t n_steps, std::int64_t piece) {
    use_inputs(piece);
    LangevinSteps steps;
    steps.integrator = run_.integrator;
    steps.dt = static_cast<float>(stage.dt);
    steps.friction = static_cast<float>(stage.friction);
    steps.seed = run_.seed;
    steps.first_chain = global_chain();
    steps.first_step = noise_step;
    steps.n_steps = n_steps;
    if (stage.bound > 0.0) steps.bound = static_cast<float>(stage.bound);
    chains_->advance(*stage.network, steps);
  }

  // The state as it is handed on: denoised where that is asked for. It may travel while the chains go on.
  void begin_draw(const Stage& stage, std::int64_t piece, bool rates) {
    use_inputs(piece);
    DrawRequest request;
    if (run_.denoise) {
      request.score = stage.score ? stage.score : stage.network;
      request.variance = static_cast<float>(stage.sigma * stage.sigma);
    }
    request.rates = rates;
    chains_->begin_draw(request);
  }
  ChainDraw finish_draw() { return chains_->finish_draw(); }

  MatrixView<const float> activity(MatrixView<const float> r) {
    const ActivityRecording& record = run_.recording;
    if (activity_.empty()) activity_ = Matrix<float>(n_, record.n_recorded());
    const auto n_neurons = static_cast<std::int64_t>(record.neurons.size());
    for (std::int64_t i = 0; i < n_; ++i) {
      for (std::int64_t j = 0; j < n_neurons; ++j) activity_(i, j) = r(i, record.neurons[static_cast<std::size_t>(j)]);
      for (std::int64_t q = 0; q < record.projections.rows(); ++q) {
        double sum = 0.0;
        for (std::int64_t j = 0; j < r.cols; ++j) sum += static_cast<double>(record.projections(q, j)) * r(i, j);
        activity_(i, n_neurons + q) = static_cast<float>(sum);
      }
    }
    return activity_;
  }

  bool is_watched() const { return run_.watch.n_outputs > 0; }
  // Looks at the chains where they are, at steps that the schedule alone decides.
  void observe() {
    chains_->observe();
    clock_.advance();
  }
  const WatchClock& clock() const { return clock_; }
  // With the chains of tiles before this one.
  LiveSums live_sums(LiveSums before) {
    before.add_tile(chains_->read_watch());
    return before;
  }

  // Everything that a later run needs to go on.
  void store(SamplingPosition& at) {
    if (is_watched()) at.watch = chains_->read_watch();
    at.x = Matrix<float>(n_, view_.n_outputs);
    if (has_momentum()) at.v = Matrix<float>(n_, view_.n_outputs);
    if (run_.reservoir) at.r = Matrix<float>(n_, view_.n_neurons);
    store(at.x, at.v.view(), at.r.view(), at);
  }
  void store_first_bad_step(SamplingPosition& at) { store({}, {}, {}, at); }
  // The same as of some recent step, for the progress bar.
  void look(SamplingPosition& at) { chains_->look(first_bad_step(at)); }

  std::uint64_t global_chain() const { return run_.first_chain + static_cast<std::uint64_t>(begin_); }
  std::int64_t size() const { return n_; }

 private:
  std::span<std::int64_t> first_bad_step(SamplingPosition& at) const {
    return std::span(at.first_bad_step).subspan(static_cast<std::size_t>(begin_), static_cast<std::size_t>(n_));
  }
  bool has_momentum() const { return run_.integrator == Integrator::baoab; }
  void store(MatrixView<float> x, MatrixView<float> v, MatrixView<float> r, SamplingPosition& at) {
    chains_->store({{x, {}, {}, first_bad_step(at).data(), v}, r, {}, {}});
  }
  MatrixView<const float> inputs(std::int64_t piece) const {
    if (view_.n_inputs == 0) return {};
    const std::int64_t row = piece * run_.n_chains + begin_;
    return run_.inputs.slice(row, row + n_);
  }
  void use_inputs(std::int64_t piece) {
    if (view_.n_inputs == 0 || piece == piece_) return;
    chains_->set_inputs(inputs(piece));
    piece_ = piece;
  }

  const SamplingRun& run_;
  const NetworkView& view_;
  std::int64_t begin_, n_, piece_ = 0;
  std::unique_ptr<Chains> chains_;
  WatchClock clock_;  // as the backend counts
  Matrix<float> activity_;
};

// A draw that was begun and not yet handed on.
struct PendingDraw {
  std::int64_t draw = 0, done = 0;
  double time = 0.0;
  bool record = false;
};

// Chains in a tile: what memory allows, in multiples of what suits the backend.
std::int64_t tile_size(const Backend& backend, const SamplingRun& run) {
  const NetworkView& n = run.stages.front().network->view();
  const std::int64_t floats = (run.integrator == Integrator::baoab ? 5 : 4) * n.n_outputs + n.n_inputs +
                              (run.reservoir ? 3 * n.n_neurons : 0) + run.recording.n_recorded();
  const std::int64_t sums = watch_bytes_a_chain(run.watch, n.n_outputs);
  const ChainMemory memory = backend.chain_memory(n, run.n_chains, run.reservoir);
  std::int64_t room = memory.tile;
  if (const std::int64_t needed = memory.needed + sums * run.n_chains; memory.free > 0 && needed > memory.free) {
    const double share = static_cast<double>(memory.free) / static_cast<double>(needed);
    room = std::clamp<std::int64_t>(static_cast<std::int64_t>(share * static_cast<double>(run.n_chains)), 1, room);
  }
  if (!run.until.empty()) {
    require(room >= run.n_chains,
            "sampling.until judges all {} chains at a time, memory takes {}; run fewer, or watch fewer outputs",
            run.n_chains, room);
    return run.n_chains;
  }
  const std::int64_t fits = std::min(std::max<std::int64_t>(run.memory_bytes / (4 * floats + sums), 1), room);
  if (fits >= run.n_chains) return run.n_chains;
  const std::int64_t unit = backend.preferred_tile(n);
  return fits >= unit ? fits / unit * unit : fits;
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
  LiveSums live(run.watch, run.n_chains, view.n_outputs);

  SamplingPosition at = checkpoints.from ? *checkpoints.from : SamplingPosition{};
  if (at.tile_size == 0) {
    at.tile_size = tile_size(backend, run);
    at.last_draw = Matrix<float>(run.n_chains, view.n_outputs);
    at.first_bad_step.assign(static_cast<std::size_t>(run.n_chains), -1);
  }
  require(at.last_draw.rows() == run.n_chains && at.last_draw.cols() == view.n_outputs &&
              std::ssize(at.first_bad_step) == run.n_chains && at.stage < std::ssize(run.stages),
          "sampling: the stored position is not one of this run");
  require(at.watch.has_value() == (run.watch.n_outputs > 0 && !at.x.empty()),
          "sampling: the stored position and this run do not watch the same");
  if (run.watch.n_outputs > 0 && at.tile_begin > 0) live.unpack(at.live);
  const auto n_lost = [&] {
    return std::count_if(at.first_bad_step.begin(), at.first_bad_step.end(), [](auto s) { return s >= 0; });
  };

  while (at.tile_begin < run.n_chains) {
    const std::int64_t begin = at.tile_begin, end = std::min(begin + at.tile_size, run.n_chains);
    Tile chains(backend, run, at, begin, end);
    std::optional<PendingDraw> pending;
    const auto hand_on = [&] {
      if (!pending) return;
      const ChainDraw drawn = chains.finish_draw();
      std::copy_n(drawn.x.data, drawn.x.size(), at.last_draw.row(begin));
      if (sink) {
        sink->take({static_cast<std::int64_t>(chains.global_chain()), pending->draw, pending->done, pending->time,
                    drawn.x, pending->record ? chains.activity(drawn.r) : MatrixView<const float>{}});
      }
      pending.reset();
    };
    // Called between chunks: everything in `at` but the state of the tile is up to date, once the last draw is handed on.
    const auto pause = [&](bool tile_ended) {
      if (checkpoints.due && checkpoints.due()) {
        if (!tile_ended) {
          hand_on();
          chains.store(at);
        }
        if (run.watch.n_outputs > 0) at.live = live.pack();
        checkpoints.save(at);
        at.x = at.v = at.r = {};
        at.watch.reset();
      }
      stop_if_interrupted();
    };
    // The rule, and whoever wants to know; of all chains, so not where they come in several tiles.
    const auto judge = [&] {
      if (at.tile_size < run.n_chains || !is_judged(chains.clock(), run.until)) return;
      if (run.until.empty() && !run.judged) return;
      const LiveDiagnostics seen = chains.live_sums(live).diagnostics();
      if (run.judged) run.judged(at.done, seen);
      if (run.until.holds(seen)) at.stopped_at = at.done;
    };
    const std::int64_t longest = backend.steps_a_call(view, end - begin, run.reservoir);

    for (; at.stage < std::ssize(run.stages); ++at.stage) {
      const Stage& stage = run.stages[static_cast<std::size_t>(at.stage)];
      double time = at.stage_start + stage.dt * static_cast<double>(at.in_stage);
      const auto keep = [&] {
        // The inputs of the step that led here; another piece may begin with the next one.
        const std::int64_t last = std::max<std::int64_t>(at.done - 1, 0);
        const std::int64_t piece = last * run.n_input_pieces / std::max<std::int64_t>(total_steps, 1);
        hand_on();
        const bool record =
            sink && run.reservoir && run.recording.n_recorded() > 0 && at.draw % run.recording.every == 0;
        chains.begin_draw(stage, piece, record);
        pending = PendingDraw{at.draw, at.done, time, record};
        ++at.draw;
      };
      while (at.in_stage < stage.n_steps && at.stopped_at < 0) {
        std::int64_t n = std::min(longest, stage.n_steps - at.in_stage);
        if (stage.thin > 0) n = std::min(n, stage.thin - at.in_stage % stage.thin);
        const std::int64_t piece = at.done * run.n_input_pieces / total_steps;
        if (stage.watch > 0) n = std::min(n, stage.watch - at.in_stage % stage.watch);
        if (run.n_input_pieces > 1) {
          // Piece p covers steps ceil(p total / T) to ceil((p + 1) total / T).
          const std::int64_t next = ((piece + 1) * total_steps + run.n_input_pieces - 1) / run.n_input_pieces;
          n = std::min(n, next - at.done);
        }
        // With the midpoint scheme each stage before this one has left out one number.
        const std::uint64_t noise_step =
            run.first_step + static_cast<std::uint64_t>(at.done + (midpoint ? at.stage : 0));
        chains.advance(stage, noise_step, n, piece);
        hand_on();  // the last draw is written while these steps are at work
        at.in_stage += n;
        at.done += n;
        time = at.stage_start + stage.dt * static_cast<double>(at.in_stage);
        if (stage.thin > 0 && at.in_stage % stage.thin == 0) keep();
        at.chain_steps += static_cast<double>(n * chains.size());
        if (chains.is_watched() && stage.watch > 0 && at.in_stage % stage.watch == 0) {
          chains.observe();
          judge();
        }
        chains.look(at);
        if (progress) progress(at.chain_steps, n_lost());
        pause(false);
      }
      if (stage.keep_end && (stage.thin == 0 || at.in_stage % stage.thin != 0 || at.in_stage == 0)) keep();
      // The midpoint scheme shares each normal between two steps of one size: a new stage begins with a fresh one.
      at.stage_start = time;
      at.in_stage = 0;
    }
    hand_on();
    chains.store_first_bad_step(at);
    if (chains.is_watched()) live = chains.live_sums(std::move(live));
    at.tile_begin = end;
    at.stage = at.done = at.draw = 0;
    at.stage_start = 0.0;
    at.x = at.v = at.r = {};
    pause(true);
  }

  SamplingResult result;
  std::vector<Stage> stages = run.stages;
  if (at.stopped_at >= 0) stages.back().n_steps -= total_steps - at.stopped_at;
  result.n_draws = n_draws(stages);
  result.stopped_at = at.stopped_at;
  result.live = std::move(live);
  result.n_quarantined = n_lost();
  result.chain_steps = at.chain_steps;
  result.last_draw = std::move(at.last_draw);
  result.first_bad_step = std::move(at.first_bad_step);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace tarn
