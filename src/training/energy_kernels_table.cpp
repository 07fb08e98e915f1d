#include "energy_kernels.hpp"
#include "tarn/core/isa_table.hpp"

namespace tarn::energy {

const Kernels& kernels(Isa isa) { TARN_RETURN_OF_ISA(isa, table); }

}  // namespace tarn::energy
