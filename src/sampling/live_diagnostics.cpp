#include "tarn/sampling/live_diagnostics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint8_t lost = 1, stuck = 2;
constexpr std::int64_t fewest_looks = 4;
constexpr std::int64_t looks_of_signature = 3;
constexpr std::int64_t shortest_batch = 8;  // means of shorter ones are as good as looks, correlated or not
constexpr double enough_means = 64.0;       // their variance is known to 18 %, the ESS likewise

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// Between means that each stand for n values with this variance inside.
double r_hat_of(double between, double within, double n) { return std::sqrt(between / within + (n - 1.0) / n); }

float value_of_bin(std::int64_t bin) {  // the least value of a bin
  const auto ordered = static_cast<std::uint32_t>(bin) << 16;
  return std::bit_cast<float>((ordered >> 31) != 0 ? ordered & 0x7fffffffu : ~ordered);
}

// Values within a bin are taken to lie evenly.
double quantile(const std::vector<std::uint64_t>& bins, double n, double p) {
  if (n == 0.0) return nan;
  const double rank = p * n;
  double below = 0.0;
  std::int64_t last = 0;
  for (std::int64_t b = 0; b < std::ssize(bins); ++b) {
    const auto count = static_cast<double>(bins[at(b)]);
    if (count == 0.0) continue;
    last = b;
    if (below + count >= rank) {
      const double low = static_cast<double>(value_of_bin(b)), high = static_cast<double>(value_of_bin(b + 1));
      return low + (high - low) * (rank - below) / count;
    }
    below += count;
  }
  return static_cast<double>(value_of_bin(last + 1));
}

template <class Get>
double worst_of(const std::vector<LiveQuantity>& quantities, bool largest, Get&& get) {
  double worst = nan;
  for (const LiveQuantity& q : quantities) {
    const double value = get(q);
    if (std::isnan(value)) return nan;
    if (std::isnan(worst) || (largest ? value > worst : value < worst)) worst = value;
  }
  return worst;
}

}  // namespace

double LiveDiagnostics::worst_r_hat() const {
  return worst_of(quantities, true, [](const LiveQuantity& q) { return q.r_hat; });
}
double LiveDiagnostics::worst_nested_r_hat() const {
  return worst_of(quantities, true, [](const LiveQuantity& q) { return q.nested_r_hat; });
}
double LiveDiagnostics::worst_ess() const {
  return worst_of(quantities, false, [](const LiveQuantity& q) { return q.ess; });
}
double LiveDiagnostics::worst_relative_mcse() const {
  return worst_of(quantities, true, [](const LiveQuantity& q) { return q.mcse / q.deviation; });
}

void LiveSums::Spread::add(double x) {  // Welford 1962
  n += 1.0;
  const double away = x - mean;
  mean += away / n;
  square += away * (x - mean);
}

void LiveSums::Means::add(double x) {
  all.add(x);
  law.add(x);
}

void LiveSums::Means::next_law() {
  square += law.square;
  freedom += std::max(law.n - 1.0, 0.0);
  law = {};
}

LiveSums::LiveSums(const WatchPlan& plan, std::int64_t n_chains, std::int64_t D)
    : n_chains_(n_chains),
      D_(D),
      chains_a_law_(plan.chains_a_law > 0 ? plan.chains_a_law : n_chains),
      n_groups_(n_chains >= 4 && chains_a_law_ >= n_chains ? std::min<std::int64_t>(16, n_chains / 2) : 0),
      quantities_(at(plan.n_quantities(D))),
      sketches_(quantities_.size(), std::vector<std::uint64_t>(at(WatchState::n_bins), 0)),
      modes_(plan.centers.empty() ? 0 : at(plan.centers.rows() + 1), 0) {
  for (Quantity& q : quantities_) {
    q.group_means.resize(at(n_groups_));
    q.inside_groups.resize(at(n_groups_), 0.0);
  }
}

void LiveSums::add_tile(const WatchState& s) {
  require(s.n_quantities == std::ssize(quantities_) && next_chain() + s.n_chains <= n_chains_,
          "live diagnostics: a tile of {} chains and {} quantities does not belong to this run", s.n_chains,
          s.n_quantities);
  require(next_chain() == 0 || s.clock == clock_, "live diagnostics: tiles were looked at {} and {} times",
          clock_.n_looks, s.clock.n_looks);
  clock_ = s.clock;
  const std::int64_t n = s.n_chains, plane = s.n_quantities * n, b = clock_.n_batches, half = b / 2;
  const std::int64_t begin = next_chain(), a_group = n_groups_ > 0 ? n_chains_ / n_groups_ : 1;
  const auto m = static_cast<double>(clock_.batch_length), in_batch = static_cast<double>(clock_.in_batch);
  // n_batches batches from the first on, as one
  struct Part {
    double mean = 0.0, square = 0.0;
  };
  const auto joined = [&](std::int64_t place, std::int64_t first, std::int64_t n_batches) {
    Part part;
    for (std::int64_t k = first; k < first + n_batches; ++k) part.mean += s.batch_mean[at(k * plane + place)];
    part.mean /= static_cast<double>(n_batches);
    for (std::int64_t k = first; k < first + n_batches; ++k) {
      const double apart = s.batch_mean[at(k * plane + place)] - part.mean;
      part.square += s.batch_square[at(k * plane + place)] + m * apart * apart;
    }
    return part;
  };
  for (std::int64_t i = 0; i < n; ++i) {
    if ((begin + i) % chains_a_law_ == 0) {
      for (Quantity& q : quantities_) {
        for (Means* means : {&q.chain_means, &q.whole_means, &q.half_means, &q.batch_means}) means->next_law();
      }
    }
    bool is_lost = false;
    for (std::int64_t q = 0; q < s.n_quantities && clock_.n_looks > 0; ++q) {
      const float last = s.recent[at((clock_.n_looks - 1) % WatchState::n_recent * plane + q * n + i)];
      is_lost = is_lost || !std::isfinite(last);
    }
    // one look without a change may be chance on a line, where a float has few values to go to
    const bool is_stuck =
        !is_lost && clock_.n_looks > 1 && s.still[at(i)] >= std::min<std::int64_t>(2, clock_.n_looks - 1);
    signatures_.push_back(s.hashes[at(i)] + 3 * s.hashes[at(n + i)] + 5 * s.hashes[at(2 * n + i)]);
    flags_.push_back(static_cast<std::uint8_t>((is_lost ? lost : 0) | (is_stuck ? stuck : 0)));
    if (is_lost || clock_.n_looks == 0) continue;
    for (std::int64_t q = 0; q < s.n_quantities; ++q) {
      Quantity& sums = quantities_[at(q)];
      const std::int64_t place = q * n + i;
      Part all = b > 0 ? joined(place, 0, b) : Part{};
      if (b > 0) sums.whole_means.add(all.mean);
      if (in_batch > 0.0) {  // the open batch
        const double full = m * static_cast<double>(b), apart = s.open_mean[at(place)] - all.mean;
        all.square += s.open_square[at(place)] + apart * apart * full * in_batch / (full + in_batch);
        all.mean += apart * in_batch / (full + in_batch);
      }
      sums.chain_means.add(all.mean);
      sums.inside_chains += all.square;
      for (int j = 0; j < WatchState::n_lags; ++j) sums.variogram[j] += s.variogram[at(j * plane + place)];
      for (std::int64_t k = 0; k < b; ++k) sums.batch_means.add(s.batch_mean[at(k * plane + place)]);
      if (half > 0) {  // a middle batch belongs to neither half
        for (const std::int64_t first : {std::int64_t{0}, b - half}) {
          const Part part = joined(place, first, half);
          sums.half_means.add(part.mean);
          sums.inside_halves += part.square;
        }
      }
      if (const std::int64_t group = (begin + i) / a_group; group < n_groups_) {
        sums.group_means[at(group)].add(all.mean);
        sums.inside_groups[at(group)] += all.square;
      }
    }
  }
  for (std::int64_t q = 0; q < s.n_quantities; ++q) {
    std::vector<std::uint64_t>& bins = sketches_[at(q)];
    for (std::int64_t k = 0; k < WatchState::n_bins; ++k) bins[at(k)] += s.sketch[at(q * WatchState::n_bins + k)];
  }
  for (std::size_t k = 0; k < modes_.size(); ++k) modes_[k] += s.modes[k];
}

LiveQuantity LiveSums::judge(const Quantity& q, const std::vector<std::uint64_t>& sketch, double independent) const {
  LiveQuantity out;
  const auto looks = static_cast<double>(clock_.n_looks);
  const double C = q.chain_means.all.n, n = C * looks, laws = C - q.chain_means.degrees();
  out.mean = n > 0.0 ? q.chain_means.all.mean : nan;
  const double variance = n > laws ? (q.inside_chains + looks * q.chain_means.squares()) / (n - laws) : nan;
  out.deviation = std::sqrt(variance);
  out.r_hat = out.nested_r_hat = out.ess = out.mcse = nan;
  std::fill(std::begin(out.autocorrelation), std::end(out.autocorrelation), nan);
  const double counted = static_cast<double>(std::accumulate(sketch.begin(), sketch.end(), std::uint64_t{0}));
  for (std::size_t k = 0; k < std::size(live_probabilities); ++k)
    out.quantiles[k] = quantile(sketch, counted, live_probabilities[k]);
  const auto zero = sketch.begin() + WatchState::n_bins / 2;  // -0 is below it, as a sign
  out.below_zero =
      counted > 0.0 ? static_cast<double>(std::accumulate(sketch.begin(), zero, std::uint64_t{0})) / counted : nan;

  if (n_groups_ > 0 && looks > 0.0) {
    Spread between;
    double within = 0.0;
    for (std::size_t g = 0; g < q.group_means.size(); ++g) {
      const Spread& group = q.group_means[g];
      if (group.n < 2.0) continue;  // the others were lost
      between.add(group.mean);
      within += group.variance() + (looks > 1.0 ? q.inside_groups[g] / (group.n * (looks - 1.0)) : 0.0);
    }
    within /= between.n;
    if (between.n > 1.0 && within > 0.0) out.nested_r_hat = std::sqrt(1.0 + between.variance() / within);
  }
  if (clock_.n_looks < fewest_looks || C == 0.0) return out;

  const double a_half = static_cast<double>(clock_.n_batches / 2 * clock_.batch_length);
  const double within = q.inside_halves / (q.half_means.all.n * (a_half - 1.0));
  if (variance > 0.0) out.r_hat = r_hat_of(q.half_means.variance(), within, a_half);
  for (int j = 0; j < WatchState::n_lags; ++j) {
    const double pairs = C * static_cast<double>(clock_.n_looks - WatchState::lags[j]);
    if (pairs > 0.0 && variance > 0.0) out.autocorrelation[j] = 1.0 - q.variogram[j] / (2.0 * pairs * variance);
  }

  if (!(variance > 0.0 && q.inside_chains > 0.0)) {
    out.ess = 0.0;
    return out;
  }
  // The longest stretches of which there are enough: variance of their means times their length is that of one look's worth.
  const auto length = static_cast<double>(clock_.batch_length), batches = static_cast<double>(clock_.n_batches);
  const Means* means = &q.batch_means;
  double stretch = length;
  const auto enough = [](const Means& m) { return m.degrees() + 1.0 >= enough_means; };
  if (enough(q.whole_means)) {
    means = &q.whole_means;
    stretch = length * batches;
  } else if (enough(q.half_means)) {
    means = &q.half_means;
    stretch = a_half;
  } else if (clock_.batch_length < shortest_batch) {
    return out;
  }
  const double most = n * std::max(std::log10(n), 1.0);
  out.ess = std::min(n * variance / (stretch * means->variance()), most) * independent / C / laws;
  if (out.ess > 0.0) out.mcse = out.deviation / std::sqrt(out.ess);
  return out;
}

void LiveSums::count_duplicates(LiveDiagnostics& out) const {
  // On a line two of many chains may meet by chance, not three times in a row.
  if (clock_.n_looks < (D_ > 1 ? 1 : looks_of_signature)) return;
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < next_chain(); ++i) {
    if ((flags_[at(i)] & lost) == 0) order.push_back(i);
  }
  std::ranges::sort(order, [&](std::int64_t a, std::int64_t b) {
    return std::pair(signatures_[at(a)], a) < std::pair(signatures_[at(b)], b);
  });
  for (std::size_t k = 1; k < order.size(); ++k) {
    if (signatures_[at(order[k])] != signatures_[at(order[k - 1])]) continue;
    ++out.n_duplicate;
    if (out.first_duplicate >= 0 && out.first_duplicate < order[k]) continue;
    out.first_duplicate = order[k];
    out.twin_of_first = order[k - 1];
  }
}

LiveDiagnostics LiveSums::diagnostics() const {
  LiveDiagnostics out;
  out.n_looks = clock_.n_looks;
  out.n_chains = next_chain();
  std::int64_t independent = 0;
  for (std::int64_t i = 0; i < out.n_chains; ++i) {
    const std::uint8_t flags = flags_[at(i)];
    out.n_lost += (flags & lost) != 0 ? 1 : 0;
    independent += flags == 0 ? 1 : 0;
    if ((flags & stuck) == 0) continue;
    ++out.n_stuck;
    if (out.first_stuck < 0) out.first_stuck = i;
  }
  count_duplicates(out);
  // Neither a copy nor a chain that stands still brings draws of its own. Copies that stand still are counted once too often.
  independent = std::max<std::int64_t>(independent - out.n_duplicate, 0);
  for (std::size_t q = 0; q < quantities_.size(); ++q)
    out.quantities.push_back(judge(quantities_[q], sketches_[q], static_cast<double>(independent)));
  if (!modes_.empty()) {
    const double looks = static_cast<double>(std::accumulate(modes_.begin(), modes_.end() - 1, std::uint64_t{0}));
    for (std::size_t k = 0; k + 1 < modes_.size(); ++k)
      out.mode_shares.push_back(looks > 0.0 ? static_cast<double>(modes_[k]) / looks : nan);
    out.mode_changes = looks > 0.0 ? static_cast<double>(modes_.back()) / looks : nan;
  }
  return out;
}

// Integers are well below 2^53, and the bits of signatures travel in two halves.
template <class Self, class Visit>
void LiveSums::for_each_number(Self& self, Visit&& visit) {
  const auto spread = [&](auto& s) {
    visit(s.n);
    visit(s.mean);
    visit(s.square);
  };
  visit(self.clock_.n_looks);
  visit(self.clock_.batch_length);
  visit(self.clock_.n_batches);
  visit(self.clock_.in_batch);
  for (auto& q : self.quantities_) {
    for (auto* means : {&q.chain_means, &q.whole_means, &q.half_means, &q.batch_means}) {
      spread(means->all);
      spread(means->law);
      visit(means->square);
      visit(means->freedom);
    }
    visit(q.inside_chains);
    visit(q.inside_halves);
    for (auto& v : q.variogram) visit(v);
    for (auto& s : q.group_means) spread(s);
    for (auto& v : q.inside_groups) visit(v);
  }
  for (auto& bins : self.sketches_) {
    for (auto& count : bins) visit(count);
  }
  for (auto& count : self.modes_) visit(count);
}

std::vector<double> LiveSums::pack() const {
  std::vector<double> out{static_cast<double>(next_chain())};
  for_each_number(*this, [&](const auto& value) { out.push_back(static_cast<double>(value)); });
  for (std::size_t i = 0; i < signatures_.size(); ++i) {
    out.push_back(static_cast<double>(signatures_[i] >> 32));
    out.push_back(static_cast<double>(signatures_[i] & 0xffffffffu));
    out.push_back(static_cast<double>(flags_[i]));
  }
  return out;
}

void LiveSums::unpack(std::span<const double> numbers) {
  std::size_t n_fixed = 1;
  for_each_number(*this, [&](const auto&) { ++n_fixed; });
  const double n = numbers.empty() ? -1.0 : numbers[0];
  require(
      n >= 0.0 && n <= static_cast<double>(n_chains_) && numbers.size() == n_fixed + 3 * static_cast<std::size_t>(n),
      "live diagnostics: the stored sums are not those of this run");
  std::size_t next = 1;
  for_each_number(*this,
                  [&](auto& value) { value = static_cast<std::remove_reference_t<decltype(value)>>(numbers[next++]); });
  signatures_.clear();
  flags_.clear();
  while (next < numbers.size()) {
    const auto high = static_cast<std::uint64_t>(numbers[next]), low = static_cast<std::uint64_t>(numbers[next + 1]);
    signatures_.push_back(high << 32 | low);
    flags_.push_back(static_cast<std::uint8_t>(numbers[next + 2]));
    next += 3;
  }
}

}  // namespace tarn
