// Whole files in and out of memory: bounded reads, gzip, atomic writes, checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

/// The bytes of a text.
inline ByteView as_byte_view(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

inline constexpr std::uint64_t default_read_limit =
    1ULL << 36;  ///< bytes; plain files take no more memory than they have on disk
/// Bytes of the machine's memory; 2^36 where the system does not say.
std::uint64_t machine_memory();
/// Bytes that compressed files may inflate to, and that are read from what has no size (a pipe): 8 GiB, or half of the
/// machine's memory where that is less, so that a bomb is refused before the system is out of memory.
std::uint64_t default_inflate_limit();

/// The whole file. Throws `Error` where it cannot be read, is a directory, or holds more than `max_bytes` (a pipe: more
/// than `default_inflate_limit()`).
Bytes read_file(const std::filesystem::path& path, std::uint64_t max_bytes = default_read_limit);
/// The same, as text.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes = 1ULL << 28);

/// The whole file, inflated where it starts with the gzip magic (several members in a row count as one).
/// Throws `Error` where the gzip data are damaged, cut off, followed by other bytes, or inflate to more than
/// `max_bytes`.
Bytes read_maybe_gzip(const std::filesystem::path& path, std::uint64_t max_bytes = default_inflate_limit());
/// Inflates gzip data in memory; `name` stands in the errors.
Bytes inflate_gzip(ByteView data, const std::string& name, std::uint64_t max_bytes = default_inflate_limit());

/// Replaces `path` by a file with these bytes: writes `<path>.tmp` beside it, syncs, renames, syncs the directory. A
/// reader sees the old file or the new one, also after a crash. Throws `Error` (and leaves the old file as it was)
/// where anything fails, or where another process is writing the same file.
void write_file_atomically(const std::filesystem::path& path, ByteView data);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// Last step of an atomic write by a library that opens files by name: syncs `temporary`, renames it to `path`, syncs
/// the directory. Throws `Error`.
void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& path);

/// An empty folder of its own below the system's one for temporary files, `NAME_` and six letters; removed with all that is in it at
/// the end. Throws `Error` where it cannot be made.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// XXH3 (64 bits) of bytes that come in pieces.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;

  void update(ByteView data);
  /// 16 lower-case hexadecimal digits, as xxhsum -H3 prints them.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string xxh3_hex(ByteView data);
/// Streams the file: memory does not depend on its size.
std::string xxh3_of_file(const std::filesystem::path& path);

}  // namespace tarn
