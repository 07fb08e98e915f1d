#include "tarn/models/weights_file.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "named_arrays.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

/// What a file says of itself beside its arrays.
struct FileFacts {
  std::optional<ModelKind> kind;
  std::optional<Nonlinearity> nonlinearity;
  std::optional<std::int64_t> n_inputs;
  std::optional<double> scale, sigma, s;
};

/// A name in the metadata that this version does not know is the file's fault, not the command's.
template <class Parse>
auto parse_name(const TensorFile& file, const std::string& key, Parse parse)
    -> std::optional<decltype(parse(std::string_view{}))> {
  if (!file.metadata.contains(key)) return std::nullopt;
  try {
    return parse(file.metadata_at(key));
  } catch (const UsageError& error) {
    fail("{}: metadata \"{}\": {}", file.source, key, error.what());
  }
}

template <class T>
std::optional<T> parse_number(const TensorFile& file, const std::string& key) {
  if (!file.metadata.contains(key)) return std::nullopt;
  const std::string& text = file.metadata_at(key);
  T value{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size()) {
    fail("{}: metadata \"{}\" is \"{}\", expected a number", file.source, key, text.substr(0, 40));
  }
  return value;
}

template <class T>
std::optional<T> agreed(const std::string& source, std::string_view what, std::optional<T> found,
                        std::optional<T> hint) {
  if (found && hint && *found != *hint) {
    fail_usage("{}: {} is {} by its metadata, {} was asked for; leave the option out", source, what, name_of(*found),
               name_of(*hint));
  }
  return found ? found : hint;
}

ModelKind kind_of(const NamedArrays& arrays, std::optional<ModelKind> kind) {
  if (kind) return *kind;
  if (arrays.has("W_in") || arrays.has("W_out")) return ModelKind::reservoir_sampler;
  if (arrays.has("W") && arrays.has("a")) return arrays.has("v") ? ModelKind::ebm : ModelKind::rbm;
  if (arrays.has("W")) {
    fail_usage("{}: holds a sampler-only network, but not which; say whether it is sampler_only_sc or sampler_only_fr",
               arrays.source());
  }
  fail("{}: holds no sampling network; expected W_in, b, W_out (or W, b, gamma, S; or W, b, a), found: {}",
       arrays.source(), arrays.list_of_names());
}

void read_reservoir(NamedArrays& arrays, SamplingNetwork& network, std::optional<std::int64_t> n_inputs) {
  const Shape in = arrays.shape("W_in", 2), out = arrays.shape("W_out", 2);
  const std::int64_t N = in[0], D = out[0];
  if (N < 1 || D < 1) {
    fail("{}: W_in has shape {}, W_out has shape {}; expected at least one neuron and one output", arrays.source(),
         to_string(in), to_string(out));
  }
  if (in[1] < D) {
    fail("{}: W_in has shape {}, expected ({}, {}) or more columns: W_out has {} rows, one an output", arrays.source(),
         to_string(in), N, D, D);
  }
  network.n_outputs = D;
  network.n_inputs = n_inputs.value_or(in[1] - D);
  if (network.n_inputs != in[1] - D) {
    fail("{}: W_in has shape {}, expected {} columns: {} outputs and the metadata's n_inputs = {}", arrays.source(),
         to_string(in), static_cast<double>(D) + static_cast<double>(network.n_inputs), D, network.n_inputs);
  }
  network.W_in = arrays.floats("W_in", in);
  network.b = arrays.floats("b", {N});
  network.W_out = arrays.floats("W_out", {D, N});
}

void read_sampler_only(NamedArrays& arrays, SamplingNetwork& network, std::optional<std::int64_t> n_inputs) {
  const std::int64_t D = arrays.shape("W", 2)[0];
  if (D < 1) fail("{}: W has shape {}, expected at least one output", arrays.source(), to_string(arrays.shape("W", 2)));
  if (n_inputs.value_or(0) != 0) {
    fail("{}: metadata say n_inputs = {}; a {} network has none", arrays.source(), *n_inputs, name_of(network.kind));
  }
  network.n_outputs = D;
  network.W_in = arrays.floats("W", {D, D});
  network.b = arrays.floats("b", {D});
  network.gamma = arrays.floats("gamma", {D});
  network.S = arrays.floats("S", {D, D});
}

void read_energy(NamedArrays& arrays, SamplingNetwork& network, const FileFacts& facts) {
  const Shape& in = arrays.shape("W", 2);
  const std::int64_t N = in[0], D = in[1];
  if (N < 1 || D < 1)
    fail("{}: W has shape {}, expected at least one unit and one output", arrays.source(), to_string(in));
  if (facts.n_inputs.value_or(0) != 0) {
    fail("{}: metadata say n_inputs = {}; a {} has none", arrays.source(), *facts.n_inputs, name_of(network.kind));
  }
  if (!facts.s) fail("{}: does not say s, the standard deviation of an output given the hidden units", arrays.source());
  network.n_outputs = D;
  network.W_in = arrays.floats("W", {N, D});
  network.b = arrays.floats("b", {N});
  network.a = arrays.floats("a", {D});
  if (network.kind == ModelKind::ebm) network.v = arrays.floats("v", {N});
  network.s = *facts.s;
}

SamplingNetwork assemble(NamedArrays& arrays, const FileFacts& facts, const WeightsFileHints& hints) {
  const std::string& source = arrays.source();
  SamplingNetwork network;
  network.kind = kind_of(arrays, agreed(source, "the model kind", facts.kind, hints.kind));
  auto phi = agreed(source, "the nonlinearity", facts.nonlinearity, hints.nonlinearity);
  if (!phi && network.kind == ModelKind::rbm) phi = Nonlinearity::sigmoid;  // it has no other
  if (!phi) {
    std::string allowed;
    for (const std::string_view name : nonlinearity_names) allowed += (allowed.empty() ? "" : ", ") + std::string(name);
    fail_usage("{}: does not say its nonlinearity; give it with --nonlinearity, one of {}", source, allowed);
  }
  network.phi = *phi;
  if (network.kind == ModelKind::reservoir_sampler) {
    read_reservoir(arrays, network, facts.n_inputs);
  } else if (is_energy_based(network.kind)) {
    read_energy(arrays, network, facts);
  } else {
    read_sampler_only(arrays, network, facts.n_inputs);
  }
  const std::int64_t D = network.n_outputs;
  if (arrays.has("drift_map")) network.drift_map = arrays.floats("drift_map", {D, D});
  if (arrays.has("shift")) network.scaling.shift = arrays.doubles("shift", {D});
  network.scaling.scale = facts.scale.value_or(1.0);
  network.sigma = facts.sigma.value_or(0.0);
  arrays.note_what_was_converted_or_left();
  try {
    network.validate();
  } catch (const Error& error) {
    fail("{}: {}", source, error.what());
  }
  return network;
}

/// The arrays that both formats share, through `put(name, matrix, shape)`.
template <class Put>
void for_each_array(const SamplingNetwork& network, Put put) {
  network.validate();
  const std::int64_t D = network.n_outputs, N = network.n_neurons();
  const bool reservoir = network.kind == ModelKind::reservoir_sampler;
  put(reservoir ? "W_in" : "W", network.W_in, Shape{N, network.W_in.cols()});
  put("b", network.b, Shape{N});
  if (reservoir) {
    put("W_out", network.W_out, Shape{D, N});
  } else if (is_energy_based(network.kind)) {
    put("a", network.a, Shape{D});
    if (!network.v.empty()) put("v", network.v, Shape{N});
  } else {
    put("gamma", network.gamma, Shape{D});
    put("S", network.S, Shape{D, D});
  }
  if (!network.drift_map.empty()) put("drift_map", network.drift_map, Shape{D, D});
}

}  // namespace

TensorFile to_tensors(const SamplingNetwork& network) {
  TensorFile file;
  for_each_array(network, [&](const char* name, const Matrix<float>& values, Shape shape) {
    file.put(name, values, std::move(shape));
  });
  if (!network.scaling.shift.empty()) file.put_vector("shift", network.scaling.shift);
  file.metadata["tarn_kind"] = name_of(network.kind);
  file.metadata["nonlinearity"] = name_of(network.phi);
  file.metadata["n_inputs"] = fmt::format("{}", network.n_inputs);
  file.metadata["scale"] = fmt::format("{}", network.scaling.scale);  // the shortest text that reads back the same
  file.metadata["sigma"] = fmt::format("{}", network.sigma);
  if (is_energy_based(network.kind)) file.metadata["s"] = fmt::format("{}", network.s);
  return file;
}

NpzArrays to_npz(const SamplingNetwork& network) {
  NpzArrays arrays;
  for_each_array(network, [&](const char* name, const Matrix<float>& values, Shape shape) {
    arrays[name] = make_npy(values, std::move(shape));
  });
  const AffineScaling& scaling = network.scaling;
  if (!scaling.shift.empty()) arrays["shift"] = make_npy(std::span(scaling.shift), {network.n_outputs});
  arrays["scale"] = make_npy(std::span(&scaling.scale, 1), {});
  arrays["sigma"] = make_npy(std::span(&network.sigma, 1), {});
  if (is_energy_based(network.kind)) arrays["s"] = make_npy(std::span(&network.s, 1), {});
  return arrays;
}

SamplingNetwork from_tensors(const TensorFile& file, const WeightsFileHints& hints) {
  NamedArrays arrays(file.source);
  for (const auto& [name, tensor] : file.tensors) arrays.add(name, tensor.dtype, tensor.shape, tensor.bytes);
  FileFacts facts;
  facts.kind = parse_name(file, "tarn_kind", parse_model_kind);
  facts.nonlinearity = parse_name(file, "nonlinearity", parse_nonlinearity);
  facts.n_inputs = parse_number<std::int64_t>(file, "n_inputs");
  facts.scale = parse_number<double>(file, "scale");
  facts.sigma = parse_number<double>(file, "sigma");
  facts.s = parse_number<double>(file, "s");
  return assemble(arrays, facts, hints);
}

SamplingNetwork from_npz(const NpzArrays& npz, const std::string& name, const WeightsFileHints& hints) {
  NamedArrays arrays(name);
  for (const auto& [key, array] : npz) arrays.add(key, array.dtype, array.shape, array.bytes);
  FileFacts facts;
  if (arrays.has("scale")) facts.scale = arrays.doubles("scale", {})[0];
  if (arrays.has("sigma")) facts.sigma = arrays.doubles("sigma", {})[0];
  if (arrays.has("s")) facts.s = arrays.doubles("s", {})[0];
  return assemble(arrays, facts, hints);
}

SamplingNetwork load_network(const std::filesystem::path& path, const WeightsFileHints& hints) {
  const Bytes bytes = read_file(path);
  const auto starts_with = [&](std::size_t at, std::string_view magic) {
    return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
  };
  if (starts_with(0, "PK")) return from_npz(parse_npz(bytes, path.string()), path.string(), hints);
  if (starts_with(8, "{") || path.extension() == ".safetensors") {
    return from_tensors(parse_safetensors(bytes, path.string()), hints);
  }
  fail("{}: is neither a .safetensors nor a .npz file", path.string());
}

void save_network(const std::filesystem::path& path, const SamplingNetwork& network) {
  if (path.extension() == ".safetensors") return write_safetensors(path, to_tensors(network));
  if (path.extension() == ".npz") return write_npz(path, to_npz(network));
  fail_usage("{}: weights are written as .safetensors or .npz; found the ending \"{}\"", path.string(),
             path.extension().string());
}

}  // namespace tarn
