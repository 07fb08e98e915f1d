// The list of segments of a run, which is checked before the NetCDF library sees any of them.
#include "fuzz_target.hpp"
#include "tarn/io/draw_manifest.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  DrawManifest manifest;
  if (!fuzz::reads_or_refuses([&] { manifest = parse_manifest(fuzz::text_of(data, size), fuzz::name); })) return 0;
  fuzz::expect_same(parse_manifest(encode_manifest(manifest), fuzz::name) == manifest);
  return 0;
}
