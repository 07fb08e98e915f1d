// KL divergence of draws in any dimension, as far as cells of equal probability can tell it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/core/matrix.hpp"

namespace tarn {

/// KL(draws || law) over K cells of equal probability.
struct CellKl {
  double raw = 0.0;          ///< sum over cells of q log(q K); NaN without a finite draw
  double corrected = 0.0;    ///< raw - (K - 1) / (2 n), the mean of `raw` for n exact draws (to first order)
  std::int64_t n = 0;        ///< finite draws
  std::int64_t n_lost = 0;   ///< rows with a value that is not finite: they are in no cell
  std::int64_t n_cells = 0;  ///< K
  std::int64_t n_empty = 0;  ///< cells without a draw
};

/// The space cut into K = 2^depth cells that hold one share each of a reference sample: every cell is cut in two at the median along its
/// own principal axis (data-dependent partitions: Wang, Kulkarni and Verdu 2005, "Divergence estimation of continuous distributions based
/// on data-dependent partitions"). By the data-processing inequality the divergence over cells is never above that of the laws, and it
/// grows towards it with K: a lower bound, whatever the dimension. What the finite reference adds, about K / (2 n_reference), is in the
/// floors of exact draws as well.
class EqualCells {
 public:
  /// `reference` `[n, D]` exact draws. Throws `Error` unless all are finite and there are two a cell or more, depth 1 to 16.
  EqualCells(MatrixView<const float> reference, int depth);

  std::int64_t n_cells() const { return std::int64_t{1} << depth_; }
  /// Cell of a point `[D]`; its values must be finite.
  std::int64_t cell_of(const float* x) const;
  CellKl kl(MatrixView<const float> draws) const;

 private:
  void cut(MatrixView<const float> reference, std::span<std::int64_t> rows, std::size_t node);

  int depth_ = 0;
  std::int64_t dimension_ = 0;
  Matrix<double> axes_;             // [2^depth - 1, D]: of the inner nodes of the tree, in heap order
  std::vector<double> thresholds_;  // [2^depth - 1]
};

}  // namespace tarn
