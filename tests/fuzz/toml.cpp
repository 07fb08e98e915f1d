// Configs: the text of a file, then --set options, each after a byte 0xff (which no TOML holds).
#include "fuzz_target.hpp"
#include "tarn/experiment/config.hpp"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tarn;
  std::vector<std::string> parts(1);
  for (const char c : fuzz::text_of(data, size)) {
    if (c == '\xff') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  const std::vector<std::string> overrides(parts.begin() + 1, parts.end());
  Config config;
  if (!fuzz::reads_or_refuses([&] { config = parse_config(parts[0], "input.toml", overrides); })) return 0;
  if (!fuzz::reads_or_refuses([&] { resolve(config, {2, 0, 1000, false}); })) return 0;
  // What a run folder keeps must mean the same.
  Config again = parse_config(to_toml(config, {}), "again.toml", {});
  resolve(again, {2, 0, 1000, false});
  fuzz::expect_same(again.data == config.data && again.training == config.training &&
                    again.sampling == config.sampling);
  return 0;
}
