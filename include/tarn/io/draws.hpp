// Draws of the chains on disk: closed NetCDF-4 segments while the run goes on, one merged file at the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/core/sink.hpp"
#include "tarn/io/draw_manifest.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {

/// How arrays lie in a NetCDF file.
struct StoragePolicy {
  std::uint64_t segment_bytes = 64ULL << 20;  ///< values in one segment; also the memory that `DrawSegments` holds
  int deflate = 0;  ///< 0: contiguous, not compressed; 1..9: chunks of about 1 MiB, shuffled and deflated
};

/// Some draws of neighbouring chains.
struct DrawSlab {
  std::int64_t first_chain = 0, n_chains = 0;
  std::int64_t first_draw = 0, n_draws = 0;
  MatrixView<const float> x;  ///< `[n_chains * n_draws, D]`, draws of a chain in a row
};
/// One number a draw, `out` `[n_chains * n_draws]`.
using DrawStatistic = std::function<void(const DrawSlab& draws, std::span<float> out)>;

/// What is known of each chain at the end.
struct ChainSummary {
  std::vector<std::int64_t> first_bad_step;           ///< one a chain recorded here, in order; -1: well to the end
  std::map<std::string, std::vector<double>> extras;  ///< name -> one number a chain
  std::map<std::string, DrawStatistic> of_draws =
      {};  ///< name -> one number a draw, e.g. "score_norm"; draws are read back for them
};

enum class OpenMode {
  create,  ///< the folder must hold no draws yet
  resume   ///< closed segments are kept; draws that they hold already are skipped when they come again
};

/// Writes draws to `<directory>/part-000000.nc ...`. Each segment holds x(chain, draw, dim) as float32, and
/// activity(chain, draw, recorded) where `n_recorded > 0` (NaN for draws without a recording), with coordinates chain,
/// draw, step and time. It is written under a temporary name, closed, synced, renamed, and only then listed with its
/// XXH3 in manifest.json. Segment boundaries depend on sizes only, so a resumed run writes the same files as an
/// unbroken one.
class DrawSegments final : public Sink {
 public:
  /// Throws `Error` for sizes that make no sense, a folder that cannot be written, or (create) one that holds draws
  /// already, (resume) one whose manifest has another layout.
  DrawSegments(std::filesystem::path directory, DrawLayout layout, Attributes attributes = {},
               StoragePolicy policy = {}, OpenMode mode = OpenMode::create);
  ~DrawSegments() override;

  /// For each block of chains, draws must come from 0 on without gaps (after a resume: from `next_draw` or earlier);
  /// blocks must not overlap. Throws `Error`.
  void take(const DrawBlock& block) override;
  /// Closes the open segment and writes sample_stats.nc. Without it the closed segments stay readable, but the run is
  /// unfinished, and what is in the open segment is lost. Throws `Error` where the summary does not fit.
  void finish(const ChainSummary& summary);

  /// First draw of this block that no closed segment holds: a resumed run must send its draws from here or earlier.
  std::int64_t next_draw(std::int64_t first_chain, std::int64_t n_chains) const;
  /// Draws in one segment for blocks of this many chains.
  std::int64_t draws_per_segment(std::int64_t n_chains) const;
  const DrawManifest& manifest() const;

  /// The draws of the open segment, for a checkpoint, as tensors `open.*`; none where no segment is open.
  void put_open_segment(TensorFile& file) const;
  /// Takes them back, before any draw comes: draws then go on behind them. Where a closed segment holds them already,
  /// nothing is taken. Throws `Error` where they do not fit.
  void take_open_segment(const TensorFile& file);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads `<directory>/manifest.json`. Throws `Error`.
DrawManifest read_manifest(const std::filesystem::path& directory);

/// Final draws mapped back to images, for the group /images.
struct DecodedImages {
  MatrixView<const float> values;  ///< `[n_chains, rows * cols * channels]`, channel innermost
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t channels = 1;  ///< 1: decoded(chain, row, column); more: decoded(chain, row, column, channel)
};

/// What chains were given, for the group /observed_data: `name(datum, unit)`.
struct ObservedData {
  std::string name;
  MatrixView<const float> values;  ///< `[n_data, n_units]`
};

struct MergeOptions {
  Attributes attributes;                ///< of the file, beside those that all manifests agree on
  std::optional<double> sampling_time;  ///< seconds; left out by default, so that equal runs give equal bytes
  std::string created_at = {};          ///< ISO 8601; likewise
  std::optional<DecodedImages> images;
  std::optional<ObservedData> observed = {};
  StoragePolicy storage;  ///< `segment_bytes` bounds the memory of the pass
};

/// Writes `out` (NetCDF-4, atomically) from the segments of one or several folders in one pass: groups /posterior with
/// x(chain, draw, dim) and /sample_stats with first_bad_step(chain), diverging(chain, draw) (1 where the draw is not
/// finite) and what else the summary has of chains and draws, named as ArviZ's InferenceData wants them; /images and /observed_data
/// where asked for. The file's attributes stand at /posterior too, where ArviZ shows them. Every segment's XXH3 is checked before NetCDF opens it. Throws `Error` naming the chains that are missing or stand twice,
/// unfinished folders, and damaged segments.
void merge_draws(const std::vector<std::filesystem::path>& directories, const std::filesystem::path& out,
                 const MergeOptions& options = {});

/// The first thing in which two NetCDF files differ, e.g. "/posterior/x"; "" where they hold the same groups, dimensions, attributes and
/// values bit for bit, but for the attributes `sampling_time` and `created_at`, which hold the time of day. Throws `Error` where a file
/// cannot be read.
std::string difference_but_times(const std::filesystem::path& a, const std::filesystem::path& b);

/// The time of day in UTC, as ArviZ writes `created_at`: "2026-11-26T23:27:00+00:00".
std::string time_of_day();

/// Reads draws from a merged file.
class DrawReader {
 public:
  /// Throws `Error` where the file cannot be opened or is not of the layout that `merge_draws` writes.
  explicit DrawReader(const std::filesystem::path& path);
  ~DrawReader();
  DrawReader(const DrawReader&) = delete;
  DrawReader& operator=(const DrawReader&) = delete;

  std::int64_t n_chains() const;
  std::int64_t n_draws() const;
  std::int64_t n_dims() const;
  /// `[n_draws]`: chain-steps taken before each draw, and integrated time in units of tau.
  std::vector<std::int64_t> steps() const;
  std::vector<double> times() const;
  /// `[n_chains]`
  std::vector<std::int64_t> first_bad_step() const;
  /// All chains at one draw, `[n_chains, D]`; draws count from the end where negative (-1: the last).
  Matrix<float> draw(std::int64_t draw) const;
  /// Chains `begin .. end - 1` over all draws, `[(end - begin) * n_draws, D]`, draws of a chain in a row.
  Matrix<float> chains(std::int64_t begin, std::int64_t end) const;

  /// Neurons and projections that were recorded; 0 where nothing was.
  std::int64_t n_recorded() const;
  /// Their activity, `[(end - begin) * n_draws, n_recorded]`, laid out as `chains`; NaN where a draw has no recording. Throws `Error` where
  /// nothing was recorded.
  Matrix<float> recorded(std::int64_t begin, std::int64_t end) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tarn
