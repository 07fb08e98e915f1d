// CIFAR-10 batches.
#include "fuzz_target.hpp"
#include "tarn/data/dataset.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  fuzz::reads_or_refuses([&] {
    const Dataset images = parse_cifar10(fuzz::bytes_of(data, size), fuzz::name, {.max_items = 3});
    fuzz::expect_same(images.labels.size() == static_cast<std::size_t>(images.x.rows()) && images.x.cols() == 3072);
  });
  return 0;
}
