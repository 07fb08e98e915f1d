// Orders that the machine leaves open.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace simt {

/// 0: natural.
inline std::uint64_t order_seed = 0;
inline std::uint64_t order_state = 0;

inline bool shuffled() { return order_seed != 0; }
/// Below `n`.
inline std::size_t any_below(std::size_t n) {  // splitmix64
  std::uint64_t z = (order_state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<std::size_t>((z ^ (z >> 31)) % n);
}
template <class T>
void shuffle_all(std::vector<T>& items) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[any_below(i)]);
}

}  // namespace simt
