// Writes the inputs that fuzzing starts from: `make_corpus FOLDER` makes FOLDER/<target>/ for each target. Small files, well
// formed, so that the fuzzer has something to break; nothing binary needs to be kept in the repository.
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "tarn/data/filter.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/io/choice_file.hpp"
#include "tarn/io/draw_manifest.hpp"
#include "tarn/io/npz.hpp"
#include "tarn/io/png.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;

std::string text_of(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string big_endian(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  require(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK, "zlib cannot be started");
  std::string out(text.size() + 200, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

SamplingNetwork network(ModelKind kind) {
  SamplingNetwork network;
  network.kind = kind;
  network.phi = Nonlinearity::tanh;
  network.n_outputs = 2;
  if (kind == ModelKind::reservoir_sampler) {
    network.n_inputs = 1;
    network.W_in = Matrix<float>(3, 3);
    network.b = Matrix<float>(1, 3);
    network.W_out = Matrix<float>(2, 3);
  } else if (is_energy_based(kind)) {
    network.phi = Nonlinearity::sigmoid;
    network.W_in = Matrix<float>(3, 2);
    network.b = Matrix<float>(1, 3);
    network.a = Matrix<float>(1, 2);
    if (kind == ModelKind::ebm) network.v = Matrix<float>(1, 3);
    network.s = 0.25;
  } else {
    network.W_in = network.S = network.drift_map = Matrix<float>(2, 2);
    network.b = network.gamma = Matrix<float>(1, 2);
  }
  network.scaling.shift = {0.5, 1.0};
  network.sigma = 0.1;
  return network;
}

TensorFile maps(std::unique_ptr<Filter> filter) {
  TensorFile file;
  filter->to_tensors(file);
  DatumScaling scaling;
  scaling.kind = DatumScalingKind::standardise;
  scaling.mean = {0.0F, 1.0F};
  scaling.standard_deviation = {1.0F, 2.0F};
  scaling.to_tensors(file);
  return file;
}

/// A file as another program would write it: no checksum of ours, so that changed values are not refused for it.
std::string without_checksum(const TensorFile& file) {
  std::string text = text_of(encode_safetensors(file));
  const auto at = text.find("\"xxh3\"");
  return at == std::string::npos ? text : text.replace(at, 6, "\"xxhh\"");
}

std::string manifest() {
  DrawManifest manifest;
  manifest.layout = {10, 2, 8, 3, 1, {"a", "b", "c"}};
  manifest.attributes = {{"dt", 0.5}, {"seed", std::int64_t{3407}}, {"model", std::string("reservoir_sampler")}};
  manifest.segments = {{"part-000000.nc", "0123456789abcdef", 1000, 2, 3, 0, 5},
                       {"part-000001.nc", "0123456789abcdef", 1000, 5, 3, 0, 5}};
  manifest.sample_stats_xxh3 = "fedcba9876543210";
  return encode_manifest(manifest);
}

std::map<std::string, std::vector<std::string>> corpus() {
  std::map<std::string, std::vector<std::string>> out;
  const std::vector<float> floats{0.0F, 1.0F, -2.5F, 3.0F, 0.25F, 7.0F, 1.0F, 1.0F, 0.0F, 2.0F, 4.0F, 8.0F};
  const std::vector<double> doubles{0.5, 1e300, -1.0};
  const std::vector<std::uint8_t> labels{0, 1, 2, 9};

  out["idx"] = {big_endian(2051) + big_endian(2) + big_endian(2) + big_endian(3) + std::string(12, 'x'),
                big_endian(2049) + big_endian(4) + std::string("\0\1\2\3", 4)};
  out["cifar"] = {std::string(1, '\3') + std::string(3072, 'c'), std::string(3073, '\2') + std::string(3073, '\x9')};
  out["gzip"] = {gzip(""), gzip("tarn"), gzip(std::string(3000, 'a')) + gzip("second member"), gzip(out["idx"][0])};
  out["npy"] = {text_of(encode_npy(make_npy(std::span(floats), {3, 4}))),
                text_of(encode_npy(make_npy(std::span(floats), {1, 2, 2, 3}))),
                text_of(encode_npy(make_npy(std::span(doubles), {3}))),
                text_of(encode_npy(make_npy(std::span(labels), {4}))),
                text_of(encode_npy(make_npy(std::span(doubles).first(1), {})))};
  out["npz"] = {text_of(encode_npz(to_npz(network(ModelKind::reservoir_sampler)))),
                text_of(encode_npz(to_npz(network(ModelKind::sampler_only_sc)))),
                text_of(encode_npz(to_npz(network(ModelKind::ebm)))),
                text_of(encode_npz({{"a", make_npy(std::span(labels), {4})}})), text_of(encode_npz({}))};
  for (const std::int64_t channels : {1, 3}) {
    Image image{4, 5, channels, {}};
    for (std::int64_t i = 0; i < 20 * channels; ++i) image.pixels.push_back(static_cast<std::uint8_t>(11 * i));
    out["png"].push_back(text_of(encode_png(image)));
  }
  out["safetensors"] = {text_of(encode_safetensors(to_tensors(network(ModelKind::reservoir_sampler)))),
                        without_checksum(to_tensors(network(ModelKind::reservoir_sampler))),
                        without_checksum(to_tensors(network(ModelKind::sampler_only_fr))),
                        without_checksum(to_tensors(network(ModelKind::rbm))),
                        without_checksum(to_tensors(network(ModelKind::ebm))),
                        without_checksum(maps(std::make_unique<IdentityFilter>(2))),
                        without_checksum(maps(std::make_unique<PcaFilter>(
                            std::vector<float>{0.0F, 1.0F}, Matrix<float>(2, 1), std::vector<double>{1.0}, 2.0)))};
  out["manifest"] = {manifest()};
  out["choices"] = {
      choices_text({{"card", {{"product", {"00ff", 1.25}}, {"small chains", {"8x4x128"}}}}, {"other", {}}})};
  out["toml"] = {
      "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0, 0.5], [1, 2e0]]\nstd = [0.1, 0.2]\nweights = [1, 3]\n"
      "[model]\nneurons = 10 # few\n[training]\nepochs = 20\nbatch_size = 8\n",
      "data.kind = 'laplace_mixture'\ndata.covariances = [[[1.0, 0.5], [0.5, 1.0]]]\n\xffrun.seed=4\xffrun.name=a",
      "[data]\nkind = \"idx\"\npath = \"\"\"f\"\"\"\nclasses = [1, 2]\nmax_items = 0x10\n[filter]\nkind = \"pca\"\n"
      "[training.noise]\nlevels = \"auto\"\nfirst = 1_000.0\n[sampling.initial]\nkind = \"uniform\"\nlow = -inf\n",
      "[run]\nname = \"x\"\ndevice = \"cpu\"\n[data]\nkind = \"checkerboard\"\ncells = 6\n[training]\nrecipe = "
      "\"published\"\n[sampling]\nschedule = \"last_level\"\nsteps = 10\ndt = nan\ndate = 1979-05-27T07:32:00Z\n",
      "[data]\nkind = \"npy\"\npath = \"x.npy\"\n[model]\nkind = \"ebm\"\nneurons = 8\ns = 0.2\nnonlinearity = "
      "\"tanh\"\n"
      "[training.contrastive]\nparticles = 10\nsteps = 2\ndt = 1e-3\nrenewed = 1\n[evaluation]\nlikelihood_data = 4\n",
      "[data]\nkind = \"npy\"\npath = \"x.npy\"\n[sweep]\nstudy = \"learning\"\nlevels = [-3.0]\ntest_items = "
      "9\n[[sweep.targets]]\n"
      "name = \"rbm\"\n[sweep.targets.model]\nkind = \"rbm\"\n[[sweep.targets]]\nname = "
      "\"hee\"\n[sweep.targets.model]\nkind = \"hee\"\n"
      "[[sweep.targets.model.layers]]\nfamily = \"gaussian\"\n"};
  return out;
}

}  // namespace
}  // namespace tarn

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "make_corpus FOLDER\n");
    return 2;
  }
  for (const auto& [target, inputs] : tarn::corpus()) {
    const auto folder = std::filesystem::path(argv[1]) / target;
    std::filesystem::create_directories(folder);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      tarn::write_file_atomically(folder / fmt::format("seed-{}", i), inputs[i]);
    }
  }
}
