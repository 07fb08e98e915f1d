#include "small_network.hpp"

namespace tarn::cpu {

SmallNetwork::SmallNetwork(const NetworkView& n)
    : n_outputs(n.n_outputs), n_columns(n.n_outputs + n.n_inputs), n_neurons(n.n_neurons), phi(n.phi) {
  records.reserve(static_cast<std::size_t>(n_neurons * (n_columns + 1 + n_outputs)));
  std::int64_t count = 0;
  for (int p = 0; p < partial_sums; ++p) {
    first[p] = count;
    for (std::int64_t j = p; j < n_neurons; j += partial_sums, ++count) {
      records.insert(records.end(), n.W_in + j * n_columns, n.W_in + (j + 1) * n_columns);
      records.push_back(n.b[j]);
      for (std::int64_t d = 0; d < n_outputs; ++d) records.push_back(n.W_out[d * n_neurons + j]);
    }
  }
  first[partial_sums] = count;
  if (n.c) c.assign(n.c, n.c + n_outputs);
  if (n.M) M.assign(n.M, n.M + n_outputs * n_outputs);
}

}  // namespace tarn::cpu
