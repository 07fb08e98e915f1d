#include "epoch_sorter.hpp"

#include "algorithms.hpp"
#include "epoch_keys.hpp"

namespace tarn::cuda {

EpochSorter::EpochSorter(std::int64_t n)
    : n_(n),
      keys_(n),
      sorted_keys_(n),
      rows_(n),
      order_(n),
      temporary_(static_cast<std::int64_t>(sort_by_key_bytes(n))) {}

void EpochSorter::sort(const EpochOrder& rule, std::int64_t epoch, StreamHandle stream) {
  if (epoch == epoch_ && rule == rule_) return;
  epoch_ = -1;  // until the work is in the stream
  launch_epoch_keys(rule.seed, rule.stream, n_, epoch, keys_.data(), rows_.data(), stream);
  sort_by_key(keys_.data(), sorted_keys_.data(), rows_.data(), order_.data(), n_, temporary_.data(), temporary_.bytes(),
              stream);
  rule_ = rule;
  epoch_ = epoch;
}

std::vector<std::int64_t> epoch_order_on_device(Context& context, const EpochOrder& rule, std::int64_t n,
                                                std::int64_t epoch) {
  EpochSorter sorter(n);
  sorter.sort(rule, epoch, context.stream.handle());
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  copy_async(order.data(), sorter.order(), n, context.stream.handle());
  context.stream.synchronize();
  return order;
}

}  // namespace tarn::cuda
