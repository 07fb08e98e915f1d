#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "io_test_tools.hpp"

namespace tarn {
namespace {

using FileTest = IoTest;

TEST_F(FileTest, ReadsWhatWasWritten) {
  const std::string text("a\0b\n", 4);
  write_file_atomically(in_folder("f"), text);
  EXPECT_EQ(read_text_file(in_folder("f")), text);
  EXPECT_EQ(read_file(in_folder("f")), to_bytes(text));
  write_file_atomically(in_folder("f"), Bytes{});
  EXPECT_TRUE(read_file(in_folder("f")).empty());
  EXPECT_THAT(files(), testing::ElementsAre("f"));
}

TEST_F(FileTest, RefusesWhatItCannotRead) {
  EXPECT_REFUSED(read_file(in_folder("missing")), "No such file");
  EXPECT_REFUSED(read_file(folder_), "is a folder");
  write_file_atomically(in_folder("f"), "12345");
  EXPECT_REFUSED(read_file(in_folder("f"), 4), "holds 5 bytes, at most 4");
  EXPECT_EQ(read_file(in_folder("f"), 5).size(), 5U);
}

TEST_F(FileTest, ReadsPipesUpToTheLimit) {
  ASSERT_EQ(::mkfifo(in_folder("pipe").c_str(), 0600), 0);
  const auto feed = [&](std::size_t n) {
    if (::fork() == 0) {
      std::ofstream(in_folder("pipe")) << std::string(n, 'x');
      ::_exit(0);
    }
  };
  feed(3'000'000);
  EXPECT_EQ(read_text_file(in_folder("pipe")).size(), 3'000'000U);
  std::signal(SIGPIPE, SIG_IGN);
  feed(3'000'000);
  EXPECT_REFUSED(read_file(in_folder("pipe"), 1000), "more than the 1000 bytes");
}

TEST_F(FileTest, LimitsFollowTheMachine) {
  EXPECT_GE(machine_memory(), 1U << 24);
  EXPECT_LE(default_inflate_limit(), machine_memory() / 2);
  EXPECT_LE(default_inflate_limit(), 1ULL << 33);
  EXPECT_REFUSED(read_file("/dev/zero", 5000), "holds more than the 5000 bytes allowed here");
}

TEST_F(FileTest, FailedWriteLeavesTheOldFile) {
  write_file_atomically(in_folder("f"), "old");
  EXPECT_REFUSED(write_file_atomically(in_folder("missing") / "f", "new"), "cannot be written");

  // A full disk, as a limit on the size of files.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto message = refusal([&] { write_file_atomically(in_folder("f"), std::string(5000, 'n')); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(message, testing::HasSubstr("File too large"));
  EXPECT_EQ(read_text_file(in_folder("f")), "old");
  EXPECT_THAT(files(), testing::ElementsAre("f"));

  // The target is a folder: the rename fails after everything was written.
  std::filesystem::create_directory(in_folder("g"));
  EXPECT_REFUSED(write_file_atomically(in_folder("g"), "new"), "cannot be replaced");
  EXPECT_THAT(files(), testing::ElementsAre("f", "g"));
}

TEST_F(FileTest, LeftoversOfAKilledWriterAreReplaced) {
  std::ofstream(in_folder("f.tmp")) << std::string(100, 'x');
  write_file_atomically(in_folder("f"), "new");
  EXPECT_EQ(read_text_file(in_folder("f")), "new");
  EXPECT_THAT(files(), testing::ElementsAre("f"));
}

TEST_F(FileTest, PublishReplacesTheTarget) {
  write_file_atomically(in_folder("f"), "old");
  std::ofstream(in_folder("f.tmp")) << "new";
  publish_file(in_folder("f.tmp"), in_folder("f"));
  EXPECT_EQ(read_text_file(in_folder("f")), "new");
  EXPECT_REFUSED(publish_file(in_folder("f.tmp"), in_folder("f")), "No such file");
}

TEST_F(FileTest, InflatesGzip) {
  std::string expected;
  for (int i = 0; i < 200; ++i) expected += "tarn ";
  EXPECT_EQ(read_maybe_gzip(golden("text.gz")), to_bytes(expected));
  // Two members in a row are one text (as cat a.gz b.gz makes them).
  auto twice = read_file(golden("text.gz"));
  const auto once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(inflate_gzip(twice, "twice"), to_bytes(expected + expected));
  // Without the magic the bytes are taken as they are.
  write_file_atomically(in_folder("plain"), "plain");
  EXPECT_EQ(read_maybe_gzip(in_folder("plain")), to_bytes("plain"));
  EXPECT_REFUSED(read_maybe_gzip(in_folder("plain"), 3), "at most 3");
}

TEST_F(FileTest, RefusesDamagedGzip) {
  const auto data = read_file(golden("text.gz"));
  const auto parse = [](ByteView bytes) { inflate_gzip(bytes, "text.gz"); };
  refuses_truncations(data, parse);
  survives_byte_changes(data, parse);
  auto trailing = data;
  trailing.push_back(std::byte{'x'});
  EXPECT_REFUSED(inflate_gzip(trailing, "t"), "1 bytes follow");
  auto checksum = data;
  checksum[checksum.size() - 6] ^= std::byte{1};
  EXPECT_REFUSED(inflate_gzip(checksum, "t"), "damaged");
  EXPECT_EQ(inflate_gzip(data, "t", 1000).size(), 1000U);
  EXPECT_REFUSED(inflate_gzip(data, "t", 999), "more than the 999 bytes");
}

TEST_F(FileTest, Xxh3KnownAnswers) {
  // As xxhsum -H3 prints them for the empty file and for "tarn".
  EXPECT_EQ(xxh3_hex({}), "2d06800538d394c2");
  Xxh3 pieces;
  pieces.update(as_byte_view("ta"));
  pieces.update(as_byte_view("rn"));
  EXPECT_EQ(pieces.hex(), xxh3_hex(as_byte_view("tarn")));
  const std::string large(3'000'001, 'x');
  write_file_atomically(in_folder("large"), large);
  EXPECT_EQ(xxh3_of_file(in_folder("large")), xxh3_hex(as_byte_view(large)));
}

}  // namespace
}  // namespace tarn
