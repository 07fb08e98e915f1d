// The random numbers of a run of synthetic draws, component after component. One loop an instruction set.
#pragma once

#include <cstdint>

#include "tarn/core/isa.hpp"

namespace tarn::data {

/// Draws `first .. first + n - 1`: component c of draw i is that of chain i, step 0 of `Stream::synthetic_data`.
struct TileRequest {
  std::uint64_t seed = 0;
  std::uint64_t first = 0;
  std::int64_t n = 0;
  std::int64_t n_normals = 0;  ///< components 0 .. n_normals - 1, an even number
  std::int64_t n_words = 0;    ///< the components after them
  std::int64_t stride = 0;     ///< from one component to the next in the arrays; a multiple of 16, at least n
};

struct TileKernels {
  /// Fills `normals` `[n_normals, stride]` and `words` `[n_words, stride]`, with room for n rounded up to 16 in each
  /// row.
  void (*fill)(const TileRequest&, float* normals, std::uint32_t* words);
  /// `roots[i] = sqrt(w)`, w the exponential variable of mean 1 that `words[i]` gives; n is rounded up to 16.
  void (*exponential_roots)(std::int64_t n, const std::uint32_t* words, float* roots);
};

const TileKernels& tile_kernels(Isa isa);

#define TARN_DECLARE_TILE_KERNELS(isa) \
  namespace isa {                      \
  extern const TileKernels table;      \
  }
TARN_DECLARE_TILE_KERNELS(x86_64)
TARN_DECLARE_TILE_KERNELS(x86_64_v3)
TARN_DECLARE_TILE_KERNELS(x86_64_v4)
#undef TARN_DECLARE_TILE_KERNELS

}  // namespace tarn::data
