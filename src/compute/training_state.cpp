#include "tarn/compute/training_state.hpp"

#include "tarn/compute/dsm.hpp"
#include "tarn/core/error.hpp"

namespace tarn {

const Matrix<float>& TrainingState::at(const std::string& name, std::int64_t rows, std::int64_t cols) const {
  const auto found = arrays.find(name);
  require(found != arrays.end(), "training state: {} is missing", name);
  const Matrix<float>& array = found->second;
  require(array.rows() == rows && array.cols() == cols, "training state: {} is [{}, {}], it should be [{}, {}]", name,
          array.rows(), array.cols(), rows, cols);
  return array;
}

void TrainingState::put(const std::string& what, const DsmParameters& parameters) {
  arrays[what + ".W_in"] = parameters.W_in;
  arrays[what + ".b"] = parameters.b;
  arrays[what + ".V"] = parameters.V;
  if (!parameters.A.empty()) arrays[what + ".A"] = parameters.A;
}

DsmParameters TrainingState::get(const std::string& what, const DsmParameters& like) const {
  DsmParameters parameters = like;
  parameters.W_in = at(what + ".W_in", like.W_in.rows(), like.W_in.cols());
  parameters.b = at(what + ".b", like.b.rows(), like.b.cols());
  parameters.V = at(what + ".V", like.V.rows(), like.V.cols());
  if (!like.A.empty()) parameters.A = at(what + ".A", like.A.rows(), like.A.cols());
  return parameters;
}

}  // namespace tarn
