// PNG images. Inputs are changed chunk by chunk and get their checksums put right, or libpng would refuse nearly all of them
// at the first chunk.
#include "tarn/io/png.hpp"

#include <zlib.h>

#include "fuzz_target.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 == 0) return size;  // some stay wrong
  for (std::size_t at = 8; at + 12 <= size;) {
    const std::size_t length = std::size_t{data[at]} << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
    if (length > size - at - 12) break;
    const auto crc = crc32(0, data + at + 4, static_cast<uInt>(length + 4));
    for (std::size_t i = 0; i < 4; ++i) data[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    at += length + 12;
  }
  return size;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  constexpr std::int64_t max_pixels = 1 << 12;
  Image image;
  if (!fuzz::reads_or_refuses([&] { image = parse_png(fuzz::bytes_of(data, size), fuzz::name, max_pixels); })) return 0;
  fuzz::expect_same(image.rows * image.cols <= max_pixels &&
                    image.pixels.size() == static_cast<std::size_t>(image.rows * image.cols * image.channels));
  return 0;
}
