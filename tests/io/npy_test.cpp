#include "tarn/io/npy.hpp"

#include <numeric>

#include "io_test_tools.hpp"

namespace tarn {
namespace {

using NpyTest = IoTest;

/// The header of a version 1 file by hand, with `n` bytes of values.
Bytes npy_with_header(std::string header, std::size_t n) {
  header += '\n';
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xff);
  text += static_cast<char>(header.size() >> 8);
  return to_bytes(text + header + std::string(n, '\0'));
}

TEST_F(NpyTest, ReadsEveryTypeThatNumpyWrites) {
  for (const std::string type :
       {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "version2", "version3"}) {
    const auto path = golden(type + ".npy");
    const auto values = read_npy_matrix(path);
    ASSERT_EQ(values.rows(), 3) << type;
    ASSERT_EQ(values.cols(), 4) << type;
    for (int i = 0; i < 12; ++i) EXPECT_EQ(values.data()[i], static_cast<float>(i)) << type;
  }
  const auto flags = read_npy_matrix(golden("bool.npy"));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(flags.data()[i], static_cast<float>(i % 2));
}

TEST_F(NpyTest, ShapesBecomeMatrices) {
  const auto scalar = read_npy_matrix(golden("scalar.npy"));
  EXPECT_EQ(scalar.rows(), 1);
  EXPECT_EQ(scalar.cols(), 1);
  EXPECT_EQ(scalar(0, 0), 2.5F);
  const auto vector = read_npy_matrix(golden("vector.npy"));
  EXPECT_EQ(vector.rows(), 5);
  EXPECT_EQ(vector.cols(), 1);
  EXPECT_EQ(vector(3, 0), 1.5F);
  const auto cube = read_npy_matrix(golden("cube.npy"));
  EXPECT_EQ(cube.rows(), 2);
  EXPECT_EQ(cube.cols(), 12);
  EXPECT_EQ(cube(1, 11), 23.0F);
  const auto empty = read_npy_matrix(golden("empty.npy"));
  EXPECT_EQ(empty.rows(), 0);
  EXPECT_EQ(empty.cols(), 3);
}

TEST_F(NpyTest, WritesTheBytesThatNumpyWrites) {
  for (const std::string name : {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool", "scalar",
                                 "vector", "empty", "cube", "long", "axes"}) {
    const auto bytes = read_file(golden(name + ".npy"));
    EXPECT_EQ(encode_npy(parse_npy(bytes, name)), bytes) << name;
  }
  Matrix<float> values(3, 4);
  std::iota(values.data(), values.data() + values.size(), 0.0F);
  write_npy(in_folder("m.npy"), values);
  EXPECT_EQ(read_file(in_folder("m.npy")), read_file(golden("f4.npy")));
  Matrix<float> cube(4, 6);
  std::iota(cube.data(), cube.data() + cube.size(), 0.0F);
  write_npy(in_folder("c.npy"), cube, {2, 3, 4});
  EXPECT_EQ(read_file(in_folder("c.npy")), read_file(golden("cube.npy")));
  EXPECT_REFUSED(write_npy(in_folder("c.npy"), cube, {5, 5}), "24 values do not fill");
}

TEST_F(NpyTest, KeepsNanAndInfinity) {
  Matrix<float> values(1, 3);
  values(0, 0) = std::numeric_limits<float>::quiet_NaN();
  values(0, 1) = -std::numeric_limits<float>::infinity();
  values(0, 2) = -0.0F;
  write_npy(in_folder("m.npy"), values);
  const auto back = read_npy_matrix(in_folder("m.npy"));
  EXPECT_EQ(std::memcmp(back.data(), values.data(), 12), 0);
}

TEST_F(NpyTest, RefusesArraysThatAreNotPlainLittleEndianNumbers) {
  EXPECT_REFUSED(read_npy(golden("fortran.npy")), "Fortran order");
  EXPECT_REFUSED(read_npy(golden("big_endian.npy")), "big-endian");
  EXPECT_REFUSED(read_npy(golden("object.npy")), "Python objects");
  EXPECT_REFUSED(read_npy(golden("structured.npy")), "structured");
  EXPECT_REFUSED(read_npy(golden("complex.npy")), "\"<c8\" is not read");
  EXPECT_REFUSED(read_npy(golden("gray.png")), "is not a .npy file");
}

TEST_F(NpyTest, RefusesHeadersThatLie) {
  const std::string start = "{'descr': '<f4', 'fortran_order': False, ";
  const auto parse = [](const std::string& header, std::size_t n) {
    return parse_npy(npy_with_header(header, n), "x.npy");
  };
  EXPECT_EQ(parse(start + "'shape': (2,), }", 8).shape, Shape{2});
  EXPECT_EQ(parse("{\"shape\":(2 , 1),'fortran_order':False,'descr':\"<f4\"}", 8).shape, (Shape{2, 1}));
  EXPECT_REFUSED(parse(start + "'shape': (2,), }", 7), "takes 8 bytes, but the file holds 7");
  EXPECT_REFUSED(parse(start + "'shape': (2,), }", 9), "takes 8 bytes, but the file holds 9");
  EXPECT_REFUSED(parse(start + "'shape': (1000000000000000,), }", 8), "holds 8");
  EXPECT_REFUSED(parse(start + "'shape': (4611686018427387904, 4), }", 8), "larger than any memory");
  EXPECT_REFUSED(parse(start + "'shape': (4611686018427387904, 4, 0), }", 0), "larger than any memory");
  EXPECT_REFUSED(parse(start + "'shape': (99999999999999999999,), }", 8), "beyond 64 bits");
  EXPECT_REFUSED(parse(start + "'shape': (-1,), }", 8), "malformed");
  EXPECT_REFUSED(parse(start + "'shape': (2), }", 8), "malformed");
  EXPECT_REFUSED(parse(start + "'shape': (2,), } + [", 8), "malformed");
  EXPECT_REFUSED(parse(start + "'shape': (1.5,), }", 8), "malformed");
  EXPECT_REFUSED(parse(start + "'shape': (2,), 'shape': (2,), }", 8), "repeated key");
  EXPECT_REFUSED(parse(start + "'shape': (2,), 'x\n\x1b': 1, }", 8), "unknown or repeated key \"x??\"");
  EXPECT_REFUSED(parse(start + "}", 8), "lacks");
  EXPECT_REFUSED(parse("", 8), "malformed");
  std::string many = start + "'shape': (";
  for (int i = 0; i < 33; ++i) many += "1,";
  EXPECT_REFUSED(parse(many + "), }", 4), "more than 32 axes");
  auto version = read_file(golden("f4.npy"));
  version[6] = std::byte{4};
  EXPECT_REFUSED(parse_npy(version, "x"), "version 4.0");
}

TEST_F(NpyTest, SurvivesDamage) {
  for (const std::string name : {"f4.npy", "version2.npy", "scalar.npy"}) {
    const auto data = read_file(golden(name));
    const auto parse = [](ByteView bytes) { to_matrix(parse_npy(bytes, "x"), "x"); };
    refuses_truncations(data, parse);
    survives_byte_changes(data, parse);
  }
}

}  // namespace
}  // namespace tarn
