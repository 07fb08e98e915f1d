#include "family_kernels.hpp"
#include "tarn/core/isa_table.hpp"

namespace tarn::test {

const FamilyKernels& family_kernels(Isa isa) { TARN_RETURN_OF_ISA(isa, family_kernels); }

}  // namespace tarn::test
