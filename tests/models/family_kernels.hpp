// The functions of the families as plain calls on arrays, compiled once per instruction set, for the tests to compare.
#pragma once

#include <cstdint>

#include "tarn/core/family.hpp"
#include "tarn/core/isa.hpp"

namespace tarn::test {

enum class FamilyFunction {
  statistic,
  statistic_derivative,
  log_base,
  log_base_derivative,
  link,
  link_derivative,
  mean_statistic,
  confine,
  relax,
  count
};
inline constexpr double relaxation_time = 0.3;
inline constexpr float relaxed_eta = 1.7f, relaxation_normal = 0.4f;

/// On n numbers, n a multiple of 16; `link_derivative` is given a and makes eta itself, `relax` is the exact step of x at
/// `relaxed_eta`, or x where there is none.
struct FamilyKernels {
  void (*pack)(Family, const FamilyParameters&, FamilyFunction, const float* x, float* y, std::int64_t n);
  void (*scalar)(Family, const FamilyParameters&, FamilyFunction, const float* x, float* y, std::int64_t n);
};

namespace x86_64 {
extern const FamilyKernels family_kernels;
}
namespace x86_64_v3 {
extern const FamilyKernels family_kernels;
}
namespace x86_64_v4 {
extern const FamilyKernels family_kernels;
}

/// The copy for an instruction set that is among `available_isas()`.
const FamilyKernels& family_kernels(Isa isa);

}  // namespace tarn::test
