// NPZ archives: as arrays and as weights.
#include "tarn/io/npz.hpp"

#include "fuzz_target.hpp"
#include "tarn/models/weights_file.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  constexpr std::uint64_t limit = 1 << 20;
  NpzArrays arrays;
  if (!fuzz::reads_or_refuses([&] { arrays = parse_npz(fuzz::bytes_of(data, size), fuzz::name, limit); })) return 0;
  std::uint64_t bytes = 0;
  for (const auto& [key, array] : arrays) bytes += array.bytes.size();
  fuzz::expect_same(bytes <= limit);
  fuzz::reads_or_refuses([&] { from_npz(arrays, fuzz::name, {.nonlinearity = Nonlinearity::relu}); });
  return 0;
}
