#include "tarn/models/hee_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "named_arrays.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr int most_layers = 48;

std::string key_of(int layer, const char* what) { return fmt::format("layer_{}_{}", layer, what); }

template <class T>
T number(const TensorFile& file, const std::string& key) {
  const std::string& text = file.metadata_at(key);
  T value{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size())
    fail("{}: metadata \"{}\" is \"{}\", expected a number", file.source, key, text.substr(0, 40));
  return value;
}

/// A name that this version does not know is the file's fault, not the command's.
template <class Parse>
auto parsed(const TensorFile& file, const std::string& key, Parse parse) {
  try {
    return parse(file.metadata_at(key));
  } catch (const UsageError& error) {
    fail("{}: metadata \"{}\": {}", file.source, key, error.what());
  }
}

struct NamedParameter {
  const char* name;
  double FamilyParameters::*member;
};

constexpr NamedParameter family_parameters[] = {{"s", &FamilyParameters::s},
                                                {"rate", &FamilyParameters::rate},
                                                {"width", &FamilyParameters::width},
                                                {"c", &FamilyParameters::c}};

HeeLayer layer_of(const TensorFile& file, int l) {
  HeeLayer layer;
  layer.family = parsed(file, key_of(l, "family"), parse_family);
  for (const auto& [name, member] : family_parameters) layer.parameters.*member = number<double>(file, key_of(l, name));
  const std::string key = key_of(l, "nonlinearity");
  if (l > 0 && file.metadata_at(key) != "identity") layer.nonlinearity = parsed(file, key, parse_nonlinearity);
  return layer;
}

}  // namespace

bool is_hee_file(const TensorFile& file) {
  const auto kind = file.metadata.find("tarn_kind");
  return kind != file.metadata.end() && kind->second == "hee";
}

TensorFile to_tensors(const HeeModel& model) {
  const HeeParameters& p = model.parameters;
  check_hee_parameters(p);
  TensorFile file;
  file.metadata["tarn_kind"] = "hee";
  file.metadata["n_layers"] = std::to_string(p.layers.size());
  file.metadata["scale"] = fmt::format("{}", model.scaling.scale);  // the shortest text that reads back the same
  if (!model.scaling.shift.empty()) file.put_vector("shift", model.scaling.shift);
  for (int l = 0; l <= p.n_latent_layers(); ++l) {
    const auto at = static_cast<std::size_t>(l);
    const HeeLayer& layer = p.layers[at];
    file.put(fmt::format("b{}", l), p.b[at].view(), Shape{layer.size});
    file.metadata[key_of(l, "family")] = name_of(layer.family);
    for (const auto& [name, member] : family_parameters)
      file.metadata[key_of(l, name)] = fmt::format("{}", layer.parameters.*member);
    if (l == 0) continue;
    file.put(fmt::format("W{}", l), p.W[at - 1].view());
    file.metadata[key_of(l, "nonlinearity")] = layer.nonlinearity ? name_of(*layer.nonlinearity) : "identity";
  }
  return file;
}

HeeModel hee_from_tensors(const TensorFile& file) {
  if (!is_hee_file(file)) fail("{}: holds no hee model; its metadata should say tarn_kind = \"hee\"", file.source);
  const int n_layers = number<int>(file, "n_layers");
  if (n_layers < 2 || n_layers > most_layers)
    fail("{}: metadata \"n_layers\" is {}; allowed: 2 to {}", file.source, n_layers, most_layers);
  NamedArrays arrays(file.source);
  for (const auto& [name, tensor] : file.tensors) arrays.add(name, tensor.dtype, tensor.shape, tensor.bytes);
  HeeModel model;
  HeeParameters& p = model.parameters;
  for (int l = 0; l < n_layers; ++l) {
    HeeLayer layer = layer_of(file, l);
    const std::string bias = fmt::format("b{}", l), weights = fmt::format("W{}", l);
    layer.size = arrays.shape(bias, 1)[0];
    p.b.push_back(arrays.floats(bias, {layer.size}));
    if (l > 0) p.W.push_back(arrays.floats(weights, {p.layers.back().size, layer.size}));
    p.layers.push_back(std::move(layer));
  }
  model.scaling.scale = number<double>(file, "scale");
  if (arrays.has("shift")) model.scaling.shift = arrays.doubles("shift", {p.layers[0].size});
  arrays.note_what_was_converted_or_left();
  const bool finite = std::ranges::all_of(model.scaling.shift, [](double value) { return std::isfinite(value); });
  if (!finite || !(model.scaling.scale > 0.0) || !std::isfinite(model.scaling.scale))
    fail("{}: shift must be finite and scale above 0, found the scale {}", file.source, model.scaling.scale);
  try {
    check_hee_parameters(p);
  } catch (const Error& error) {
    fail("{}: {}", file.source, error.what());
  }
  return model;
}

HeeModel load_hee(const std::filesystem::path& path) { return hee_from_tensors(read_safetensors(path)); }

void save_hee(const std::filesystem::path& path, const HeeModel& model) {
  if (path.extension() != ".safetensors")
    fail_usage("{}: weights of an hee model are written as .safetensors; found the ending \"{}\"", path.string(),
               path.extension().string());
  write_safetensors(path, to_tensors(model));
}

}  // namespace tarn
