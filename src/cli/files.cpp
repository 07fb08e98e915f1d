// Commands that read and write weights, scores and draws.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/score.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn::cli {
namespace {

namespace fs = std::filesystem;

SamplingNetwork network_of(const std::string& source, const std::string& nonlinearity, std::int64_t level) {
  if (fs::is_directory(source)) {
    const auto files = RunFolder::open(source).level_files();
    if (files.empty()) fail("{}: holds no trained network yet", source);
    if (level < 0) return load_network(files.back().path);
    for (const LevelFile& file : files) {
      if (file.level == level) return load_network(file.path);
    }
    fail_usage("--level: {} has levels {} to {}, found {}", source, files.front().level, files.back().level, level);
  }
  if (level >= 0) fail_usage("--level: {} is one weights file; levels are for run folders", source);
  WeightsFileHints hints;
  if (!nonlinearity.empty()) hints.nonlinearity = parse_nonlinearity(nonlinearity);
  return load_network(source, hints);
}

void write_weights(const std::string& path, const SamplingNetwork& network) {
  if (fs::exists(path)) fail("{}: exists already; weights are never overwritten", path);
  save_network(path, network);
  info("{}: {} with {}, D = {}, U = {}, N = {}, sigma {:.4g}", path, name_of(network.kind), name_of(network.phi),
       network.n_outputs, network.n_inputs, network.n_neurons(), network.sigma);
}

}  // namespace

void add_score(CLI::App& app, Action& action) {
  struct Arguments {
    std::string source, at, out, nonlinearity, device = "auto";
    std::int64_t level = -1;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("score", "The learned score at given points, in the units of the (filtered) data");
  command->add_option("source", a->source, "Run folder or weights file")->required();
  command->add_option("--at", a->at, "Points, .npy [n, D+U]")->required();
  command->add_option("--out", a->out, "Scores, .npy [n, D]")->required();
  command->add_option("--level", a->level, "Noise level of a run folder, from 0; default: the last")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--nonlinearity", a->nonlinearity, "For weights files that do not say it");
  command->add_option("--device", a->device, "auto, cpu, cuda, cuda:K")->capture_default_str();
  command->callback([a, &action] {
    action = [a] {
      const SamplingNetwork network = network_of(a->source, a->nonlinearity, a->level);
      const Matrix<float> points = read_npy_matrix(a->at);
      const auto backend = make_backend(a->device);
      write_npy(a->out, score_in_data_units(*backend, network, points).view());
      return 0;
    };
  });
}

void add_weights(CLI::App& app, Action& action) {
  struct Arguments {
    std::string source, out, nonlinearity;
    std::int64_t level = -1;
  };
  auto in = std::make_shared<Arguments>();
  CLI::App* import_command =
      app.add_subcommand("import", "Weights from other programs: .npz with W_in, b, W_out, or .safetensors");
  import_command->add_option("weights", in->source, "NPZ or safetensors")->required();
  import_command->add_option("--nonlinearity", in->nonlinearity, "relu, leaky_relu, tanh, softplus, sigmoid");
  import_command->add_option("--out", in->out, "Weights to write (.safetensors)")->required();
  import_command->callback([in, &action] {
    action = [in] {
      if (fs::is_directory(in->source)) fail_usage("{}: is a folder; import takes a weights file", in->source);
      write_weights(in->out, network_of(in->source, in->nonlinearity, -1));
      return 0;
    };
  });
  auto ex = std::make_shared<Arguments>();
  CLI::App* export_command = app.add_subcommand("export", "Weights for other programs");
  export_command->add_option("source", ex->source, "Run folder or weights file")->required();
  export_command->add_option("--level", ex->level, "Noise level of a run folder, from 0; default: the last")
      ->check(CLI::NonNegativeNumber);
  export_command->add_option("--nonlinearity", ex->nonlinearity, "For weights files that do not say it");
  export_command->add_option("--out", ex->out, ".npz or .safetensors")->required();
  export_command->callback([ex, &action] {
    action = [ex] {
      write_weights(ex->out, network_of(ex->source, ex->nonlinearity, ex->level));
      return 0;
    };
  });
}

void add_merge(CLI::App& app, Action& action) {
  struct Arguments {
    std::vector<std::string> folders;
    std::string out;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("merge", "Join the draws of several parts of one run into one NetCDF file");
  command
      ->add_option("folders", a->folders, "Folders written by `tarn sample --chain-range` (or their samples folders)")
      ->required();
  command->add_option("--out", a->out, "samples.nc to write")->required();
  command->callback([a, &action] {
    action = [a] {
      if (fs::exists(a->out)) fail("{}: exists already; draws are never overwritten", a->out);
      std::vector<fs::path> folders;
      for (const std::string& folder : a->folders) {
        folders.push_back(fs::exists(fs::path(folder) / "samples" / "manifest.json") ? fs::path(folder) / "samples"
                                                                                     : fs::path(folder));
      }
      merge_draws(folders, a->out);
      info("{} holds the draws of {} parts", a->out, folders.size());
      return 0;
    };
  });
}

}  // namespace tarn::cli
