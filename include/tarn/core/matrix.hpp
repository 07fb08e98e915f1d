// Row-major matrices: an owning one aligned for vector loads, and a view of someone else's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <type_traits>
#include <vector>

#include "tarn/core/error.hpp"

namespace tarn {

/// Allocates on 64-byte boundaries: a cache line, and the widest vector register.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{64};

  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), alignment)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, alignment); }
  template <class U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
};

template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/// A non-owning view of a contiguous row-major matrix `[rows, cols]`. `T` may be const.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  T* row(std::int64_t i) const { return data + i * cols; }
  T& operator()(std::int64_t i, std::int64_t j) const { return data[i * cols + j]; }
  std::int64_t size() const { return rows * cols; }
  /// Rows `begin` to `end` (exclusive).
  MatrixView slice(std::int64_t begin, std::int64_t end) const { return {data + begin * cols, end - begin, cols}; }
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols}; }
};

/// An owning row-major matrix `[rows, cols]`, zero-initialised, 64-byte aligned.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  /// Throws `Error` for negative extents and for more bytes than can be counted.
  Matrix(std::int64_t rows, std::int64_t cols) : rows_(rows), cols_(cols) {
    require(rows >= 0 && cols >= 0, "matrix extents must not be negative, found {} x {}", rows, cols);
    constexpr std::int64_t max_size = std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(T));
    require(cols == 0 || rows <= max_size / cols, "a matrix of {} x {} is too large for any memory", rows, cols);
    values_.resize(static_cast<std::size_t>(rows * cols));
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  std::int64_t size() const { return rows_ * cols_; }
  bool empty() const { return values_.empty(); }
  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }
  T* row(std::int64_t i) { return data() + i * cols_; }
  const T* row(std::int64_t i) const { return data() + i * cols_; }
  T& operator()(std::int64_t i, std::int64_t j) { return values_[static_cast<std::size_t>(i * cols_ + j)]; }
  const T& operator()(std::int64_t i, std::int64_t j) const { return values_[static_cast<std::size_t>(i * cols_ + j)]; }
  MatrixView<T> view() { return {data(), rows_, cols_}; }
  MatrixView<const T> view() const { return {data(), rows_, cols_}; }
  operator MatrixView<T>() { return view(); }
  operator MatrixView<const T>() const { return view(); }
  bool operator==(const Matrix&) const = default;

 private:
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
  AlignedVector<T> values_;
};

}  // namespace tarn
