#include "energy_kernels.hpp"

namespace tarn::energy {

const Kernels& kernels(Isa isa) {
#if defined(TARN_HAVE_ISA_x86_64_v4)
  if (isa == Isa::v4) return x86_64_v4::table;
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
  if (isa == Isa::v3) return x86_64_v3::table;
#endif
  (void)isa;
  return x86_64::table;
}

}  // namespace tarn::energy
