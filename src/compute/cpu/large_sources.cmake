# The large-D path: matrix products over tiles of chains, batch rows and neurons.
set(TARN_COMPUTE_LARGE_SOURCES cpu/large_dsm.cpp cpu/large_dsm_skew.cpp cpu/large_langevin.cpp cpu/large_network.cpp cpu/large_reservoir.cpp
    cpu/large_session.cpp cpu/large_tables.cpp cpu/large_tile.cpp)
# Compiled once per instruction set.
set(TARN_COMPUTE_LARGE_ISA_SOURCES cpu/gemm.cpp cpu/large_dsm_kernels.cpp cpu/large_langevin_kernels.cpp)
# Hierarchical models, on the same products and tiles.
list(APPEND TARN_COMPUTE_LARGE_SOURCES cpu/hee_chains.cpp cpu/hee_learning.cpp cpu/hee_model.cpp cpu/hee_session.cpp cpu/hee_sums.cpp cpu/hee_tile.cpp)
list(APPEND TARN_COMPUTE_LARGE_ISA_SOURCES cpu/hee_error_kernels.cpp cpu/hee_statistics_kernels.cpp cpu/hee_update_kernels.cpp)
