// Compiled once per instruction set; see family_kernels.hpp.
#include "family_kernels.hpp"

#include "tarn/core/families.hpp"
#include "tarn/core/pack.hpp"

namespace tarn::test::TARN_ISA {
namespace {

template <class F, class V>
TARN_HD V apply(const F& family, FamilyFunction function, V x) {
  switch (function) {
    case FamilyFunction::statistic:
      return family.statistic(x);
    case FamilyFunction::statistic_derivative:
      return family.statistic_derivative(x);
    case FamilyFunction::log_base:
      return family.log_base(x);
    case FamilyFunction::log_base_derivative:
      return family.log_base_derivative(x);
    case FamilyFunction::link:
      return family.link(x);
    case FamilyFunction::link_derivative:
      return family.link_derivative(x, family.link(x));
    case FamilyFunction::mean_statistic:
      return family.mean_statistic(x);
    case FamilyFunction::confine:
      return family.confine(x);
    case FamilyFunction::relax:
      if constexpr (F::exact_relaxation) {
        return family.relaxation(relaxation_time)(x, V(relaxed_eta), V(relaxation_normal));
      }
      break;
    case FamilyFunction::count:
      break;
  }
  return x;
}

void pack(Family family, const FamilyParameters& parameters, FamilyFunction function, const float* x, float* y,
          std::int64_t n) {
  dispatch(family, parameters, [&](const auto& f) {
    for (std::int64_t i = 0; i < n; i += pack_lanes) apply(f, function, Pack::load(x + i)).store(y + i);
  });
}
void scalar(Family family, const FamilyParameters& parameters, FamilyFunction function, const float* x, float* y,
            std::int64_t n) {
  dispatch(family, parameters, [&](const auto& f) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = apply(f, function, x[i]);
  });
}

}  // namespace

const FamilyKernels family_kernels{pack, scalar};

}  // namespace tarn::test::TARN_ISA
