// The family of a layer's units as kernels take it: its struct (core/families.hpp), chosen on the host once.
#pragma once

#include <variant>

#include "tarn/core/families.hpp"

namespace tarn::cuda {

using HeeLaw = std::variant<families::Gaussian, families::Laplace, families::GaussianScale, families::LaplaceScale,
                            families::Quartic, families::Rectified>;

inline HeeLaw make_law(Family family, const FamilyParameters& parameters) {
  return dispatch(family, parameters, [](const auto& law) { return HeeLaw(law); });
}

/// A chain with a number beyond this is lost: its square would be infinite.
inline constexpr float largest_state = 1.844674e19f;
/// Errors beyond this are too, so that their products with states, summed over many chains, are not.
inline constexpr float largest_error = 1e16f;

/// What changes from step to step, in device memory, so that steps can be recorded.
struct HeeClock {
  std::uint64_t seed = 0, first_chain = 0;
  std::uint64_t step = 0;  ///< of the first step that was recorded; `launch_hee_advance` moves on
};

}  // namespace tarn::cuda
