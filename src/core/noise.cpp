#include "tarn/core/noise.hpp"

#include "noise_kernels.hpp"
#include "tarn/core/isa_table.hpp"

namespace tarn {
namespace core {

const NoiseKernels& noise_kernels(Isa isa) { TARN_RETURN_OF_ISA(isa, table); }

namespace {

NoiseRequest checked(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                     std::int64_t n_steps, std::int64_t rows, std::int64_t columns) {
  require(n_steps > 0 && rows % n_steps == 0, "noise: {} rows are not a multiple of {} steps", rows, n_steps);
  const std::int64_t n_chains = rows / n_steps;
  require(columns <= std::int64_t{1} << 32, "noise: at most 2^32 components a step, found {}", columns);
  // compared without sums, which could wrap around
  const auto chains = static_cast<std::uint64_t>(n_chains), steps = static_cast<std::uint64_t>(n_steps);
  require(chains <= max_chains && first_chain <= max_chains - chains,
          "noise: chain numbers must stay below 2^48, found {} chains from {}", n_chains, first_chain);
  const std::uint64_t step_limit = ~std::uint64_t{0} / static_cast<std::uint64_t>(step_stride(columns));
  require(steps <= step_limit && first_step <= step_limit - steps,
          "noise: with {} components step numbers must stay below {}, found {} steps from {}", columns, step_limit,
          n_steps, first_step);
  const std::uint64_t subsequence = static_cast<std::uint64_t>(stream) << 48 | first_chain;
  return {seed, subsequence, first_step, n_steps, n_chains, columns};
}

}  // namespace
}  // namespace core

void fill_words(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                std::int64_t n_steps, MatrixView<std::uint32_t> out) {
  if (out.size() == 0) return;
  core::noise_kernels(current_isa())
      .words(core::checked(seed, stream, first_chain, first_step, n_steps, out.rows, out.cols), out.data);
}

void fill_normals(std::uint64_t seed, Stream stream, std::uint64_t first_chain, std::uint64_t first_step,
                  std::int64_t n_steps, MatrixView<float> out) {
  if (out.size() == 0) return;
  core::noise_kernels(current_isa())
      .normals(core::checked(seed, stream, first_chain, first_step, n_steps, out.rows, out.cols), out.data);
}

}  // namespace tarn
