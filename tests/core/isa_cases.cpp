#include "isa_cases.hpp"

namespace tarn::test {

const IsaCases& isa_cases(Isa isa) {
#if defined(TARN_HAVE_ISA_x86_64_v4)
  if (isa == Isa::v4) return x86_64_v4::cases;
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
  if (isa == Isa::v3) return x86_64_v3::cases;
#endif
  static_cast<void>(isa);
  return x86_64::cases;
}

}  // namespace tarn::test
