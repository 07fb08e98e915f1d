// Where training batches come from: the seam between the trainer and data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "tarn/core/matrix.hpp"
#include "tarn/core/stream.hpp"

namespace tarn {

/// A rule by which batches are drawn from a table of n rows: step s of an epoch of `n / B` steps takes places `s * B` to `s * B + B - 1` of
/// the numbers 0 to n - 1 sorted by 64-bit keys, ties by number. The key of row i in epoch e is the two words of (seed, stream,
/// chain i, step e), the first one above the second.
struct EpochOrder {
  std::uint64_t seed = 0;
  Stream stream = Stream::batch_order;
  bool operator==(const EpochOrder&) const = default;
};

/// Delivers the rows of training batches. Row `i` of step `s` is a pure function of (seed, s, i), whatever was asked before,
/// so that a resumed or re-chunked run sees the same data.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// D outputs plus U inputs: the width of a row `[x, u]`.
  virtual std::int64_t n_columns() const = 0;
  /// Steps that make one epoch at this batch size (a remainder that does not fill a batch is left out).
  virtual std::int64_t steps_per_epoch(std::int64_t batch_size) const = 0;
  /// Writes the batches of `n_steps` steps from `first_step` on, in scaled filter space, to `out`
  /// `[n_steps * batch_size, D + U]`.
  virtual void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) = 0;

  /// The fixed table `[n, D + U]` that batches are drawn from, for devices that keep a copy of it; null where there is none.
  /// Whoever holds it may count on its contents.
  virtual std::shared_ptr<const Matrix<float>> table() const { return nullptr; }
  /// Where there is a table: the rows of it that `fill` would write, `out` `[n_steps * batch_size]`. Throws `Error` where there is
  /// none.
  virtual void indices(std::int64_t first_step, std::int64_t n_steps, std::int64_t batch_size, std::int64_t* out);
  /// Where there is a table and `indices` follow this rule: a device may work them out by itself.
  virtual std::optional<EpochOrder> shuffled() const { return std::nullopt; }
};

inline void BatchSource::indices(std::int64_t, std::int64_t, std::int64_t, std::int64_t*) {
  fail("batches of this source are not rows of a table");
}

}  // namespace tarn
