#include "tarn/io/png.hpp"

#include <png.h>

#include <csetjmp>
#include <cstring>

namespace tarn {
namespace {

constexpr std::size_t max_reason = 120;

/// What the C callbacks and the code around setjmp share. libpng leaves by longjmp, so nothing with a destructor may be
/// created between setjmp and it: all buffers live here, outside.
struct Session {
  png_structp png = nullptr;
  png_infop info = nullptr;
  char reason[max_reason] = "no reason";
  ByteView in;
  std::size_t used = 0;
  Bytes out;
  bool out_of_memory = false;
  png_uint_32 width = 0;
  png_uint_32 height = 0;
  int channels = 0;
  std::size_t row_bytes = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<png_bytep> rows;
};

void on_error(png_structp png, png_const_charp message) {
  auto* session = static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(session->reason, message, max_reason - 1);
  for (char* c = session->reason; *c != '\0'; ++c) {
    if (*c < ' ') *c = '?';
  }
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, std::size_t size) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  if (size > session->in.size() - session->used) png_error(png, "cut off");
  std::memcpy(out, session->in.data() + session->used, size);
  session->used += size;
}

void on_write(png_structp png, png_bytep data, std::size_t size) {
  auto* session = static_cast<Session*>(png_get_io_ptr(png));
  try {
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    session->out.insert(session->out.end(), begin, begin + size);
  } catch (const std::bad_alloc&) {
    session->out_of_memory = true;
  }
  if (session->out_of_memory) png_error(png, "out of memory");
}
void on_flush(png_structp) {}

/// Reads everything up to the pixels and asks for plain 8-bit gray or RGB.
bool read_header(Session& s, png_uint_32 max_side) {
  if (setjmp(png_jmpbuf(s.png))) return false;
  png_set_read_fn(s.png, &s, on_read);
  png_set_user_limits(s.png, max_side, max_side);
  png_set_chunk_cache_max(s.png, 64);
  png_set_chunk_malloc_max(s.png, 1U << 20);
  png_read_info(s.png, s.info);
  int depth = 0;
  int color = 0;
  png_get_IHDR(s.png, s.info, &s.width, &s.height, &depth, &color, nullptr, nullptr, nullptr);
  if (depth == 16) png_set_scale_16(s.png);
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(s.png);
  if (color == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(s.png);
  png_set_strip_alpha(s.png);
  png_set_interlace_handling(s.png);
  png_read_update_info(s.png, s.info);
  s.channels = png_get_channels(s.png, s.info);
  s.row_bytes = png_get_rowbytes(s.png, s.info);
  return true;
}

bool read_pixels(Session& s) {
  if (setjmp(png_jmpbuf(s.png))) return false;
  png_read_image(s.png, s.rows.data());
  png_read_end(s.png, nullptr);
  return true;
}

bool write_all(Session& s, png_uint_32 width, png_uint_32 height, int color) {
  if (setjmp(png_jmpbuf(s.png))) return false;
  png_set_write_fn(s.png, &s, on_write, on_flush);
  png_set_compression_level(s.png, 6);
  png_set_filter(s.png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
  png_set_IHDR(s.png, s.info, width, height, 8, color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(s.png, s.info);
  png_write_image(s.png, s.rows.data());
  png_write_end(s.png, nullptr);
  return true;
}

/// Makes and frees libpng's structs.
struct ReadSession : Session {
  ReadSession() {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_read_struct(&png, &info, nullptr);
      throw std::bad_alloc();
    }
  }
  ~ReadSession() { png_destroy_read_struct(&png, &info, nullptr); }
  ReadSession(const ReadSession&) = delete;
  ReadSession& operator=(const ReadSession&) = delete;
};
struct WriteSession : Session {
  WriteSession() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    if (info == nullptr) {
      png_destroy_write_struct(&png, &info);
      throw std::bad_alloc();
    }
  }
  ~WriteSession() { png_destroy_write_struct(&png, &info); }
  WriteSession(const WriteSession&) = delete;
  WriteSession& operator=(const WriteSession&) = delete;
};

}  // namespace

Image parse_png(ByteView data, const std::string& name, std::int64_t max_pixels) {
  if (data.size() < 8 || png_sig_cmp(reinterpret_cast<png_const_bytep>(data.data()), 0, 8) != 0) {
    fail("{}: is not a PNG file (wrong magic)", name);
  }
  ReadSession session;
  session.in = data;
  constexpr std::int64_t max_side = 1 << 24;
  if (!read_header(session, max_side)) fail("{}: damaged PNG ({})", name, session.reason);
  const auto width = static_cast<std::int64_t>(session.width);
  const auto height = static_cast<std::int64_t>(session.height);
  if (height > max_pixels / width) {
    fail("{}: image of {} x {} pixels; at most {} pixels are allowed here", name, height, width, max_pixels);
  }
  // Deflate makes at most 1032 bytes from one: a small file cannot hold a large image. At least 1 bit a pixel is
  // stored.
  if (static_cast<std::uint64_t>(width * height) / 8 / 1032 > data.size()) {
    fail("{}: is cut off: {} bytes cannot hold {} x {} pixels", name, data.size(), height, width);
  }
  if ((session.channels != 1 && session.channels != 3) ||
      session.row_bytes != session.width * static_cast<std::size_t>(session.channels)) {
    fail("{}: PNG of an unknown kind ({} channels)", name, session.channels);
  }
  session.pixels.resize(session.row_bytes * session.height);
  session.rows.resize(session.height);
  for (std::size_t i = 0; i < session.height; ++i) session.rows[i] = session.pixels.data() + i * session.row_bytes;
  if (!read_pixels(session)) fail("{}: damaged PNG ({})", name, session.reason);
  return {height, width, session.channels, std::move(session.pixels)};
}

Image read_png(const std::filesystem::path& path, std::int64_t max_pixels) {
  return parse_png(read_file(path), path.string(), max_pixels);
}

Bytes encode_png(const Image& image) {
  require(image.rows > 0 && image.cols > 0 && image.rows < (1 << 24) && image.cols < (1 << 24) &&
              (image.channels == 1 || image.channels == 3),
          "an image of {} x {} pixels with {} channels cannot be written as PNG", image.rows, image.cols,
          image.channels);
  const auto row_bytes = static_cast<std::size_t>(image.cols * image.channels);
  require(image.pixels.size() == row_bytes * static_cast<std::size_t>(image.rows),
          "an image of {} x {} pixels with {} channels takes {} bytes, found {}", image.rows, image.cols,
          image.channels, image.rows * image.cols * image.channels, image.pixels.size());
  WriteSession session;
  for (std::size_t i = 0; i < static_cast<std::size_t>(image.rows); ++i) {
    session.rows.push_back(const_cast<png_bytep>(image.pixels.data() + i * row_bytes));
  }
  if (!write_all(session, static_cast<png_uint_32>(image.cols), static_cast<png_uint_32>(image.rows),
                 image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB)) {
    if (session.out_of_memory) throw std::bad_alloc();
    fail("image cannot be written as PNG ({})", session.reason);
  }
  return std::move(session.out);
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace tarn
