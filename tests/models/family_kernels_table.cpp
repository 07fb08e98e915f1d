#include "family_kernels.hpp"

namespace tarn::test {

const FamilyKernels& family_kernels(Isa isa) {
#if defined(TARN_HAVE_ISA_x86_64_v4)
  if (isa == Isa::v4) return x86_64_v4::family_kernels;
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
  if (isa == Isa::v3) return x86_64_v3::family_kernels;
#endif
  static_cast<void>(isa);
  return x86_64::family_kernels;
}

}  // namespace tarn::test
