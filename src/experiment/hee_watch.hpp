// Live diagnostics of the chains of an HEE run (docs/diagnostics.md): what is looked at, and when.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/hee_stages.hpp"
#include "tarn/sampling/chain_engine.hpp"
#include "tarn/sampling/live_diagnostics.hpp"

namespace tarn {

/// What a run's chains are looked at for, by `sampling.diagnostics`: posterior chains at their latents, the chains of one datum among themselves;
/// generating ones at `x_0`: while joint and marginal chains run, of layer by layer at the end, of ancestral draws not at all. `centers` are modes
/// of the data in scaled filter space.
HeeLooks hee_looks(const Config& config, const HeeParameters& model, const Matrix<float>& centers);

/// A rule judges all chains at a time, which must fit into memory then. Throws `UsageError` where they would take more than 8 GiB.
void check_rule_has_room(const Config& config);
/// Units of a chain that are looked at; 0 where nothing is.
std::int64_t watched_size(const HeeLooks& looks, const HeeParameters& model);
/// "layer 1, unit 0", ..., "|x|^2".
std::vector<std::string> watched_names(const HeeLooks& looks, const HeeParameters& model);

/// The looks at a run's chains, tile after tile.
class HeeWatch {
 public:
  HeeWatch(HeeLooks looks, std::int64_t n_chains, std::int64_t n_watched);
  /// Goes on where the checkpoint stands. Throws `Error` where that is not of this run.
  void restore(const SamplingPosition& at, HeeSession* session);
  void begin_tile(HeeSession* session);
  /// Whether the chains were looked at, `done` steps from their start.
  bool look(std::int64_t done);
  void end_tile();
  /// Into a checkpoint. Of a tile that has not begun or has ended there is nothing but what the tiles before left.
  void put(SamplingPosition& at, bool within_tile) const;

  const HeeLooks& looks() const { return looks_; }
  const WatchClock& clock() const { return clock_; }
  /// Of the tiles that have ended and the present one.
  LiveSums sums_so_far() const;
  const LiveSums& sums() const { return sums_; }

 private:
  HeeLooks looks_;
  LiveSums sums_;
  HeeSession* session_ = nullptr;
  WatchClock clock_;
};

}  // namespace tarn
