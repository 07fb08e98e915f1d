// The golden vectors in tests/data/golden.
#pragma once

#include <ostream>
#include <string>

#include "models/reference.hpp"
#include "tarn/io/npz.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

struct GoldenCase {
  const char* name;
  Nonlinearity phi;
};
inline void PrintTo(const GoldenCase& golden, std::ostream* out) { *out << golden.name; }

inline constexpr GoldenCase golden_cases[] = {{"rsn_1_8_5_relu", Nonlinearity::relu},
                                              {"rsn_2_33_17_tanh", Nonlinearity::tanh},
                                              {"rsn_10_64_7_softplus", Nonlinearity::softplus},
                                              {"rsn_37_130_9_relu", Nonlinearity::relu}};

inline std::string golden_path(const std::string& name) {
  return std::string(TARN_TEST_DATA) + "/golden/" + name + ".npz";
}

class Golden {
 public:
  explicit Golden(const GoldenCase& golden) : phi(golden.phi), arrays_(read_npz(golden_path(golden.name))) {}

  /// As double; a 1-D array as one row.
  Array operator[](const std::string& name) const {
    const NpyArray& array = arrays_.at(name);
    const std::size_t rank = array.shape.size();
    Array out(rank == 2 ? array.shape[0] : 1, rank == 0 ? 1 : array.shape.back());
    convert_to_double(array.dtype, array.bytes, std::span(out.data(), static_cast<std::size_t>(out.size())));
    return out;
  }
  double number(const std::string& name) const { return (*this)[name](0, 0); }

  ReservoirArrays reservoir() const { return {(*this)["W_in"], (*this)["b"], (*this)["W_out"]}; }
  SamplerOnlyArrays sampler_only() const {
    return {(*this)["so_W"], (*this)["so_b"], (*this)["so_gamma"], (*this)["so_S"]};
  }
  ReferenceBatch batch() const { return {(*this)["x"], (*this)["eps"], number("sigma")}; }
  Array noisy_points() const { return (*this)["x"] + number("sigma") * (*this)["eps"]; }

  SamplingNetwork reservoir_network() const {
    SamplingNetwork network;
    network.phi = phi;
    network.W_in = to_float((*this)["W_in"]);
    network.b = to_float((*this)["b"]);
    network.W_out = to_float((*this)["W_out"]);
    network.n_outputs = network.W_out.rows();
    network.sigma = number("sigma");
    return network;
  }
  SamplingNetwork sampler_only_network(ModelKind kind) const {
    SamplingNetwork network;
    network.kind = kind;
    network.phi = phi;
    network.W_in = to_float((*this)["so_W"]);
    network.b = to_float((*this)["so_b"]);
    network.gamma = to_float((*this)["so_gamma"]);
    network.S = to_float((*this)["so_S"]);
    network.n_outputs = network.W_in.rows();
    return network;
  }

  Nonlinearity phi;

 private:
  NpzArrays arrays_;
};

}  // namespace tarn::test
