// The energy of many states of a hierarchical exponential-family model.
#pragma once

#include <span>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn {

/// `E(x_0..x_L) = sum over layers and units of -eta T(x) - log h(x) + A(eta)` (docs/hee.md), but for A of the top layer, which is a constant.
class HeeEnergy {
 public:
  explicit HeeEnergy(const HeeParameters& parameters);

  /// Of each row. `x[l]` `[n, n_l]`, l = 0..L; `energy` `[n]`, NaN for rows that are not finite. Sums are in double, inputs of the links in
  /// float.
  void rows(std::span<const Matrix<float>> x, std::span<float> energy) const;

 private:
  const HeeParameters& parameters_;
  std::vector<ExponentialFamily> families_;
  std::vector<Matrix<float>> columns_;  // W_l^T, so that sums over units above are by rows
  std::vector<double> top_;             // eta_L
};

}  // namespace tarn
