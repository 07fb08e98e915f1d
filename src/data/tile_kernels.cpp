#include "random_tile.hpp"
#include "tarn/core/isa_table.hpp"

namespace tarn::data {

const TileKernels& tile_kernels(Isa isa) { TARN_RETURN_OF_ISA(isa, table); }

}  // namespace tarn::data
