#include "tarn/models/sampling_network.hpp"

#include <array>
#include <cmath>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::array<std::string_view, 5> kind_names{"reservoir_sampler", "sampler_only_sc", "sampler_only_fr", "rbm",
                                                     "ebm"};

void check_array(const Matrix<float>& array, std::string_view name, std::int64_t rows, std::int64_t cols) {
  require(array.rows() == rows && array.cols() == cols, "{} is [{}, {}], expected [{}, {}]", name, array.rows(),
          array.cols(), rows, cols);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      require(std::isfinite(array(i, j)), "{} holds {} at [{}, {}]; weights must be finite", name, array(i, j), i, j);
    }
  }
}

// tanh and sigmoid: the energy grows like |x|^2 whatever the weights, so that there is a law. Of the others some weights have none.
bool gives_a_law(Nonlinearity phi) { return phi == Nonlinearity::tanh || phi == Nonlinearity::sigmoid; }

void check_absent(const Matrix<float>& array, std::string_view name, ModelKind kind) {
  require(array.empty(), "a {} network has no {}, found [{}, {}]", name_of(kind), name, array.rows(), array.cols());
}

}  // namespace

std::string_view name_of(ModelKind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

ModelKind parse_model_kind(std::string_view name) {
  for (std::size_t i = 0; i < kind_names.size(); ++i) {
    if (kind_names[i] == name) return static_cast<ModelKind>(i);
  }
  fail_usage("model kind \"{}\" is unknown; allowed: {}", name, listed(kind_names));
}

void SamplingNetwork::validate_energy() const {
  const std::int64_t D = n_outputs, N = n_neurons();
  require(n_inputs == 0, "a {} has no inputs, found {}", name_of(kind), n_inputs);
  check_array(W_in, "W", N, D);
  check_array(b, "b", 1, N);
  check_array(a, "a", 1, D);
  if (kind == ModelKind::ebm) check_array(v, "v", 1, N);
  if (kind == ModelKind::rbm) check_absent(v, "v", kind);
  for (const auto& [array, name] :
       {std::pair{&W_out, "W_out"}, {&gamma, "gamma"}, {&S, "S"}, {&drift_map, "drift_map"}})
    check_absent(*array, name, kind);
  require(std::isfinite(s) && s > 0.0, "s is {}; it must be finite and above 0", s);
  if (kind == ModelKind::rbm) {
    require(phi == Nonlinearity::sigmoid, "an rbm has sigmoid units, found {}", name_of(phi));
  } else {
    require(gives_a_law(phi), "the energy of an ebm of {} units need not have a law; allowed: tanh, sigmoid",
            name_of(phi));
  }
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
  } else if (is_energy_based(kind)) {
    validate_energy();
  } else {
    require(U == 0, "a {} network has no inputs, found {}", name_of(kind), U);
    check_array(W_in, "W", D, D);
    check_array(b, "b", 1, D);
    check_array(gamma, "gamma", 1, D);
    check_array(S, "S", D, D);
    check_absent(W_out, "W_out", kind);
  }
  if (!is_energy_based(kind)) {
    check_absent(a, "a", kind);
    check_absent(v, "v", kind);
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
