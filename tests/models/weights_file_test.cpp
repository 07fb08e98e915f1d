// Weights in files: round trips, what other programs write, and files that are wrong, each refused with one line.
#include "tarn/models/weights_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "models/golden.hpp"
#include "models/networks.hpp"
#include "models/same_network.hpp"

namespace tarn {
namespace {

using test::expect_same;
using test::message_of;
using test::normals;
using test::some_network;
using testing::AllOf;
using testing::HasSubstr;

class WeightsFile : public testing::Test {
 protected:
  WeightsFile() {
    folder = std::filesystem::temp_directory_path() /
             fmt::format("tarn_weights_{}_{}", testing::UnitTest::GetInstance()->current_test_info()->name(), getpid());
    std::filesystem::create_directories(folder);
  }
  ~WeightsFile() override { std::filesystem::remove_all(folder); }
  std::filesystem::path folder;
};

SamplingNetwork full_network(ModelKind kind) {
  const bool reservoir = kind == ModelKind::reservoir_sampler;
  SamplingNetwork network = some_network(kind, 3, reservoir ? 2 : 0, 7, Nonlinearity::softplus);
  network.drift_map = normals(3, 3, 9);
  network.scaling = {{0.1, -1.0 / 3.0, 1e-300}, 1.0 / 7.0};  // no short decimal reads back to these
  network.sigma = 0.029552466;
  return network;
}

TEST_F(WeightsFile, GoesRoundInBothFormats) {
  for (const ModelKind kind : test::all_kinds) {
    for (const bool full : {true, false}) {
      const SamplingNetwork network = full ? full_network(kind) : some_network(kind, 1, 0, 1);
      save_network(folder / "m.safetensors", network);
      expect_same(load_network(folder / "m.safetensors"), network);
      save_network(folder / "m.npz", network);
      expect_same(load_network(folder / "m.npz", {network.phi, network.kind}), network);
    }
  }
}

TEST_F(WeightsFile, IsKnownByItsFirstBytesNotItsName) {
  const SamplingNetwork network = full_network(ModelKind::reservoir_sampler);
  write_safetensors(folder / "weights.bin", to_tensors(network));
  expect_same(load_network(folder / "weights.bin"), network);
  write_npz(folder / "weights.dat", to_npz(network));
  expect_same(load_network(folder / "weights.dat", {network.phi, {}}), network);
}

TEST_F(WeightsFile, SameNetworkSameBytes) {
  const SamplingNetwork network = full_network(ModelKind::sampler_only_fr);
  for (const char* name : {"a.safetensors", "b.npz"}) {
    save_network(folder / name, network);
    const Bytes first = read_file(folder / name);
    save_network(folder / name, network);
    EXPECT_EQ(read_file(folder / name), first);
  }
}

TEST_F(WeightsFile, MetadataOfSafetensors) {
  const TensorFile file = to_tensors(full_network(ModelKind::reservoir_sampler));
  EXPECT_EQ(file.metadata_at("tarn_kind"), "reservoir_sampler");
  EXPECT_EQ(file.metadata_at("nonlinearity"), "softplus");
  EXPECT_EQ(file.metadata_at("n_inputs"), "2");
  EXPECT_EQ(file.metadata_at("sigma"), "0.029552466");
  EXPECT_EQ(file.at("W_in").shape, (Shape{7, 5}));
  EXPECT_EQ(file.at("b").shape, (Shape{7}));
  EXPECT_EQ(file.at("W_out").shape, (Shape{3, 7}));
  EXPECT_EQ(file.at("shift").dtype, ElementType::f64);
}

// float64 arrays of another program, among arrays that are not weights.
TEST_F(WeightsFile, GoldenVectorsAreWeights) {
  for (const auto& tested : test::golden_cases) {
    const test::Golden golden(tested);
    const SamplingNetwork network = load_network(test::golden_path(tested.name), {.nonlinearity = tested.phi});
    expect_same(network, golden.reservoir_network());
    EXPECT_EQ(network.sigma, 0.3);
    EXPECT_EQ(network.scaling, AffineScaling{});
  }
}

TEST_F(WeightsFile, InputsAreTheColumnsBeyondTheOutputs) {
  NpzArrays arrays = to_npz(some_network(ModelKind::reservoir_sampler, 2, 3, 5));
  const SamplingNetwork network = from_npz(arrays, "w.npz", {.nonlinearity = Nonlinearity::relu});
  EXPECT_EQ(network.n_inputs, 3);
  EXPECT_EQ(network.n_outputs, 2);
}

/// Spoils the arrays of a good NPZ and returns the complaint.
template <class Spoil>
std::string npz_complaint(ModelKind kind, Spoil&& spoil) {
  NpzArrays arrays = to_npz(full_network(kind));
  spoil(arrays);
  const std::string message =
      message_of([&] { from_npz(arrays, "w.npz", {.nonlinearity = Nonlinearity::relu, .kind = kind}); });
  EXPECT_THAT(message, testing::StartsWith("w.npz: "));
  return message;
}

NpyArray array_of(std::int64_t rows, std::int64_t cols) { return make_npy(normals(rows, cols, 30)); }

TEST_F(WeightsFile, WrongArraysAreNamedWithFoundAndExpectedShape) {
  using Arrays = NpzArrays;
  constexpr auto reservoir = ModelKind::reservoir_sampler, sc = ModelKind::sampler_only_sc;
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a.erase("b"); }), HasSubstr("array b of shape (7,) is missing"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a.erase("W_out"); }),
              HasSubstr("array W_out is missing; found: W_in, b"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["b"] = array_of(7, 1); }),
              HasSubstr("b has shape (7, 1), expected (7,)"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["W_out"] = array_of(3, 8); }),
              HasSubstr("W_out has shape (3, 8), expected (3, 7)"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["W_in"] = array_of(7, 2); }),
              AllOf(HasSubstr("W_in has shape (7, 2)"), HasSubstr("W_out has 3 rows")));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["W_in"] = make_npy(normals(1, 35, 1), {35}); }),
              HasSubstr("W_in has shape (35,), expected 2 extents"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["W_in"] = make_npy(Matrix<float>(0, 5)); }),
              HasSubstr("at least one neuron"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["W_out"] = make_npy(Matrix<float>(0, 7)); }),
              HasSubstr("at least one neuron and one output"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["drift_map"] = array_of(2, 2); }),
              HasSubstr("drift_map has shape (2, 2), expected (3, 3)"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["shift"] = array_of(1, 3); }),
              HasSubstr("shift has shape (1, 3), expected (3,)"));
  EXPECT_THAT(npz_complaint(reservoir, [](Arrays& a) { a["scale"] = a["shift"]; }),
              HasSubstr("scale has shape (3,), expected ()"));
  EXPECT_THAT(npz_complaint(sc, [](Arrays& a) { a["gamma"] = array_of(3, 3); }),
              HasSubstr("gamma has shape (3, 3), expected (3,)"));
  EXPECT_THAT(npz_complaint(sc, [](Arrays& a) { a.erase("S"); }), HasSubstr("array S of shape (3, 3) is missing"));
  EXPECT_THAT(npz_complaint(sc, [](Arrays& a) { a["W"] = array_of(3, 4); }),
              HasSubstr("W has shape (3, 4), expected (3, 3)"));
}

TEST_F(WeightsFile, WrongValuesAreRefused) {
  using Arrays = NpzArrays;
  constexpr auto kind = ModelKind::reservoir_sampler;
  const auto with = [](NpyArray array, std::size_t at, double value) {
    std::memcpy(array.bytes.data() + at * sizeof(double), &value, sizeof(double));
    return array;
  };
  EXPECT_THAT(npz_complaint(kind,
                            [](Arrays& a) {
                              const std::vector<std::int64_t> ones(7, 1);
                              a["b"] = make_npy(std::span(ones), {7});
                            }),
              HasSubstr("b is int64, expected float32"));
  EXPECT_THAT(npz_complaint(kind,
                            [](Arrays& a) {
                              Matrix<float> b = normals(1, 7, 3);
                              b(0, 4) = NAN;
                              a["b"] = make_npy(b, {7});
                            }),
              HasSubstr("b holds nan at [0, 4]"));
  EXPECT_THAT(npz_complaint(kind,
                            [](Arrays& a) {
                              const std::vector<double> huge(7, 1e300);  // finite in float64, not in float32
                              a["b"] = make_npy(std::span(huge), {7});
                            }),
              HasSubstr("b holds inf"));
  EXPECT_THAT(npz_complaint(kind, [&](Arrays& a) { a["scale"] = with(a["scale"], 0, 0.0); }), HasSubstr("scale is 0"));
  EXPECT_THAT(npz_complaint(kind, [&](Arrays& a) { a["scale"] = with(a["scale"], 0, -2.0); }),
              HasSubstr("scale is -2"));
  EXPECT_THAT(npz_complaint(kind, [&](Arrays& a) { a["sigma"] = with(a["sigma"], 0, NAN); }),
              HasSubstr("sigma is nan"));
  EXPECT_THAT(npz_complaint(kind, [&](Arrays& a) { a["shift"] = with(a["shift"], 1, INFINITY); }),
              HasSubstr("shift holds inf at [1]"));
}

TEST_F(WeightsFile, WrongMetadataAreRefused) {
  const auto complaint = [](const std::string& key, const std::string& value, const WeightsFileHints& hints = {}) {
    TensorFile file = to_tensors(full_network(ModelKind::reservoir_sampler));
    file.source = "m.safetensors";
    file.metadata[key] = value;
    const std::string message = message_of([&] { from_tensors(file, hints); });
    EXPECT_THAT(message, testing::StartsWith("m.safetensors: "));
    return message;
  };
  EXPECT_THAT(complaint("tarn_kind", "hee"), AllOf(HasSubstr("tarn_kind"), HasSubstr("\"hee\"")));
  EXPECT_THAT(complaint("nonlinearity", "gelu"),
              AllOf(HasSubstr("nonlinearity"), HasSubstr("\"gelu\""), HasSubstr("softplus")));
  EXPECT_THAT(complaint("n_inputs", "1"), HasSubstr("n_inputs = 1"));
  EXPECT_THAT(complaint("n_inputs", "9223372036854775807"), HasSubstr("n_inputs"));
  EXPECT_THAT(complaint("n_inputs", "two"), HasSubstr("\"two\", expected a number"));
  EXPECT_THAT(complaint("scale", ""), HasSubstr("expected a number"));
  EXPECT_THAT(complaint("scale", "1.5x"), HasSubstr("\"1.5x\""));
  EXPECT_THAT(complaint("scale", "nan"), HasSubstr("scale is nan"));
  EXPECT_THAT(complaint("sigma", "-1"), HasSubstr("sigma is -1"));
  EXPECT_THAT(complaint("tarn_kind", "sampler_only_sc"), HasSubstr("array W is missing; found: W_in"));
  // Found by fuzzing: texts of the file came into the message as they were, line breaks and all.
  EXPECT_THAT(complaint("scale", "1\n\x1b[2J"), HasSubstr("\"1??[2J\""));
  EXPECT_THAT(complaint("nonlinearity", "re\nlu"), HasSubstr("\"re?lu\""));
  TensorFile file = to_tensors(full_network(ModelKind::reservoir_sampler));
  file.tensors["x\ny"] = file.tensors.extract("W_in").mapped();
  EXPECT_THAT(message_of([&] { from_tensors(file); }), HasSubstr("x?y"));
}

TEST_F(WeightsFile, KindAndNonlinearityMustBeKnownAndAgree) {
  SamplingNetwork network = full_network(ModelKind::reservoir_sampler);
  NpzArrays arrays = to_npz(network);
  EXPECT_THAT(message_of<UsageError>([&] { from_npz(arrays, "w.npz"); }),
              AllOf(HasSubstr("--nonlinearity"), HasSubstr("leaky_relu")));
  EXPECT_THAT(message_of<UsageError>([&] { from_tensors(to_tensors(network), {.nonlinearity = Nonlinearity::relu}); }),
              AllOf(HasSubstr("softplus"), HasSubstr("relu")));
  EXPECT_THAT(message_of<UsageError>([&] { from_tensors(to_tensors(network), {.kind = ModelKind::sampler_only_fr}); }),
              HasSubstr("reservoir_sampler"));
  EXPECT_NO_THROW(from_tensors(to_tensors(network), {Nonlinearity::softplus, ModelKind::reservoir_sampler}));

  arrays = to_npz(full_network(ModelKind::sampler_only_sc));
  EXPECT_THAT(message_of<UsageError>([&] { from_npz(arrays, "w.npz", {.nonlinearity = Nonlinearity::relu}); }),
              AllOf(HasSubstr("sampler_only_sc"), HasSubstr("sampler_only_fr")));
  arrays.clear();
  EXPECT_THAT(message_of([&] { from_npz(arrays, "w.npz", {.nonlinearity = Nonlinearity::relu}); }),
              AllOf(HasSubstr("W_in, b, W_out"), HasSubstr("no arrays")));
}

TEST_F(WeightsFile, FilesThatAreNoWeightsAreRefused) {
  const auto complaint = [&](const std::string& name, std::string_view content) {
    write_file_atomically(folder / name, content);
    const std::string message = message_of([&] { load_network(folder / name, {.nonlinearity = Nonlinearity::relu}); });
    EXPECT_THAT(message, HasSubstr(name));
    return message;
  };
  EXPECT_THAT(complaint("empty", ""), HasSubstr("neither"));
  EXPECT_THAT(complaint("notes.txt", "W_in = 3, and some more text"), HasSubstr("neither"));
  complaint("cut.npz", "PK");
  complaint("cut.safetensors", "12345678");
  complaint("empty.safetensors", "");
  complaint("absurd.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{", 9));
  EXPECT_THROW(load_network(folder / "missing.npz"), Error);

  // every prefix of a good file is damaged, and says so in one line
  const SamplingNetwork network = some_network(ModelKind::reservoir_sampler, 1, 0, 2);
  for (const char* name : {"w.safetensors", "w.npz"}) {
    save_network(folder / name, network);
    const Bytes whole = read_file(folder / name);
    for (std::size_t n = 0; n < whole.size(); n += 7) {
      std::ofstream(folder / name, std::ios::binary)
          .write(reinterpret_cast<const char*>(whole.data()), static_cast<std::streamsize>(n));
      message_of([&] { load_network(folder / name, {.nonlinearity = Nonlinearity::relu}); });
    }
  }
}

TEST_F(WeightsFile, OnlyGoodNetworksAndKnownEndingsAreWritten) {
  SamplingNetwork network = full_network(ModelKind::reservoir_sampler);
  EXPECT_THAT(message_of<UsageError>([&] { save_network(folder / "m.pt", network); }), HasSubstr("\".pt\""));
  network.W_out(0, 0) = NAN;
  for (const char* name : {"m.safetensors", "m.npz"}) {
    EXPECT_THAT(message_of([&] { save_network(folder / name, network); }), HasSubstr("W_out holds nan"));
    EXPECT_FALSE(std::filesystem::exists(folder / name));
  }
}

}  // namespace
}  // namespace tarn
