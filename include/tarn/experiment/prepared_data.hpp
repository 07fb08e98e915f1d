// From the [data] and [filter] tables to what training and sampling need: rows in scaled filter space, and the way
// back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tarn/core/batch_source.hpp"
#include "tarn/core/target.hpp"
#include "tarn/data/dataset.hpp"
#include "tarn/data/filter.hpp"
#include "tarn/data/patches.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/experiment/config.hpp"

namespace tarn {

/// Units, from outside in: the data's own; after the scaling of each datum; filter space; scaled filter space, where
/// networks live.
struct PreparedData {
  std::string description;                      ///< one line: what it is, how much, what was done to it
  std::shared_ptr<const Target> target;         ///< synthetic laws, else null
  std::shared_ptr<const PatchBatches> patches;  ///< where batches are cut from images, else null
  std::optional<ImageShape> image;
  DatumScaling datum_scaling;
  std::shared_ptr<const Filter> filter;
  AffineScaling scaling;
  std::int64_t n_outputs = 0, n_inputs = 0;  ///< D, U
  Matrix<float>
      rows;  ///< `[n, D+U]` scaled filter space; of synthetic laws and patches a sample of `data.epoch_size`, at most 10^5
  std::vector<int> labels;    ///< `[n]` or empty
  double largest_norm = 0.0;  ///< over the rows' first D columns
  std::uint64_t seed = 0;
  std::int64_t epoch_size = 0;

  /// Training batches.
  std::unique_ptr<BatchSource> batches() const;
  /// Rows `[n, D]` of scaled filter space to the data's own units `[n, P]` (unit_norm keeps no norms: images stay at
  /// unit norm).
  Matrix<float> to_data_units(MatrixView<const float> x) const;
};

/// The synthetic law of the [data] table. Throws `UsageError` where its parameters make none.
std::shared_ptr<const Target> make_target(const DataConfig& data);

/// Reads or draws the data, fits scalings and filter. Throws `UsageError` or `Error`.
PreparedData prepare_data(const Config& config);
/// The same with the scalings and the filter of `maps` (a run's own, `load_data_maps`) in place of fitting them anew, which
/// for learned filters takes minutes. Synthetic laws are prepared as before.
PreparedData prepare_data_with(const PreparedData& maps, const Config& config);
/// As the first, for a data set that is in memory already, without inputs. Of the [data] table only `scaling` is looked at.
PreparedData prepare_data(const Config& config, Dataset set);

/// What recipes want to know.
DataFacts facts_of(const PreparedData& data);

/// Scalings and filter alone, in and out of a run folder (`data.safetensors`): enough to map samples back without the
/// data.
void save_data_maps(const PreparedData& data, const std::filesystem::path& path);
PreparedData load_data_maps(const std::filesystem::path& path);

}  // namespace tarn
