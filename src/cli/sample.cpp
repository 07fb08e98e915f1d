#include <charconv>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/interrupt.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/autotune.hpp"
#include "tarn/experiment/hee_stages.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/io/file.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn::cli {
namespace {

namespace fs = std::filesystem;

ChainRange parse_range(const std::string& text) {
  ChainRange range;
  const std::size_t colon = text.find(':');
  const auto number = [&](std::string_view part, std::int64_t& value) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc{} && end == part.data() + part.size() && value >= 0;
  };
  if (colon == std::string::npos || !number(std::string_view(text).substr(0, colon), range.begin) ||
      !number(std::string_view(text).substr(colon + 1), range.end) || range.end <= range.begin) {
    fail_usage("--chain-range: \"{}\" is not A:B with 0 <= A < B", text);
  }
  return range;
}

// Weights alone, without the run they came from: the [sampling] defaults for plain chains of one network.
StoredRun from_weights(const fs::path& path, const std::string& nonlinearity,
                       const std::vector<std::string>& overrides) {
  if (path.extension() == ".safetensors" && is_hee_file(read_safetensors(path))) {
    fail_usage("{}: an hee model samples given data; allowed: the folder of its run", path.string());
  }
  WeightsFileHints hints;
  if (!nonlinearity.empty()) hints.nonlinearity = parse_nonlinearity(nonlinearity);
  StoredRun run;
  run.levels.push_back(load_network(path, hints));
  const SamplingNetwork& network = run.levels.back();
  run.config =
      parse_config("[data]\nkind = \"npy\"\n[sampling]\nschedule = \"last_level\"\nbound = 0\ndenoise = false\n",
                   "(weights)", overrides);
  if (!run.config.was_given("run.name")) run.config.run.name = path.stem().string();
  run.config.model.kind = name_of(network.kind);
  run.config.model.nonlinearity = name_of(network.phi);
  run.config.given["model.kind"] = run.config.given["model.nonlinearity"] = path.string();
  resolve(run.config, {network.n_outputs, network.n_inputs, 1 << 20, false});
  run.data.n_outputs = network.n_outputs;
  run.data.n_inputs = network.n_inputs;
  run.data.filter = std::make_shared<IdentityFilter>(network.n_outputs);
  run.data.scaling = network.scaling;
  run.data.description = path.string();
  if (run.config.sampling.schedule == "annealed")
    fail_usage("{}: one set of weights has no levels to anneal over; use a run folder", path.string());
  if (run.config.sampling.denoise && !(network.sigma > 0.0))
    fail_usage("{}: the file does not say its sigma, so draws cannot be denoised", path.string());
  return run;
}

StoredRun load_source(const fs::path& source, const std::string& nonlinearity,
                      const std::vector<std::string>& overrides) {
  if (!fs::exists(source)) fail("{}: no such run folder or weights file", source.string());
  return fs::is_directory(source) ? load_run(source, overrides) : from_weights(source, nonlinearity, overrides);
}

std::string inputs_of(const StoredRun& run) {
  return fingerprint(run.config, run.data, run.levels, run.hee ? &run.hee->parameters : nullptr);
}

bool is_hee_run(const fs::path& source) {
  return fs::is_directory(source) && is_hee(load_config(RunFolder::open(source).config().string()).model);
}

void draw_samples(const StoredRun& run, Backend& backend, const fs::path& out, const ChainRange& range,
                  const Continuation& continuation) {
  if (run.hee) {
    hee_sampling_stage(run.config, run.data, *run.hee, backend, out, range, continuation);
  } else {
    sampling_stage(run.config, run.data, run.levels, backend, out, range, continuation);
  }
  write_file_atomically(out / "DONE", std::string_view("done\n"));
  continuation.checkpoints->clear();
  fs::remove(out / "checkpoints");
  if (const std::string line = autotune_line(backend); !line.empty()) info("{}", line);
  info("draws are in {}", (fs::exists(out / "samples.nc") ? out / "samples.nc" : out / "samples").string());
}

}  // namespace

void resume_sample(const fs::path& out, const ResumeOptions& options) {
  const auto checkpoint = Checkpoints::latest(out / "checkpoints");
  if (!checkpoint) fail("{}: holds no checkpoint to go on from; start it again with tarn sample", out.string());
  StoredRun run = load_source(checkpoint->metadata_at("source"), checkpoint->metadata_at("nonlinearity"), {});
  run.config = load_config((out / "config.toml").string());
  const ChainRange range =
      range_within(parse_range(checkpoint->metadata_at("chain_range")), run.config.sampling.chains);
  const auto backend = resumed_backend(*checkpoint, options, run.data.n_outputs <= 16 && !run.hee);
  const std::string inputs = inputs_of(run);
  require_same_inputs(*checkpoint, inputs, options);
  resume_autotune(run.config, *backend, out, *checkpoint, options.allow_inexact);
  auto facts = checkpoint_facts(*backend, inputs);
  for (const char* key : {"source", "nonlinearity", "chain_range"}) facts[key] = checkpoint->metadata_at(key);
  cut_back(out / "metrics.jsonl", *checkpoint);
  Checkpoints checkpoints(out / "checkpoints", run.config.checkpoint, facts);
  info("draws of {} go on in {}", checkpoint->metadata_at("source"), out.string());
  draw_samples(run, *backend, out, range, {&checkpoints, &*checkpoint});
}

void add_sample(CLI::App& app, Action& action) {
  struct Arguments {
    std::string source, out, device, nonlinearity, range, record;
    std::vector<std::string> set;
    std::string mode, inner_steps, start;
    std::string chains, steps, dt, thin, burn_in, seed, condition, clamp, record_neurons, record_every;
    int threads = 0;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("sample", "Run Langevin chains of a trained network");
  command->add_option("source", a->source, "Run folder, or weights (.safetensors, .npz)")->required();
  command->add_option("--mode", a->mode,
                      "hee: posterior, or draws of the model: joint, marginal, layerwise, ancestral (sampling.mode)");
  command->add_option("--inner-steps", a->inner_steps,
                      "--mode marginal: steps of the latents for each of the observation (sampling.inner_steps)");
  command->add_option("--start", a->start, "--mode joint, marginal: noise or prior (sampling.start)");
  command->add_option("--chains", a->chains, "Parallel chains (sampling.chains)");
  command->add_option("--steps", a->steps, "Steps a chain takes (sampling.steps; needs schedule last_level)");
  command->add_option("--dt", a->dt, "Step in units of tau (sampling.dt)");
  command->add_option("--thin", a->thin, "Keep a draw every so many steps (sampling.thin)");
  command->add_option("--burn-in", a->burn_in, "Steps before the first draw (sampling.burn_in)");
  command->add_option("--seed", a->seed, "Key of the noise (run.seed)");
  command->add_option("--condition", a->condition, "Inputs u, .npy [chains, U] or [T, chains, U]");
  command->add_option("--clamp", a->clamp, "Outputs to hold, .npy [D] or [chains, D]; NaN leaves an output free");
  command->add_option("--record", a->record, "reservoir: keep neural activity")->check(CLI::IsMember({"reservoir"}));
  command->add_option("--record-neurons", a->record_neurons, "all, random:K or a list 0,3,17");
  command->add_option("--record-every", a->record_every, "Keep activity with every so many-th draw");
  command->add_option("--chain-range", a->range, "Advance chains A to B-1 only; `tarn merge` joins the parts");
  command->add_option("--set", a->set, "Replace any key of the config (may be repeated)")->allow_extra_args(false);
  command->add_option("--nonlinearity", a->nonlinearity, "For weights files that do not say it");
  command->add_option("--device", a->device, "auto, cpu, cuda, cuda:K");
  command->add_option("--threads", a->threads, "CPU threads; 0 = all cores")->check(CLI::Range(0, 4096));
  command->add_option("--out", a->out, "Folder to make for the draws (default: samples-NAME-N beside the source)");
  command->callback([a, &action] {
    action = [a] {
      std::vector<std::string> overrides = a->set;
      const auto set = [&](const std::string& key, const std::string& value) {
        if (!value.empty()) overrides.push_back(key + "=" + value);
      };
      const fs::path source(a->source);
      const bool network = !is_hee_run(source);  // the others have no levels to go through
      if (network && (!a->steps.empty() || !a->dt.empty())) set("sampling.schedule", "\"last_level\"");
      const auto quoted = [](const std::string& text) { return text.empty() ? text : '"' + text + '"'; };
      set("sampling.mode", quoted(a->mode));
      set("sampling.inner_steps", a->inner_steps);
      set("sampling.start", quoted(a->start));
      set("sampling.chains", a->chains);
      set("sampling.steps", a->steps);
      set(network ? "sampling.dt" : "inference.dt", a->dt);
      set("sampling.thin", a->thin);
      set("sampling.burn_in", a->burn_in);
      set("run.seed", a->seed);
      set("run.device", quoted(a->device));
      set("sampling.condition", quoted(a->condition));
      set("sampling.clamp", quoted(a->clamp));
      if (!a->record.empty()) set("sampling.record.reservoir", "true");
      set("sampling.record.neurons", quoted(a->record_neurons));
      set("sampling.record.every", a->record_every);

      const StoredRun run = load_source(source, a->nonlinearity, overrides);
      if (!a->inner_steps.empty() && run.config.sampling.mode != "marginal") {
        fail_usage("--inner-steps: \"{}\" has none; they belong to --mode marginal", run.config.sampling.mode);
      }
      // All that can be refused before there is a folder to show for it.
      const ChainRange range =
          range_within(a->range.empty() ? ChainRange{} : parse_range(a->range), run.config.sampling.chains);
      const auto backend = make_backend(run.config.run.device, a->threads, parse_precision(run.config.run.precision));
      fs::path out(a->out);
      if (a->out.empty()) {
        const fs::path parent = fs::is_directory(source) ? source : source.parent_path();
        for (int i = 1; out.empty() || fs::exists(out); ++i)
          out = parent / fmt::format("samples-{}-{}", run.config.run.name, i);
      } else if (fs::exists(out) && !fs::is_empty(out)) {
        fail("{}: exists and is not empty; draws are never mixed with older ones, give another --out", a->out);
      }
      catch_signals();
      fs::create_directories(out);
      write_file_atomically(out / "config.toml", to_toml(run.config, {"resolved by tarn sample"}));
      begin_autotune(run.config, *backend, out);
      auto facts = checkpoint_facts(*backend, inputs_of(run));
      facts["source"] = fs::absolute(source).string();
      facts["nonlinearity"] = a->nonlinearity;
      facts["chain_range"] = fmt::format("{}:{}", range.begin, range.end);
      Checkpoints checkpoints(out / "checkpoints", run.config.checkpoint, facts);
      TensorFile begin;
      begin.metadata["metrics_bytes"] = synced_size(out / "metrics.jsonl");
      checkpoints.save(begin, "begin");
      draw_samples(run, *backend, out, range, {&checkpoints, nullptr});
      return 0;
    };
  });
}

}  // namespace tarn::cli
