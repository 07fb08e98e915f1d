// Arrays that are trained on the host, with what an optimiser keeps of each: shared by the models whose training is not a backend's.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/models/trainable.hpp"

namespace tarn {

struct TrainedArray {
  const char* name;
  Matrix<float>* weights;
  Matrix<float>* average;                               ///< running mean of the weights
  const Matrix<float>* gradient;                        ///< of the shape of the weights once a gradient was computed
  Matrix<float> first = {}, second = {}, largest = {};  ///< moments, of the shape of the weights
};

/// What is pointed to must outlive it.
class TrainedArrays {
 public:
  TrainedArrays() = default;
  explicit TrainedArrays(std::vector<TrainedArray> arrays) : arrays_(std::move(arrays)) { reset(); }

  /// Forgets the moments.
  void reset() {
    for (TrainedArray& a : arrays_) {
      for (Matrix<float>* moments : {&a.first, &a.second, &a.largest})
        *moments = Matrix<float>(a.weights->rows(), a.weights->cols());
    }
  }
  /// Into a checkpoint, and back; `amsgrad` says whether the largest second moments belong to it. Throws `Error` for other shapes.
  void put(bool amsgrad, TrainingState& state) const {
    for_each(arrays_, amsgrad,
             [&](const std::string& name, const Matrix<float>& array) { state.arrays[name] = array; });
  }
  void take(bool amsgrad, const TrainingState& state) {
    for_each(arrays_, amsgrad, [&](const std::string& name, Matrix<float>& array) {
      array = state.at(name, array.rows(), array.cols());
    });
  }
  /// Over all arrays together.
  double gradient_norm() const {
    double square = 0.0;
    for (const TrainedArray& a : arrays_) {
      for (std::int64_t i = 0; i < a.gradient->size(); ++i)
        square += static_cast<double>(a.gradient->data()[i]) * static_cast<double>(a.gradient->data()[i]);
    }
    return std::sqrt(square);
  }
  /// What the gradient is to be multiplied by so that its norm is `clip_norm` at most (0: no limit, and no norm is computed); the norm as it was.
  double clip(double clip_norm, double& norm) const {
    if (!(clip_norm > 0.0)) return 1.0;
    norm = gradient_norm();
    return norm > clip_norm ? clip_norm / norm : 1.0;
  }

  auto begin() { return arrays_.begin(); }
  auto end() { return arrays_.end(); }

 private:
  template <class Arrays, class F>
  static void for_each(Arrays& arrays, bool amsgrad, F f) {
    for (auto& a : arrays) {
      const std::string suffix = std::string(".") + a.name;
      f("weights" + suffix, *a.weights);
      f("average" + suffix, *a.average);
      f("first_moment" + suffix, a.first);
      f("second_moment" + suffix, a.second);
      if (amsgrad) f("largest_second_moment" + suffix, a.largest);
    }
  }

  std::vector<TrainedArray> arrays_;
};

}  // namespace tarn
