#include "copies.hpp"

#include <cstring>
#include <vector>

#include "order.hpp"

namespace simt {
namespace {

struct Copy {
  std::uint64_t* barrier;
  void* to;
  const void* from;
  std::size_t bytes;
};
// Of the block that runs.
std::vector<Copy> under_way;
std::uint64_t block_of_copies = 0;

void make(const Copy& copy) {
  std::memcpy(copy.to, copy.from, copy.bytes);
  ++*copy.barrier;
}

}  // namespace

void begin_copy(std::uint64_t* barrier, void* to, const void* from, std::size_t bytes) {
  if (block_of_copies != block_number) under_way.clear();
  block_of_copies = block_number;
  const Copy copy{barrier, to, from, bytes};
  if (shuffled() && any_below(2) == 0) return make(copy);
  under_way.push_back(copy);
}

void wait_for_copy(std::uint64_t* barrier, unsigned copy, const Site& site) {
  for (int turns = 0; *barrier <= copy; ++turns) {
    bool began = false;
    for (std::size_t i = 0; i < under_way.size(); ++i) {
      if (block_of_copies != block_number || under_way[i].barrier != barrier) continue;
      make(under_way[i]);
      under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(i));
      began = true;
      break;
    }
    if (!began) let_others_run(turns, site);
  }
}

}  // namespace simt
