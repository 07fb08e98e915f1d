#include "tarn/core/isa.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::string_view names[] = {"x86-64", "x86-64-v3", "x86-64-v4"};

Isa parse(const std::string& name) {
  const auto available = available_isas();
  if (available.empty())
    fail(
        "this tarn was built for another processor (-DTARN_BUILD_ONCE=ON, for one instruction set alone); build it "
        "here");
  if (name.empty()) return available.back();
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) {
    fail_usage("instruction set \"{}\" is unknown; allowed: {}", name, listed(names));
  }
  const auto isa = static_cast<Isa>(found - std::begin(names));
  if (std::find(available.begin(), available.end(), isa) == available.end()) {
    fail("instruction set {} is not to be had here (best: {})", name, name_of(available.back()));
  }
  return isa;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa = [] {
    const char* wanted = std::getenv("TARN_ISA");
    return parse(wanted ? wanted : "");
  }();
  return isa;
}

}  // namespace

std::string_view name_of(Isa isa) { return names[static_cast<std::size_t>(isa)]; }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
#if defined(TARN_HAVE_ISA_x86_64)
  isas.push_back(Isa::baseline);
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
    isas.push_back(Isa::v3);
#endif
#if defined(TARN_HAVE_ISA_x86_64_v4)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")) {
    isas.push_back(Isa::v4);
  }
#endif
  return isas;
}

Isa current_isa() { return current(); }
void use_isa(const std::string& name) { current() = parse(name); }

}  // namespace tarn
