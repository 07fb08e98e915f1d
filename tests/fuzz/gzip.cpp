// gzip data, with a small limit on what they may inflate to.
#include "fuzz_target.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  constexpr std::uint64_t limit = 100'000;
  fuzz::reads_or_refuses(
      [&] { fuzz::expect_same(inflate_gzip(fuzz::bytes_of(data, size), fuzz::name, limit).size() <= limit); });
  return 0;
}
