#include "tarn/io/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace tarn {
namespace {

constexpr std::size_t piece_bytes = 1U << 20;

std::string reason() { return std::strerror(errno); }

/// An open file descriptor.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  /// Closes and reports whether that went well: some file systems report a full disk only here.
  bool close() {
    const int fd = fd_;
    fd_ = -1;
    return ::close(fd) == 0;
  }

 private:
  int fd_;
};

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

void sync_folder_of(const std::filesystem::path& path) {
  const auto folder = folder_of(path);
  const Descriptor directory(folder, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open()) fail("{}: cannot be opened to sync it ({})", folder.string(), reason());
  // Some network file systems do not sync folders and say EINVAL; there is nothing better to do on them.
  if (::fsync(directory.get()) != 0 && errno != EINVAL) fail("{}: cannot be synced ({})", folder.string(), reason());
}

/// Reads up to `size` bytes; fewer only at the end of the file.
std::size_t read_some(int fd, std::byte* out, std::size_t size, const std::filesystem::path& path) {
  std::size_t done = 0;
  while (done < size) {
    const auto got = ::read(fd, out + done, std::min<std::size_t>(size - done, 1U << 30));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot be read ({})", path.string(), reason());
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void open_for_reading(const Descriptor& file, const std::filesystem::path& path, struct stat& status) {
  if (!file.is_open()) fail("{}: cannot be opened ({})", path.string(), reason());
  if (::fstat(file.get(), &status) != 0) fail("{}: cannot be examined ({})", path.string(), reason());
  if (S_ISDIR(status.st_mode)) fail("{}: is a folder, expected a file", path.string());
}

[[noreturn]] void fail_too_large(const std::filesystem::path& path, std::uint64_t max_bytes) {
  fail("{}: holds more than the {} bytes allowed here", path.string(), max_bytes);
}

template <class Buffer>
Buffer read_into(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  open_for_reading(file, path, status);
  Buffer data;
  if (S_ISREG(status.st_mode)) {
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > max_bytes) fail("{}: holds {} bytes, at most {} are allowed here", path.string(), size, max_bytes);
    data.resize(size);
    const auto got = read_some(file.get(), reinterpret_cast<std::byte*>(data.data()), size, path);
    if (got != size) fail("{}: became shorter while it was read ({} of {} bytes)", path.string(), got, size);
    return data;
  }
  // A pipe does not know its size, and /dev/zero has none.
  max_bytes = std::min(max_bytes, default_inflate_limit());
  for (;;) {
    const auto old = data.size();
    data.resize(old + piece_bytes);
    const auto got = read_some(file.get(), reinterpret_cast<std::byte*>(data.data()) + old, piece_bytes, path);
    data.resize(old + got);
    if (data.size() > max_bytes) fail_too_large(path, max_bytes);
    if (got < piece_bytes) return data;
  }
}

/// The locked, empty temporary file of `path`; removed unless published.
class Temporary {
 public:
  explicit Temporary(const std::filesystem::path& path)
      : path_(path.string() + ".tmp"), file_(path_, O_RDWR | O_CREAT | O_NOFOLLOW) {
    if (!file_.is_open()) fail("{}: cannot be written ({})", path.string(), reason());
    struct stat mine {};
    struct stat named {};
    // Another process may have renamed the file between our opening and our locking it.
    const bool locked = ::flock(file_.get(), LOCK_EX | LOCK_NB) == 0 || errno == ENOLCK || errno == ENOTSUP;
    if (!locked || ::fstat(file_.get(), &mine) != 0 || ::stat(path_.c_str(), &named) != 0 ||
        mine.st_ino != named.st_ino) {
      fail("{}: another process is writing this file", path.string());
    }
    owned_ = true;
    if (::ftruncate(file_.get(), 0) != 0) fail("{}: cannot be emptied ({})", path_.string(), reason());
  }
  ~Temporary() {
    if (owned_) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  void write(ByteView data, const std::filesystem::path& target) {
    for (std::size_t done = 0; done < data.size();) {
      const auto put = ::write(file_.get(), data.data() + done, std::min<std::size_t>(data.size() - done, 1U << 30));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) fail("{}: cannot be written ({})", target.string(), reason());
      done += static_cast<std::size_t>(put);
    }
  }
  void publish(const std::filesystem::path& target) {
    if (::fsync(file_.get()) != 0) fail("{}: cannot be synced ({})", target.string(), reason());
    if (::rename(path_.c_str(), target.c_str()) != 0) {
      fail("{}: cannot be replaced by {} ({})", target.string(), path_.string(), reason());
    }
    owned_ = false;
    if (!file_.close()) fail("{}: cannot be written ({})", target.string(), reason());
  }

 private:
  std::filesystem::path path_;
  Descriptor file_;
  bool owned_ = false;
};

}  // namespace

std::uint64_t machine_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 1ULL << 36;
}

std::uint64_t default_inflate_limit() {
  static const std::uint64_t limit = std::min<std::uint64_t>(1ULL << 33, machine_memory() / 2);
  return limit;
}

Bytes read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_into<Bytes>(path, max_bytes);
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_into<std::string>(path, max_bytes);
}

void write_file_atomically(const std::filesystem::path& path, ByteView data) {
  Temporary temporary(path);
  temporary.write(data, path);
  temporary.publish(path);
  sync_folder_of(path);
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, as_byte_view(text));
}

void publish_file(const std::filesystem::path& temporary, const std::filesystem::path& path) {
  Descriptor file(temporary, O_RDWR);
  if (!file.is_open()) fail("{}: cannot be opened to sync it ({})", temporary.string(), reason());
  if (::fsync(file.get()) != 0 || !file.close()) fail("{}: cannot be synced ({})", temporary.string(), reason());
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    fail("{}: cannot be replaced by {} ({})", path.string(), temporary.string(), reason());
  }
  sync_folder_of(path);
}

struct Xxh3::State {
  XXH3_state_t* state = XXH3_createState();
  State() {
    if (state == nullptr) throw std::bad_alloc();
    XXH3_64bits_reset(state);
  }
  ~State() { XXH3_freeState(state); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {}
Xxh3::~Xxh3() = default;

ScratchFolder::ScratchFolder(const std::string& name) {
  std::string pattern = (std::filesystem::temp_directory_path() / (name + "_" + std::string(6, 'X'))).string();
  if (::mkdtemp(pattern.data()) == nullptr)
    fail("{}: a folder for temporary files cannot be made: {}", pattern, std::strerror(errno));
  path_ = pattern;
}
ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Xxh3::update(ByteView data) { XXH3_64bits_update(state_->state, data.data(), data.size()); }
std::string Xxh3::hex() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_->state)); }

std::string xxh3_hex(ByteView data) { return fmt::format("{:016x}", XXH3_64bits(data.data(), data.size())); }

std::string xxh3_of_file(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  open_for_reading(file, path, status);
  Xxh3 hash;
  Bytes piece(piece_bytes);
  for (;;) {
    const auto got = read_some(file.get(), piece.data(), piece.size(), path);
    hash.update(ByteView(piece).first(got));
    if (got < piece.size()) return hash.hex();
  }
}

}  // namespace tarn
