// NumPy arrays: as arrays, as matrices, as data sets and as labels.
#include "tarn/io/npy.hpp"

#include "fuzz_target.hpp"
#include "tarn/data/dataset.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  const auto bytes = fuzz::bytes_of(data, size);
  NpyArray array;
  if (!fuzz::reads_or_refuses([&] { array = parse_npy(bytes, fuzz::name); })) return 0;
  fuzz::expect_same(parse_npy(encode_npy(array), fuzz::name) == array);
  fuzz::reads_or_refuses([&] { to_matrix(array, fuzz::name); });
  fuzz::reads_or_refuses([&] { parse_npy_labels(bytes, fuzz::name); });
  fuzz::reads_or_refuses([&] { parse_npy_dataset(bytes, fuzz::name, {.max_items = 100}); });
  return 0;
}
