#include "tarn/models/sampling_network.hpp"

#include <array>
#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::array<std::string_view, 3> kind_names{"reservoir_sampler", "sampler_only_sc", "sampler_only_fr"};

void check_array(const Matrix<float>& array, std::string_view name, std::int64_t rows, std::int64_t cols) {
  require(array.rows() == rows && array.cols() == cols, "{} is [{}, {}], expected [{}, {}]", name, array.rows(),
          array.cols(), rows, cols);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      require(std::isfinite(array(i, j)), "{} holds {} at [{}, {}]; weights must be finite", name, array(i, j), i, j);
    }
  }
}

void check_absent(const Matrix<float>& array, std::string_view name, ModelKind kind) {
  require(array.empty(), "a {} network has no {}, found [{}, {}]", name_of(kind), name, array.rows(), array.cols());
}

}  // namespace

std::string_view name_of(ModelKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

ModelKind parse_model_kind(std::string_view name) {
  for (std::size_t i = 0; i < kind_names.size(); ++i) {
    if (kind_names[i] == name) return static_cast<ModelKind>(i);
  }
  fail_usage("model kind \"{}\" is unknown; allowed: {}, {}, {}", name, kind_names[0], kind_names[1], kind_names[2]);
}

void SamplingNetwork::validate() const {
  const std::int64_t D = n_outputs, U = n_inputs, N = n_neurons();
  require(D >= 1, "a network needs at least one output, found {}", D);
  require(U >= 0, "the number of inputs must not be negative, found {}", U);
  require(N >= 1, "a network needs at least one neuron, found {}", N);
  if (kind == ModelKind::reservoir_sampler) {
    check_array(W_in, "W_in", N, D + U);
    check_array(b, "b", 1, N);
    check_array(W_out, "W_out", D, N);
    check_absent(gamma, "gamma", kind);
    check_absent(S, "S", kind);
  } else {
    require(U == 0, "a {} network has no inputs, found {}", name_of(kind), U);
    check_array(W_in, "W", D, D);
    check_array(b, "b", 1, D);
    check_array(gamma, "gamma", 1, D);
    check_array(S, "S", D, D);
    check_absent(W_out, "W_out", kind);
  }
  if (!drift_map.empty()) check_array(drift_map, "drift_map", D, D);
  require(scaling.shift.empty() || scaling.shift.size() == static_cast<std::size_t>(D),
          "shift has {} values, expected {} or none", scaling.shift.size(), D);
  for (std::size_t i = 0; i < scaling.shift.size(); ++i) {
    require(std::isfinite(scaling.shift[i]), "shift holds {} at [{}]; it must be finite", scaling.shift[i], i);
  }
  require(std::isfinite(scaling.scale) && scaling.scale > 0.0, "scale is {}; it must be finite and above 0",
          scaling.scale);
  require(std::isfinite(sigma) && sigma >= 0.0, "sigma is {}; it must be finite and not negative (0 = unknown)", sigma);
}

}  // namespace tarn
