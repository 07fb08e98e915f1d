// Picks the tables of matrix-product paths for an instruction set.
#include "gemm.hpp"
#include "hee_kernels.hpp"
#include "large_dsm_kernels.hpp"
#include "large_langevin_kernels.hpp"
#include "tarn/core/isa_table.hpp"

namespace tarn::cpu {

#define TARN_DEFINE_TABLE(Type, function, table) \
  const Type& function(Isa isa) { TARN_RETURN_OF_ISA(isa, table); }
TARN_DEFINE_TABLE(GemmKernels, gemm_kernels, gemm_table)
TARN_DEFINE_TABLE(HeeErrorKernels, hee_error_kernels, hee_error_table)
TARN_DEFINE_TABLE(HeeStatisticsKernels, hee_statistics_kernels, hee_statistics_table)
TARN_DEFINE_TABLE(HeeUpdateKernels, hee_update_kernels, hee_update_table)
TARN_DEFINE_TABLE(LargeDsmKernels, large_dsm_kernels, large_dsm_table)
TARN_DEFINE_TABLE(LargeLangevinKernels, large_langevin_kernels, large_langevin_table)

}  // namespace tarn::cpu
