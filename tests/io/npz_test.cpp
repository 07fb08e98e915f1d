#include "tarn/io/npz.hpp"

#include <numeric>

#include "io_test_tools.hpp"

namespace tarn {
namespace {

using NpzTest = IoTest;

NpzArrays example() {
  Matrix<float> w(3, 4);
  std::iota(w.data(), w.data() + w.size(), 0.0F);
  const std::vector<double> b{0.0, 1.0, 2.0};
  return {{"W_in", make_npy(w)}, {"b", make_npy(std::span<const double>(b), {3})}};
}

TEST_F(NpzTest, ReadsWhatNumpyWrites) {
  EXPECT_EQ(read_npz(golden("stored.npz")), example());
  EXPECT_EQ(read_npz(golden("deflated.npz")), example());
}

TEST_F(NpzTest, RoundTripIsReproducible) {
  write_npz(in_folder("a.npz"), example());
  EXPECT_EQ(read_npz(in_folder("a.npz")), example());
  EXPECT_EQ(encode_npz(example()), read_file(in_folder("a.npz")));
  write_npz(in_folder("e.npz"), {});
  EXPECT_TRUE(read_npz(in_folder("e.npz")).empty());
  // The date of the entry is 1980-01-01 00:00, whatever the clock and the time zone say.
  const auto bytes = read_file(in_folder("a.npz"));
  EXPECT_EQ(std::vector<std::byte>(bytes.begin() + 10, bytes.begin() + 14),
            (std::vector<std::byte>{std::byte{0}, std::byte{0}, std::byte{0x21}, std::byte{0}}));
}

TEST_F(NpzTest, RefusesBombsAndLies) {
  // 16 MB of zeros in 16 kB: fine when allowed, refused before inflating when not.
  EXPECT_EQ(read_npz(golden("bomb.npz")).at("zeros").shape, Shape{4'000'000});
  EXPECT_REFUSED(read_npz(golden("bomb.npz"), 1'000'000), "more bytes than are allowed");
  // The limit holds for all entries together: 176 and 152 bytes.
  EXPECT_EQ(read_npz(golden("deflated.npz"), 328).size(), 2U);
  EXPECT_REFUSED(read_npz(golden("deflated.npz"), 327), "more bytes than are allowed");
  EXPECT_REFUSED(read_npz(golden("f4.npy")), "not a readable .npz");
  EXPECT_REFUSED(read_npz(golden("text.gz")), "not a readable .npz");

  // The central directory claims more than the archive can hold.
  auto lie = read_file(golden("stored.npz"));
  const std::string text(reinterpret_cast<const char*>(lie.data()), lie.size());
  const auto central = text.find("PK\x01\x02");
  ASSERT_NE(central, std::string::npos);
  for (const std::size_t field : {20U, 24U}) {
    for (std::size_t i = 0; i < 3; ++i) lie[central + field + i] = std::byte{0xff};
  }
  EXPECT_REFUSED(parse_npz(lie, "lie.npz"), "lie.npz");
}

TEST_F(NpzTest, RefusesDamagedEntries) {
  auto data = read_file(golden("stored.npz"));
  const std::string text(reinterpret_cast<const char*>(data.data()), data.size());
  const auto at = text.find("\x93NUMPY") + 130;  // a value: only the checksum can tell
  data[at] ^= std::byte{0x10};
  EXPECT_REFUSED(parse_npz(data, "x.npz"), "damaged");
  write_file_atomically(in_folder("text.npz"), as_byte_view(text));
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    const auto whole = read_file(golden(name));
    const auto parse = [](ByteView bytes) { parse_npz(bytes, "x", 1U << 20); };
    refuses_truncations(whole, parse);
    survives_byte_changes(whole, parse);
  }
}

TEST_F(NpzTest, LineBreaksInNamesDoNotReachTheMessage) {
  // Found by fuzzing: a name with a line break made an error of two lines. libzip itself redraws other control characters.
  auto text = read_text_file(golden("stored.npz"));
  for (auto at = text.find("W_in.npy"); at != std::string::npos; at = text.find("W_in.npy", at)) {
    text.replace(at, 8, "a\n\rb.npy");
  }
  text[text.find("\x93NUMPY")] = 'x';
  EXPECT_REFUSED(parse_npz(to_bytes(text), "x.npz"), "x.npz:a??b.npy: entry is damaged");
}

TEST_F(NpzTest, RefusesNamesThatStandTwice) {
  auto data = encode_npz({{"a", example()["b"]}, {"b", example()["b"]}});
  std::string text(reinterpret_cast<const char*>(data.data()), data.size());
  for (auto at = text.find("b.npy"); at != std::string::npos; at = text.find("b.npy", at)) text[at] = 'a';
  EXPECT_REFUSED(parse_npz(to_bytes(text), "x.npz"), "x.npz");
}

}  // namespace
}  // namespace tarn
