// Commands that only look.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

#include "commands.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/isa.hpp"
#include "tarn/core/version.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/experiment/config_schema.hpp"
#include "tarn/experiment/drift_check.hpp"
#include "tarn/experiment/runner.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/io/npz.hpp"
#include "tarn/io/safetensors.hpp"
#include "tarn/models/hee_file.hpp"
#include "tarn/models/hee_stability.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn::cli {
namespace {

namespace fs = std::filesystem;

// Text of the lines of one file, complete before any is printed: a file that turns out broken shows nothing.
std::string in_brackets(const Shape& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "[" : ", ") + std::to_string(extent);
  return text.empty() ? "[]" : text + "]";
}

std::string shape_text(const std::string& name, ElementType dtype, const Shape& shape) {
  return fmt::format("  {:<24} {:<5} {}\n", one_line(name), name_of(dtype), in_brackets(shape));
}

// What chains of a network may be expected to do (models/drift.hpp). Data are not at hand here, so points are those of a normal law.
std::string drift_text(const SamplingNetwork& network) {
  const RunnableNetwork runnable(network);
  const double step = smallest_stable_step(runnable.view(), network.sigma, {}, 32);
  const double rate = largest_outward_rate(runnable.view());
  return fmt::format(
      "  largest stable dt {:.4g} (at normal points of RMS norm 1{})\n  growth rate of |x| at large |x| {:.4g}: "
      "{}\n",
      step, network.sigma > 0.0 ? fmt::format(", sigma {:.4g} added", network.sigma) : "", rate,
      rate > 0.0 ? "the drift does not confine" : "the drift confines");
}

std::string value_of(const HeeLayer& layer, std::string_view name) {
  const FamilyParameters& p = layer.parameters;
  return fmt::format(" = {}", name == "s" ? p.s : name == "rate" ? p.rate : name == "width" ? p.width : p.c);
}

std::string layers_text(const HeeParameters& model) {
  std::string text;
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const HeeLayer& layer = model.layers[l];
    std::string given;
    for (const std::string_view name : parameters_of(layer.family))
      given += fmt::format(", {}", name) + value_of(layer, name);
    const std::string f = layer.nonlinearity ? std::string(name_of(*layer.nonlinearity)) : "identity";
    text += fmt::format("  layer {}: {} {} units{}{}\n", l, layer.size, name_of(layer.family), given,
                        l > 0 ? ", drives the one below through " + f : "");
  }
  const double curvature = largest_curvature(model);
  return text + fmt::format("  largest curvature of the latents {:.4g}, largest stable dt {:.4g}\n", curvature,
                            2.0 / curvature);
}

std::string inspect_safetensors(const fs::path& path) {
  const TensorFile file = read_safetensors(path);
  std::string text;
  for (const auto& [name, tensor] : file.tensors) text += shape_text(name, tensor.dtype, tensor.shape);
  for (const auto& [key, value] : file.metadata) {
    const bool long_value = value.size() > 80;
    text += fmt::format("  {:<24} {}{}\n", one_line(key), one_line(value.substr(0, long_value ? 77 : 80)),
                        long_value ? "..." : "");
  }
  if (is_hee_file(file)) {
    text += layers_text(hee_from_tensors(file).parameters);
  } else if (file.metadata.contains("tarn_kind")) {
    text += drift_text(from_tensors(file));
  }
  return text;
}

std::string inspect_arrays(const fs::path& path) {
  std::string text;
  for (const auto& [name, array] : read_npz(path)) text += shape_text(name, array.dtype, array.shape);
  return text;
}

std::string inspect_array(const fs::path& path) {
  const NpyArray array = read_npy(path);
  return fmt::format("  {} {}\n", name_of(array.dtype), in_brackets(array.shape));
}

std::string inspect_draws(const fs::path& path) {
  const DrawReader reader(path);
  std::string text =
      fmt::format("  {} chains, {} draws, D = {}\n", reader.n_chains(), reader.n_draws(), reader.n_dims());
  const auto bad = reader.first_bad_step();
  std::int64_t lost = 0;
  for (const auto step : bad) lost += step >= 0;
  text += fmt::format("  {} chains quarantined\n", lost);
  const auto columns = column_moments(reader.draw(-1));
  for (std::size_t d = 0; d < columns.size() && d < 8; ++d) {
    text += fmt::format("  last draw, x_{}: mean {:.5g}, variance {:.5g}, excess kurtosis {:.4g}\n", d, columns[d].mean,
                        columns[d].variance, columns[d].excess_kurtosis);
  }
  return text;
}

std::string files_text(const RunFolder& folder) {
  std::string text;
  for (const fs::path& file :
       {folder.config(), folder.metrics(), folder.weights(), folder.samples_file(), folder.report()}) {
    if (fs::exists(file)) text += fmt::format("  {}\n", file.string());
  }
  return text;
}

std::string inspect_hee_run(const RunFolder& folder, const Config& config) {
  std::string text = fmt::format("  hee with {} layers, on {}, {}\n", config.model.layers.size(), config.data.kind,
                                 fs::exists(folder.done()) ? "finished" : "not finished");
  if (fs::exists(folder.weights())) text += layers_text(load_hee(folder.weights()).parameters);
  return text + files_text(folder);
}

std::string inspect_run(const fs::path& path) {
  const RunFolder folder = RunFolder::open(path);
  const Config config = load_config(folder.config().string());
  if (is_sweep(config)) {
    return fmt::format("  a sweep of {} sizes, {} seeds, {} laws, {}\n", config.sweep.neurons.size(),
                       config.sweep.seeds, config.targets.size(),
                       fs::exists(folder.done()) ? "finished" : "not finished") +
           files_text(folder);
  }
  if (is_hee(config.model)) return inspect_hee_run(folder, config);
  std::string text = fmt::format("  {} {} neurons, {}, on {}\n", config.model.kind, config.model.neurons,
                                 config.model.nonlinearity, config.data.kind);
  text += fmt::format("  {} noise levels kept, {}\n", folder.level_files().size(),
                      fs::exists(folder.done()) ? "finished" : "not finished");
  if (fs::exists(folder.weights())) {
    text += drift_text(load_network(folder.weights()));
  }
  return text + files_text(folder);
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("inspect", "What is in a run folder, weights, arrays or draws");
  command->add_option("file", *path, "Run folder, .safetensors, .npz, .npy, .nc")->required();
  command->callback([path, &action] {
    action = [path] {
      const fs::path p(*path);
      if (!fs::exists(p)) fail("{}: no such file or folder", *path);
      const std::string extension = p.extension().string();
      std::string text;
      if (fs::is_directory(p)) {
        text = inspect_run(p);
      } else if (extension == ".safetensors") {
        text = inspect_safetensors(p);
      } else if (extension == ".npz") {
        text = inspect_arrays(p);
      } else if (extension == ".npy") {
        text = inspect_array(p);
      } else if (extension == ".nc") {
        text = inspect_draws(p);
      } else {
        fail_usage("{}: inspect knows run folders, .safetensors, .npz, .npy and .nc", *path);
      }
      fmt::print("{}\n{}", *path, text);
      return 0;
    };
  });
}

void add_devices(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("devices", "What there is to compute on");
  command->callback([&action] {
    action = [] {
      const auto backend = make_cpu_backend();
      fmt::print("cpu     {} cores, {}; instruction sets:", std::thread::hardware_concurrency(),
                 backend->description());
      for (const Isa isa : available_isas()) fmt::print(" {}", name_of(isa));
      fmt::print("\n");
      for (const std::string& line : describe_gpus()) fmt::print("{}\n", line);
      return 0;
    };
  });
}

void add_check(CLI::App& app, Action& action) {
  struct Arguments {
    std::string config;
    std::vector<std::string> set;
    bool doc = false;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("check", "Read a config and say whether it is right");
  command->add_option("config", a->config, "TOML file");
  command->add_option("--set", a->set, "Replace a key (may be repeated)")->allow_extra_args(false);
  command->add_flag("--doc", a->doc, "Print the reference of all keys (docs/config.md)");
  command->callback([a, &action] {
    action = [a] {
      if (a->doc) {
        fmt::print("{}", config_reference_markdown());
        return 0;
      }
      if (a->config.empty()) fail_usage("check: give a config file, or --doc");
      const Config config = load_config(a->config, a->set);
      fmt::print("{}: fine ({} keys given)\n", a->config, config.given.size());
      return 0;
    };
  });
}

}  // namespace tarn::cli
