// safetensors: as tensors, as weights, and as the maps between data and network.
#include "tarn/io/safetensors.hpp"

#include "fuzz_target.hpp"
#include "tarn/data/filter.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/models/hee_file.hpp"
#include "tarn/models/weights_file.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  TensorFile file;
  if (!fuzz::reads_or_refuses([&] { file = parse_safetensors(fuzz::bytes_of(data, size), fuzz::name); })) return 0;
  fuzz::expect_same(parse_safetensors(encode_safetensors(file), fuzz::name).tensors == file.tensors);
  for (const auto& [key, tensor] : file.tensors) {
    fuzz::reads_or_refuses([&, &key = key] { (void)file.matrix(key); });
    fuzz::reads_or_refuses([&, &key = key] { (void)file.vector(key); });
  }
  fuzz::reads_or_refuses([&] { from_tensors(file); });
  fuzz::reads_or_refuses([&] { hee_from_tensors(file); });
  fuzz::reads_or_refuses([&] { DatumScaling::from_tensors(file); });
  fuzz::reads_or_refuses([&] { (void)filter_from_tensors(file); });
  return 0;
}
