// A hierarchical exponential-family model as a law: its energy, and exact draws of all layers from the top down.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn {

/// `E(x_0..x_L) = sum_l sum_i [A(eta) - eta T(x) - log h(x)] = -log p(x_0..x_L)` of each row, in double. `x[l]` `[n, n_l]` for l = 0..L; `out`
/// `[n]`. Infinite where a state is outside its family's domain, NaN where it is not finite. Throws `Error` for shapes that do not fit.
void hee_energy(const HeeParameters& parameters, std::span<const MatrixView<const float>> x, std::span<double> out);

/// Exact independent draws of the whole model, ancestors first: `x_L` given the top bias, then each layer given the one above. Row i is
/// chain `first_chain + i` of `Stream::ancestral + l`, step `draw`; it does not depend on the number of chains. `x[l]` `[n_chains, n_l]`,
/// l = 0..L. Throws `Error` for parameters that do not fit together.
std::vector<Matrix<float>> draw_ancestral(const HeeParameters& parameters, std::uint64_t seed,
                                          std::uint64_t first_chain, std::uint64_t draw, std::int64_t n_chains);

}  // namespace tarn
