// IDX images and labels.
#include "fuzz_target.hpp"
#include "tarn/data/dataset.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  const auto bytes = fuzz::bytes_of(data, size);
  fuzz::reads_or_refuses([&] {
    const Dataset images = parse_idx_images(bytes, fuzz::name, {.max_items = 100});
    fuzz::expect_same(images.image && images.image->size() == images.x.cols() && images.x.rows() <= 100);
  });
  fuzz::reads_or_refuses([&] { parse_idx_labels(bytes, fuzz::name); });
  return 0;
}
