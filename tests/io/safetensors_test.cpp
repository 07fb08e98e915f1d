#include "tarn/io/safetensors.hpp"

#include <cmath>
#include <numeric>

#include "io_test_tools.hpp"

namespace tarn {
namespace {

using SafetensorsTest = IoTest;

TensorFile example() {
  TensorFile file;
  Matrix<float> w(3, 4);
  std::iota(w.data(), w.data() + w.size(), 0.0F);
  file.put("W_in", w);
  file.put("image", w, {2, 2, 3});
  file.put_vector("b", std::vector<double>{0.0, 1.0, 2.0});
  file.put_vector("small", std::vector<std::uint8_t>{0, 1, 2});
  file.put_vector("step", std::vector<std::int64_t>{1LL << 53});
  file.put_vector("none", std::vector<float>{});
  file.metadata = {{"kind", "reservoir_sampler"}, {"name", "caf\u00e9 \"x\"\n"}};
  return file;
}

Bytes with_header(const std::string& header, std::size_t n_data) {
  Bytes out(8);
  const std::uint64_t size = header.size();
  std::memcpy(out.data(), &size, 8);
  const auto text = to_bytes(header + std::string(n_data, '\0'));
  out.insert(out.end(), text.begin(), text.end());
  return out;
}

TEST_F(SafetensorsTest, ReadsWhatPythonWrites) {
  const auto file = read_safetensors(golden("python.safetensors"));
  EXPECT_EQ(file.metadata.at("kind"), "reservoir_sampler");
  const auto w = file.matrix("W_in", 3, 4);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(w.data()[i], static_cast<float>(i));
  EXPECT_EQ(file.values<double>("b", 3), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(file.vector("b"), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(file.values<std::int64_t>("steps"), std::vector<std::int64_t>{7});
  EXPECT_EQ(file.values<std::uint8_t>("small"), (std::vector<std::uint8_t>{0, 1, 2}));
  const auto mask = file.matrix("mask", 1, 2);
  EXPECT_EQ(mask(0, 0), 1.0F);
  EXPECT_EQ(mask(0, 1), 0.0F);
  const auto half = file.vector("half", 5);
  EXPECT_EQ(half[0], 0.5F);
  EXPECT_EQ(half[1], -2.0F);
  EXPECT_EQ(half[2], 65504.0F);
  EXPECT_EQ(half[3], 0x1p-24F);  // the smallest half: 6e-8 rounds to it
  EXPECT_TRUE(std::isinf(half[4]));
}

TEST_F(SafetensorsTest, RoundTripIsReproducible) {
  const auto file = example();
  write_safetensors(in_folder("m.safetensors"), file);
  const auto back = read_safetensors(in_folder("m.safetensors"));
  EXPECT_EQ(back.tensors, file.tensors);
  EXPECT_EQ(back.metadata_at("name"), file.metadata_at("name"));
  EXPECT_EQ(back.metadata_at("format_version"), "1");
  EXPECT_EQ(encode_safetensors(back), read_file(in_folder("m.safetensors")));
  std::uint64_t header = 0;
  std::memcpy(&header, encode_safetensors(file).data(), 8);
  EXPECT_EQ(header % 8, 0U);
  EXPECT_EQ(parse_safetensors(encode_safetensors({}), "empty").tensors.size(), 0U);
}

TEST_F(SafetensorsTest, NamesWhatIsMissingOrOfAnotherShape) {
  const auto file = parse_safetensors(encode_safetensors(example()), "m.safetensors");
  EXPECT_REFUSED(file.at("W_out"),
                 "m.safetensors: has no tensor \"W_out\"; it holds: W_in, b, image, none, small, step");
  EXPECT_REFUSED(file.metadata_at("x"), "no \"x\"");
  EXPECT_REFUSED(file.matrix("W_in", 3, 5), "shape (3, 4), expected (3, 5)");
  EXPECT_REFUSED(file.matrix("b"), "shape (3,), expected (any, any)");
  EXPECT_REFUSED(file.vector("b", 4), "expected (4,)");
  EXPECT_REFUSED(file.values<float>("b"), "is float64 of shape (3,), expected float32");
  TensorFile wrong;
  EXPECT_REFUSED(wrong.put("a", Matrix<float>(2, 2), {3}), "takes 12 bytes, found 16");
  wrong.metadata["a"] = "\xff";
  EXPECT_REFUSED(encode_safetensors(wrong), "UTF-8");
}

TEST_F(SafetensorsTest, DetectsChangedData) {
  auto data = encode_safetensors(example());
  data.back() ^= std::byte{1};
  EXPECT_REFUSED(parse_safetensors(data, "m"), "data are damaged: XXH3");
}

TEST_F(SafetensorsTest, RefusesHeadersThatLie) {
  const auto parse = [](const std::string& header, std::size_t n) {
    return parse_safetensors(with_header(header, n), "x");
  };
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  EXPECT_EQ(parse("{" + a + "}", 8).tensors.size(), 1U);
  EXPECT_EQ(parse("{" + a + "}   ", 8).tensors.size(), 1U);
  EXPECT_REFUSED(parse("{" + a + "}", 7), "tensors take 8 bytes, but the file holds 7");
  EXPECT_REFUSED(parse("{" + a + "}", 9), "tensors take 8 bytes, but the file holds 9");
  EXPECT_REFUSED(parse("{" + a + "," + a + "}", 8), "key \"a\" stands twice");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
                 "\"dtype\" stands twice");
  EXPECT_REFUSED(parse("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "they overlap");
  EXPECT_REFUSED(parse("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "they overlap");
  EXPECT_REFUSED(parse("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}})", 20), "a gap");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12), "a gap");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), "its offsets are [8, 0]");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), "takes 12 bytes");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), "-2 is not a size");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), "2.0 is not a size");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,8]}})", 8), "JSON");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})", 0),
                 "larger than");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})", 8),
                 "not a size");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9223372036854775808]}})", 8), "not a size");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8), "dtype \"F33\"");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8), "exactly the keys");
  EXPECT_REFUSED(parse(R"({"a":{"dtype":"F32","shape":[2],"offsets":[0,8]}})", 8), "exactly the keys");
  EXPECT_REFUSED(parse(R"({"a":[1,2]})", 8), "exactly the keys");
  EXPECT_REFUSED(parse(R"({"__metadata__":{"x":1}})", 0), "not a text");
  EXPECT_REFUSED(parse(R"({"__metadata__":7})", 0), "texts");
  EXPECT_REFUSED(parse(R"({"__metadata__":{"xxh3":"0","format_version":"2"}})", 0), "format version \"2\"");
  EXPECT_REFUSED(parse(R"({"\n\u001b[2J":[1,2]})", 8), "tensor \"??[2J\"");
  EXPECT_REFUSED(parse("[]", 0), "does not start with a brace");
  EXPECT_REFUSED(parse("{", 0), "not well-formed JSON");
  EXPECT_REFUSED(parse("{\"\xff\":1}", 0), "not well-formed JSON");
  EXPECT_REFUSED(parse("{\"a\":" + std::string(100000, '['), 0), "nested more than 3 deep");
  std::string objects;
  for (int i = 0; i < 50000; ++i) objects += "{\"a\":";
  EXPECT_REFUSED(parse(objects, 0), "nested more than 3 deep");
  auto huge = with_header("{}", 0);
  huge[7] = std::byte{0xff};
  EXPECT_REFUSED(parse_safetensors(huge, "x"), "claims");
  EXPECT_REFUSED(read_safetensors(golden("f4.npy")), "not a safetensors file");
}

TEST_F(SafetensorsTest, SurvivesDamage) {
  const auto parse = [](ByteView bytes) {
    const auto file = parse_safetensors(bytes, "x");
    for (const auto& [name, tensor] : file.tensors) {
      if (tensor.shape.size() == 2) (void)file.matrix(name);
      if (tensor.shape.size() == 1) (void)file.vector(name);
    }
  };
  for (const auto& data : {read_file(golden("python.safetensors")), encode_safetensors(example())}) {
    refuses_truncations(data, parse);
    survives_byte_changes(data, parse);
  }
}

TEST_F(SafetensorsTest, FailedWriteLeavesTheOldFile) {
  write_safetensors(in_folder("m"), example());
  const auto before = read_file(in_folder("m"));
  auto wrong = example();
  wrong.tensors["b"].bytes.pop_back();
  EXPECT_REFUSED(write_safetensors(in_folder("m"), wrong), "takes 24 bytes, found 23");
  EXPECT_EQ(read_file(in_folder("m")), before);
}

}  // namespace
}  // namespace tarn
