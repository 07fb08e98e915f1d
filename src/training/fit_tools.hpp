// What fits of filters share: means in double, batches in the order of the filters' own stream.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/data/batches.hpp"

namespace tarn {

/// Chain numbers of `Stream::filter_init`: what is drawn, in the bits from 40 up.
inline constexpr std::uint64_t atom_chains = std::uint64_t{1} << 40, dense_chains = std::uint64_t{1} << 41,
                               classifier_chains = std::uint64_t{1} << 42;
/// Epochs of `Stream::filter_order` from here on belong to classifiers: their batches, and which rows they are trained on.
inline constexpr std::int64_t classifier_epochs = std::int64_t{1} << 30, classifier_split = std::int64_t{1} << 31;

/// Means of the columns. Throws `Error` naming the first column with a value that is not finite.
inline std::vector<double> finite_means(MatrixView<const float> x, const char* what) {
  std::vector<double> mean(static_cast<std::size_t>(x.cols));
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) mean[static_cast<std::size_t>(j)] += x(i, j);
  }
  for (std::size_t j = 0; j < mean.size(); ++j) {
    mean[j] /= static_cast<double>(x.rows);
    require(std::isfinite(mean[j]), "{}: feature {} of the data holds a value that is not finite", what, j);
  }
  return mean;
}

/// Throws `UsageError` unless epochs >= 0 and 1 <= batch size <= n.
inline void check_batches(std::int64_t epochs, std::int64_t batch_size, std::int64_t n, const char* what) {
  if (epochs < 0) fail_usage("{}: {} epochs; allowed: >= 0", what, epochs);
  if (batch_size < 1 || batch_size > n) {
    fail_usage("{}: batches of {} of {} rows; allowed: 1 to {}", what, batch_size, n, n);
  }
}

/// Calls `step(number of the step, rows of the batch)`, or `step(number, rows, their indices in x)`, for `epochs` passes over the data in
/// the orders of epochs `first_epoch ...`.
template <class Step>
void for_each_batch(MatrixView<const float> x, std::int64_t epochs, std::int64_t batch_size, std::uint64_t seed,
                    Step&& step, std::int64_t first_epoch = 0) {
  Matrix<float> batch(batch_size, x.cols);
  const auto per_epoch = x.rows / batch_size;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto order = epoch_order(seed, Stream::filter_order, x.rows, first_epoch + epoch);
    for (std::int64_t s = 0; s < per_epoch; ++s) {
      for (std::int64_t i = 0; i < batch_size; ++i) {
        std::copy_n(x.row(order[static_cast<std::size_t>(s * batch_size + i)]), x.cols, batch.row(i));
      }
      const std::int64_t number = epoch * per_epoch + s;
      if constexpr (std::is_invocable_v<Step, std::int64_t, MatrixView<const float>, std::span<const std::int64_t>>) {
        step(number, batch,
             std::span(order).subspan(static_cast<std::size_t>(s * batch_size), static_cast<std::size_t>(batch_size)));
      } else {
        step(number, batch);
      }
    }
  }
}

/// Hands the observer the mean loss of every ten steps.
template <class Observer>
class LossMeter {
 public:
  LossMeter(const Observer& observer, std::int64_t n_steps) : observer_(observer), n_steps_(n_steps) {}
  void add(std::int64_t step, double loss) {
    sum_ += loss;
    if (++count_ < 10 && step + 1 < n_steps_) return;
    if (observer_) observer_(step + 1, n_steps_, sum_ / count_);
    sum_ = 0.0;
    count_ = 0;
  }

 private:
  const Observer& observer_;
  std::int64_t n_steps_;
  double sum_ = 0.0;
  int count_ = 0;
};

}  // namespace tarn
