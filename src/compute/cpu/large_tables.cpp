// Picks the tables of matrix-product paths for an instruction set.
#include "gemm.hpp"
#include "hee_kernels.hpp"
#include "large_dsm_kernels.hpp"
#include "large_langevin_kernels.hpp"

namespace tarn::cpu {

#if defined(TARN_HAVE_ISA_x86_64_v4)
#define TARN_IF_V4(table) \
  if (isa == Isa::v4) return x86_64_v4::table;
#else
#define TARN_IF_V4(table)
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
#define TARN_IF_V3(table) \
  if (isa == Isa::v3) return x86_64_v3::table;
#else
#define TARN_IF_V3(table)
#endif
#define TARN_DEFINE_TABLE(Type, function, table)   \
  const Type& function([[maybe_unused]] Isa isa) { \
    TARN_IF_V4(table)                              \
    TARN_IF_V3(table)                              \
    return x86_64::table;                          \
  }
TARN_DEFINE_TABLE(GemmKernels, gemm_kernels, gemm_table)
TARN_DEFINE_TABLE(HeeErrorKernels, hee_error_kernels, hee_error_table)
TARN_DEFINE_TABLE(HeeStatisticsKernels, hee_statistics_kernels, hee_statistics_table)
TARN_DEFINE_TABLE(HeeUpdateKernels, hee_update_kernels, hee_update_table)
TARN_DEFINE_TABLE(LargeDsmKernels, large_dsm_kernels, large_dsm_table)
TARN_DEFINE_TABLE(LargeLangevinKernels, large_langevin_kernels, large_langevin_table)

}  // namespace tarn::cpu
