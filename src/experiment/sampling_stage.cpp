#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "live_watch.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/core/progress.hpp"
#include "tarn/core/version.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/pseudo_inverse.hpp"
#include "tarn/models/score.hpp"

namespace tarn {
namespace {

// Undoes shift and scale before draws are written (and a per-feature scaling too, where there is no filter in between).
class UnscalingSink final : public Sink {
 public:
  UnscalingSink(Sink& next, const PreparedData& data) : next_(next), data_(data) {}
  void take(const DrawBlock& block) override {
    DrawBlock out = block;
    const Matrix<float> x = in_file_units(data_, block.x);
    out.x = x.view();
    next_.take(out);
  }

 private:
  Sink& next_;
  const PreparedData& data_;
};

// Inputs `[B, U]` or `[T, B, U]` for the chains of a range, as the engine wants them.
struct Inputs {
  Matrix<float> values;
  std::int64_t n_pieces = 1;
};

Inputs read_inputs(const std::string& path, const PreparedData& data, std::int64_t n_inputs, std::int64_t n_chains,
                   const ChainRange& range) {
  Inputs inputs;
  if (n_inputs == 0) {
    if (!path.empty()) fail_usage("sampling.condition: the network takes no inputs (U = 0)");
    return inputs;
  }
  if (path.empty()) {
    if (data.rows.empty()) {
      fail_usage("sampling.condition: the network takes {} inputs a chain; give a .npy [{}, {}]", n_inputs, n_chains,
                 n_inputs);
    }
    inputs.values = Matrix<float>(range.end - range.begin, n_inputs);
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      std::copy_n(data.rows.row(i % data.rows.rows()) + data.n_outputs, n_inputs, inputs.values.row(i - range.begin));
    }
    return inputs;
  }
  const NpyArray array = read_npy(path);
  const auto& shape = array.shape;
  const bool series = shape.size() == 3;
  const std::int64_t pieces = series ? shape[0] : 1;
  if (shape.size() < 2 || shape.size() > 3 || shape[shape.size() - 2] != n_chains || shape.back() != n_inputs ||
      pieces < 1) {
    fail_usage("{}: needs shape [{}, {}] or [T, {}, {}], found {}", path, n_chains, n_inputs, n_chains, n_inputs,
               to_string(shape));
  }
  const Matrix<float> all = read_npy_matrix(path);  // first axis as rows, the rest in a row
  const std::int64_t here = range.end - range.begin;
  inputs.n_pieces = pieces;
  inputs.values = Matrix<float>(pieces * here, n_inputs);
  for (std::int64_t t = 0; t < pieces; ++t) {
    std::copy_n(all.data() + (t * n_chains + range.begin) * n_inputs, here * n_inputs, inputs.values.row(t * here));
  }
  return inputs;
}

Matrix<float> read_clamp(const std::string& path, std::int64_t n_outputs, std::int64_t n_chains,
                         const ChainRange& range) {
  if (path.empty()) return {};
  Matrix<float> values = read_npy_matrix(path);
  if (values.cols() == 1 && values.rows() == n_outputs) {  // one vector [D] for all
    Matrix<float> row(1, n_outputs);
    std::copy_n(values.data(), n_outputs, row.data());
    return row;
  }
  if (values.cols() != n_outputs || (values.rows() != n_chains && values.rows() != 1)) {
    fail_usage("{}: needs shape [{}] or [{}, {}], found [{}, {}]", path, n_outputs, n_chains, n_outputs, values.rows(),
               values.cols());
  }
  if (values.rows() == 1) return values;
  Matrix<float> here(range.end - range.begin, n_outputs);
  std::copy_n(values.row(range.begin), here.size(), here.data());
  return here;
}

Integrator integrator_of(const SamplingConfig& s) {
  if (s.integrator == "baoab") return Integrator::baoab;
  return s.integrator == "leimkuhler_matthews" ? Integrator::leimkuhler_matthews : Integrator::euler_maruyama;
}

std::vector<Stage> make_stages(const SamplingConfig& s, const PreparedData& data,
                               const std::vector<SamplingNetwork>& levels, const PreparedLevels& prepared,
                               const std::optional<PreparedLevels>& scores) {
  std::vector<Stage> stages;
  for (std::size_t l = 0; l < levels.size(); ++l) {
    Stage stage;
    stage.network = &prepared[l];
    if (scores) stage.score = &(*scores)[l];
    stage.sigma = levels[l].sigma;
    stage.dt = s.dt;
    stage.friction = s.friction;
    if (data.largest_norm > 0.0) stage.bound = chain_bound(s.bound, data.largest_norm, data.n_outputs, stage.sigma);
    stages.push_back(stage);
  }
  if (s.schedule == "last_level") return plain_schedule(stages.back(), s.burn_in, s.steps, s.thin);
  return annealed_schedule(stages, s.annealed.steps_per_level, s.annealed.dt0, s.annealed.then_steps, s.thin,
                           integrator_of(s));
}

}  // namespace

Matrix<float> in_file_units(const PreparedData& data, MatrixView<const float> x) {
  if (data.filter->kind() == "none") return data.to_data_units(x);
  Matrix<float> out(x.rows, x.cols);
  std::copy_n(x.data, x.size(), out.data());
  invert_scaling(data.scaling, out);
  return out;
}

Matrix<float> from_file_units(const PreparedData& data, Matrix<float> x) {
  if (data.filter->kind() == "none" && data.datum_scaling.is_invertible()) data.datum_scaling.apply(x);
  apply_scaling(data.scaling, x);
  return x;
}

PreparedLevels::PreparedLevels(Backend& backend, const std::vector<SamplingNetwork>& levels, MatrixView<const float> J,
                               MatrixView<const float> private_noise, DriftForm form) {
  for (const SamplingNetwork& level : levels) {
    if (private_noise.data) {
      runnable_.push_back(RunnableNetwork(level, J, output_diffusion(level.W_out, private_noise)));
    } else {
      runnable_.push_back(J.data ? RunnableNetwork(level, J) : RunnableNetwork(level, form));
    }
    prepared_.push_back(backend.prepare(runnable_.back().view()));
  }
}

DriftForm drift_form(const SamplingConfig& config) {
  return config.drift == "circuit" ? DriftForm::circuit : DriftForm::score;
}

Matrix<float> irreversible_matrix(const IrreversibleConfig& c, std::int64_t D, std::uint64_t seed) {
  Matrix<float> J;
  if (!c.matrix.empty()) {
    J = read_npy_matrix(c.matrix);
    if (J.rows() != D || J.cols() != D)
      fail_usage("{}: J must be {} x {}, found {} x {}", c.matrix, D, D, J.rows(), J.cols());
  } else if (c.strength > 0.0) {
    if (D < 2) fail_usage("sampling.irreversible.strength: needs at least two outputs, found D = {}", D);
    Matrix<float> A(D, D);
    fill_normals(seed, Stream::weight_init, 0, 16, 1, A);  // matrix number 16: behind the weights of all models
    J = Matrix<float>(D, D);
    for (std::int64_t i = 0; i < D; ++i) {
      for (std::int64_t j = 0; j < D; ++j) J(i, j) = A(i, j) - A(j, i);
    }
  }
  if (c.strength > 0.0) {
    double square = 0.0;
    for (std::int64_t i = 0; i < J.size(); ++i) square += static_cast<double>(J.data()[i]) * J.data()[i];
    if (square == 0.0)
      fail_usage("sampling.irreversible.strength: the matrix is zero and cannot be scaled to {}", c.strength);
    const auto factor = static_cast<float>(c.strength / std::sqrt(square));
    for (std::int64_t i = 0; i < J.size(); ++i) J.data()[i] *= factor;
  }
  return J;
}

std::vector<std::int64_t> parse_neurons(const std::string& text, std::int64_t N, std::uint64_t seed) {
  std::vector<std::int64_t> neurons;
  const auto number = [&](std::string_view part) {
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size() || value < 0) {
      fail_usage("sampling.record.neurons: \"{}\" is neither \"all\", \"random:K\" nor a list like \"0,3,17\"", text);
    }
    return value;
  };
  if (text == "all") {
    neurons.resize(static_cast<std::size_t>(N));
    std::iota(neurons.begin(), neurons.end(), std::int64_t{0});
    return neurons;
  }
  if (text.starts_with("random:")) {
    const std::int64_t K = number(std::string_view(text).substr(7));
    if (K < 1 || K > N) fail_usage("sampling.record.neurons: random:K needs K from 1 to {}, found {}", N, K);
    Matrix<std::uint32_t> keys(N, 1);
    fill_words(seed, Stream::evaluation, 0, 0, 1, keys);
    std::vector<std::int64_t> order(static_cast<std::size_t>(N));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return keys(a, 0) < keys(b, 0); });
    order.resize(static_cast<std::size_t>(K));
    std::sort(order.begin(), order.end());
    return order;
  }
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    neurons.push_back(number(std::string_view(text).substr(at, comma - at)));
    if (neurons.back() >= N)
      fail_usage("sampling.record.neurons: neuron {} is out of range 0 to {}", neurons.back(), N - 1);
    at = comma + 1;
  }
  return neurons;
}

ChainRange range_within(const ChainRange& asked, std::int64_t n_chains) {
  const ChainRange range{asked.begin, asked.end < 0 ? n_chains : asked.end};
  if (range.begin < 0 || range.begin >= range.end || range.end > n_chains) {
    fail_usage("chain range {}:{} must lie within 0:{}", range.begin, range.end, n_chains);
  }
  return range;
}

namespace {

// One standard deviation for all neurons, so that the outputs get the noise they have otherwise, in the mean over outputs.
Matrix<float> even_private_noise(const Matrix<float>& W_out) {
  double square = 0.0;
  for (std::int64_t i = 0; i < W_out.size(); ++i) square += static_cast<double>(W_out.data()[i]) * W_out.data()[i];
  require(square > 0.0, "sampling.noise: W_out is zero, noise of the neurons does not reach the outputs");
  Matrix<float> S(1, W_out.cols());
  std::fill_n(S.data(), S.size(), static_cast<float>(std::sqrt(static_cast<double>(W_out.rows()) / square)));
  return S;
}

}  // namespace

SamplingSetup make_sampling(const Config& config, const PreparedData& data, const std::vector<SamplingNetwork>& levels,
                            Backend& backend, const ChainRange& asked) {
  const SamplingConfig& s = config.sampling;
  const ChainRange range = range_within(asked, s.chains);
  require(!levels.empty(), "sampling: no trained network");
  const std::int64_t D = levels.back().n_outputs, N = levels.back().n_neurons();
  const Matrix<float> J = irreversible_matrix(s.irreversible, D, config.run.seed);
  Matrix<float> private_noise;
  if (s.noise == "private") {
    if (!s.record.reservoir)
      fail_usage("sampling.noise: \"private\" is noise of the neurons; it needs sampling.record.reservoir = true");
    private_noise = even_private_noise(levels.back().W_out);
  }
  // Only the last level's network runs in reservoir mode, and private noise is a matter of its output weights.
  const auto run_levels = private_noise.empty() ? levels : std::vector<SamplingNetwork>{levels.back()};
  // A drift of one's own is built on the score; else a network with a trained J runs as the circuit that it is.
  const bool given = !J.empty() || !private_noise.empty();
  const DriftForm form = drift_form(s);
  SamplingSetup setup{
      PreparedLevels(backend, run_levels, J.view(), private_noise.view(), form), {}, {}, {}, {}, {}, {}, {}};
  const bool circuit = !given && form == DriftForm::circuit && !run_levels.back().drift_map.empty();
  setup.private_noise = std::move(private_noise);
  if ((!J.empty() || circuit) && s.integrator == "leimkuhler_matthews") {
    warn("sampling.integrator: leimkuhler_matthews is only first-order accurate with an irreversible drift");
  }
  if ((given || circuit) && s.integrator == "baoab") {  // the weights may hold a J that the config does not name
    fail_usage(
        "sampling.integrator: \"baoab\" needs a reversible drift; allowed with a J or private noise: euler_maruyama, "
        "leimkuhler_matthews; a network with a trained J takes sampling.drift = \"score\"");
  }

  Inputs inputs = read_inputs(s.condition, data, levels.back().n_inputs, s.chains, range);
  setup.inputs = std::move(inputs.values);
  setup.clamp = read_clamp(s.clamp, D, s.chains, range);

  SamplingRun& run = setup.run;
  if (final_denoise(s) && (given || circuit)) setup.scores = PreparedLevels(backend, run_levels);
  run.stages = make_stages(s, data, run_levels, setup.levels, setup.scores);
  run.integrator = integrator_of(s);
  run.seed = config.run.seed;
  run.first_chain = static_cast<std::uint64_t>(range.begin);
  run.n_chains = range.end - range.begin;
  run.denoise = final_denoise(s);
  run.inputs = setup.inputs.view();
  run.n_input_pieces = inputs.n_pieces;
  run.clamp = setup.clamp.view();

  run.initial.space = s.initial.space == "r" ? InitialSpace::r : InitialSpace::x;
  run.initial.low = s.initial.low;
  run.initial.high = s.initial.high;
  run.initial.standard_deviation = s.initial.std;
  if (s.initial.kind == "uniform") run.initial.kind = InitialKind::uniform;
  if (s.initial.kind == "data") {
    run.initial.kind = InitialKind::data;
    run.initial.rows = data.rows.view();
    if (data.rows.empty())
      fail_usage("sampling.initial.kind: \"data\" needs the training data, which are not at hand here");
  }
  if (s.initial.kind == "file") {
    run.initial.kind = InitialKind::file;
    setup.initial_rows = read_npy_matrix(s.initial.path);
    run.initial.rows = setup.initial_rows.view();
  }
  if (s.record.reservoir) {
    if (levels.back().kind != ModelKind::reservoir_sampler) {
      fail_usage("sampling.record.reservoir: a {} has no reservoir", name_of(levels.back().kind));
    }
    if (s.schedule == "annealed") {
      fail_usage(
          "sampling.record.reservoir: needs sampling.schedule = \"last_level\", since each level has a reservoir of "
          "its own");
    }
    run.reservoir = true;
    setup.P = pseudo_inverse(levels.back().W_out);
    run.P = setup.P.view();
    run.private_noise = setup.private_noise.view();
    run.recording.neurons = parse_neurons(s.record.neurons, N, config.run.seed);
    run.recording.every = s.record.every;
    if (!s.record.projections.empty()) run.recording.projections = read_npy_matrix(s.record.projections);
  }

  // A start beyond the bound is the user's wish, not an escape.
  const double reach = 1.5 * initial_reach(run.initial, run.stages.front().network->view());
  for (Stage& stage : run.stages) {
    if (stage.bound > 0.0) stage.bound = std::max(stage.bound, reach);
  }
  return setup;
}

namespace {

// |s(x)| of each kept draw, by the last level's network, in the units of the draws: what a stuck or runaway chain shows first. Left out where
// draws are so many that this would cost more than a twentieth of the chains' own steps, and where the score depends on inputs.
std::map<std::string, DrawStatistic> score_norms(const PreparedData& data, const SamplingNetwork& network,
                                                 const SamplingRun& run, Backend& backend) {
  constexpr std::int64_t steps_a_draw = 20;
  if (network.n_inputs > 0 || n_draws(run.stages) * steps_a_draw > n_steps(run.stages)) return {};
  return {{"score_norm", [&](const DrawSlab& draws, std::span<float> out) {
             Matrix<float> x(draws.x.rows, draws.x.cols);
             std::copy_n(draws.x.data, draws.x.size(), x.data());
             if (data.filter->kind() == "none" && data.datum_scaling.is_invertible()) data.datum_scaling.apply(x);
             const Matrix<float> score = score_in_data_units(backend, network, x.view());
             for (std::int64_t i = 0; i < score.rows(); ++i) {
               double square = 0.0;
               for (std::int64_t d = 0; d < score.cols(); ++d) square += static_cast<double>(score(i, d)) * score(i, d);
               out[static_cast<std::size_t>(i)] = static_cast<float>(std::sqrt(square));
             }
           }}};
}

}  // namespace

SamplingOutcome sampling_stage(const Config& config, const PreparedData& data,
                               const std::vector<SamplingNetwork>& levels, Backend& backend,
                               const std::filesystem::path& folder, const ChainRange& asked,
                               const Continuation& continuation) {
  const SamplingConfig& s = config.sampling;
  const ChainRange range = range_within(asked, s.chains);
  SamplingSetup setup = make_sampling(config, data, levels, backend, range);
  SamplingRun& run = setup.run;
  if (!s.until.empty() && run.n_chains < s.chains) {
    fail_usage("sampling.until: judges all {} chains together, and chains {}:{} are only some of them", s.chains,
               range.begin, range.end);
  }
  watch_chains(config, data, run);
  SamplingOutcome outcome;
  outcome.stages = run.stages;
  outcome.first_chain = range.begin;
  outcome.drift = check_drift(config, run, data.rows);
  for (const std::string& warning : outcome.drift.warnings) warn("{}", warning);

  DrawLayout layout;
  layout.n_chains_total = s.chains;
  layout.chain_begin = range.begin;
  layout.chain_end = range.end;
  layout.n_dims = levels.back().n_outputs;
  layout.n_recorded = run.recording.n_recorded();
  Attributes attributes{{"inference_library", std::string("tarn")},
                        {"inference_library_version", std::string(version())},
                        {"seed", static_cast<std::int64_t>(config.run.seed)},
                        {"run_name", config.run.name},
                        {"integrator", s.integrator},
                        {"schedule", s.schedule},
                        {"tau_ms", config.run.tau_ms}};
  DrawSegments segments(folder / "samples", layout, attributes, {},
                        continuation.from ? OpenMode::resume : OpenMode::create);
  UnscalingSink sink(segments, data);

  const double total = static_cast<double>(n_steps(run.stages)) * static_cast<double>(run.n_chains);
  info("sampling: {} chains, {} steps each, {}, {}{}", run.n_chains, n_steps(run.stages), s.schedule, s.integrator,
       run.reservoir ? ", reservoir mode" : "");
  info("  by {}", backend.path(run.stages.front().network->view(), run.reservoir));
  const std::string memory = device_memory_line(
      backend.chain_memory(run.stages.front().network->view(), run.n_chains, run.reservoir), run.n_chains);
  if (!memory.empty()) info("{}", memory);
  Progress bar("sampling", total, "chain-steps");
  SamplingPosition start;
  SamplingCheckpoints saving;
  const auto save = [&](const SamplingPosition& at) {
    TensorFile file;
    put_position(file, at);
    segments.put_open_segment(file);
    file.metadata["metrics_bytes"] = synced_size(folder / "metrics.jsonl");
    continuation.checkpoints->save(std::move(file), "sampling");
  };
  if (continuation.checkpoints) {
    saving.due = [&] { return continuation.checkpoints->due(); };
    saving.save = save;
  }
  if (continuation.within("sampling")) {
    start = sampling_position(*continuation.from);
    segments.take_open_segment(*continuation.from);
    saving.from = &start;
    bar.start_at(start.chain_steps);
    info("sampling: goes on after {} of {} chain-steps", si(start.chain_steps), si(total));
  }
  std::string seen;
  run.judged = [&](std::int64_t step, const LiveDiagnostics& live) {
    seen = summary(live);
    if (continuation.checkpoints) JsonLines(folder / "metrics.jsonl").write(json_line(step, live));
  };
  outcome.result = run_chains(
      backend, run, &sink,
      [&](double done, std::int64_t lost) {
        const std::string quarantined = lost > 0 ? fmt::format("{} chains quarantined", lost) : "";
        bar.update(done, quarantined + (seen.empty() || lost == 0 ? "" : ", ") + seen);
      },
      saving);
  segments.finish({outcome.result.first_bad_step, {}, score_norms(data, levels.back(), run, backend)});
  if (continuation.checkpoints) {  // what comes after need not be done twice
    SamplingPosition end;
    end.tile_size = end.tile_begin = run.n_chains;
    end.chain_steps = outcome.result.chain_steps;
    end.last_draw = outcome.result.last_draw;
    end.first_bad_step = outcome.result.first_bad_step;
    end.stopped_at = outcome.result.stopped_at;
    if (run.watch.n_outputs > 0) end.live = outcome.result.live.pack();
    save(end);
    // after it, so that a run that goes on from there writes them again
    const std::int64_t taken = outcome.result.stopped_at >= 0 ? outcome.result.stopped_at : n_steps(run.stages);
    JsonLines lines(folder / "metrics.jsonl");
    const LiveDiagnostics live = outcome.result.live.diagnostics();
    for (const std::string& line : json_lines_at_end(taken, live, live_names(live))) lines.write(line);
  }
  outcome.last_draw = in_file_units(data, outcome.result.last_draw);
  if (!setup.inputs.empty()) {
    outcome.inputs = Matrix<float>(run.n_chains, setup.inputs.cols());
    std::copy_n(setup.inputs.row((run.n_input_pieces - 1) * run.n_chains), outcome.inputs.size(),
                outcome.inputs.data());
  }
  outcome.clamp = setup.clamp;
  info("sampling: done in {}, {} chain-steps/s", duration(outcome.result.seconds),
       si((outcome.result.chain_steps - start.chain_steps) / outcome.result.seconds));
  if (const LiveDiagnostics live = outcome.result.live.diagnostics(); live.n_looks > 1)
    info("  {} looks at {} chains: {}", live.n_looks, live.n_chains, summary(live));
  if (outcome.result.stopped_at >= 0)
    info("  stopped after {} of {} steps: {}", outcome.result.stopped_at, n_steps(run.stages), s.until);
  if (outcome.result.n_quarantined > 0) {
    const auto& first = outcome.result.first_bad_step;
    const auto chain = std::find_if(first.begin(), first.end(), [](auto step) { return step >= 0; }) - first.begin();
    warn("{} of {} chains became non-finite or left the bound and are quarantined (chain {} at step {} for one)",
         outcome.result.n_quarantined, run.n_chains, range.begin + chain, first[static_cast<std::size_t>(chain)]);
  }

  if (s.merge && run.n_chains == s.chains) {
    MergeOptions options;
    Matrix<float> decoded;
    if (data.image) {
      decoded = data.to_data_units(outcome.result.last_draw);
      options.images = DecodedImages{decoded.view(), data.image->rows, data.image->cols, data.image->channels};
    }
    // of a run that went on after a break the whole time is not known
    if (!continuation.from) options.sampling_time = outcome.result.seconds;
    options.created_at = time_of_day();
    outcome.draws_file = folder / "samples.nc";
    merge_draws({folder / "samples"}, outcome.draws_file, options);
  }
  return outcome;
}

}  // namespace tarn
