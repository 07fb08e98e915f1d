// Hierarchical exponential-family models in files (safetensors).
#pragma once

#include <filesystem>

#include "tarn/compute/hee.hpp"
#include "tarn/core/affine_scaling.hpp"
#include "tarn/io/safetensors.hpp"

namespace tarn {

/// A model and the space it lives in.
struct HeeModel {
  HeeParameters parameters;
  AffineScaling scaling;  ///< of the observation: what the data's shift and scale were
};

/// Whether a file says that it holds such a model.
bool is_hee_file(const TensorFile& file);

/// Arrays W1 `[n_0, n_1]`, ..., b0 `[n_0]`, ... in float32, and shift `[n_0]` in float64 where there is one. The metadata hold tarn_kind =
/// "hee", n_layers, scale, and for each layer l what its config table says: layer_l_family, layer_l_s, ..., layer_l_nonlinearity; numbers
/// as texts that read back to the same double.
TensorFile to_tensors(const HeeModel& model);

/// The other way round; arrays of other floating types are converted to float32 with a note in the log. Throws `Error`, naming the file
/// and the array or the metadata, where something is missing, of another shape, not finite or out of its range.
HeeModel hee_from_tensors(const TensorFile& file);

/// Throws as above.
HeeModel load_hee(const std::filesystem::path& path);
/// Writes atomically. Throws `UsageError` for another ending than ".safetensors".
void save_hee(const std::filesystem::path& path, const HeeModel& model);

}  // namespace tarn
