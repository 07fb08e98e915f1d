// Settings of annealed importance sampling, for tests.
#pragma once

#include "tarn/models/hee_likelihood.hpp"

namespace tarn::test {

inline Annealing annealing(std::int64_t n_temperatures, std::int64_t chains_per_datum) {
  Annealing a;
  a.n_temperatures = n_temperatures;
  a.chains_per_datum = chains_per_datum;
  return a;
}

}  // namespace tarn::test
