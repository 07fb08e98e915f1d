// Bounded inflation of gzip data.
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "tarn/io/file.hpp"

namespace tarn {
namespace {

/// A zlib stream that is ended on every way out.
struct Inflater {
  z_stream stream{};
  Inflater() {
    // 16: gzip framing only, with its CRC and length checked.
    if (inflateInit2(&stream, 15 + 16) != Z_OK) fail("zlib cannot be started");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

bool is_gzip(ByteView data) { return data.size() >= 2 && data[0] == std::byte{0x1f} && data[1] == std::byte{0x8b}; }

}  // namespace

Bytes inflate_gzip(ByteView data, const std::string& name, std::uint64_t max_bytes) {
  if (!is_gzip(data)) fail("{}: is not gzip data (no gzip magic at its start)", name);
  Inflater inflater;
  auto& stream = inflater.stream;
  Bytes out;
  std::size_t used = 0;
  std::size_t filled = 0;
  // The size that the trailer claims is not trusted: the buffer grows with what was really inflated.
  for (;;) {
    if (filled == out.size()) {
      if (out.size() > max_bytes) fail("{}: inflates to more than the {} bytes allowed here", name, max_bytes);
      const auto more = std::max<std::uint64_t>(std::min<std::uint64_t>(out.size(), 1U << 28), 1U << 16);
      out.resize(std::min<std::uint64_t>(out.size() + more, max_bytes + 1));
    }
    const auto in_piece = std::min<std::size_t>(data.size() - used, 1U << 30);
    const auto out_piece = std::min<std::size_t>(out.size() - filled, 1U << 30);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data() + used));
    stream.avail_in = static_cast<uInt>(in_piece);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = static_cast<uInt>(out_piece);
    const int status = inflate(&stream, Z_NO_FLUSH);
    const std::size_t taken = in_piece - stream.avail_in;
    const std::size_t made = out_piece - stream.avail_out;
    used += taken;
    filled += made;
    if (status == Z_STREAM_END) {
      if (used == data.size()) break;
      if (!is_gzip(data.subspan(used))) {
        fail("{}: {} bytes follow the end of the gzip data", name, data.size() - used);
      }
      if (inflateReset(&stream) != Z_OK) fail("{}: gzip data cannot be inflated", name);
    } else if (status == Z_BUF_ERROR || (status == Z_OK && taken == 0 && made == 0)) {
      if (filled < out.size()) fail("{}: gzip data are cut off after {} bytes", name, data.size());
    } else if (status == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (status != Z_OK) {
      fail("{}: gzip data are damaged near byte {} ({})", name, used, stream.msg != nullptr ? stream.msg : "no reason");
    }
  }
  if (filled > max_bytes) fail("{}: inflates to more than the {} bytes allowed here", name, max_bytes);
  out.resize(filled);
  return out;
}

Bytes read_maybe_gzip(const std::filesystem::path& path, std::uint64_t max_bytes) {
  auto data = read_file(path, std::max(max_bytes, default_inflate_limit()));
  if (is_gzip(data)) return inflate_gzip(data, path.string(), max_bytes);
  if (data.size() > max_bytes) {
    fail("{}: holds {} bytes, at most {} are allowed here", path.string(), data.size(), max_bytes);
  }
  return data;
}

}  // namespace tarn
