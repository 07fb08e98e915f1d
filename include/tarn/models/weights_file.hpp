// Sampling networks in files: safetensors (tarn's own) and NPZ (for exchange with other programs).
#pragma once

#include <filesystem>
#include <optional>

#include "tarn/io/npz.hpp"
#include "tarn/io/safetensors.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// What the person says about a file that may not say it itself. A file that does say it must agree.
struct WeightsFileHints {
  std::optional<Nonlinearity> nonlinearity = {};
  std::optional<ModelKind> kind = {};
};

/// Arrays of a network, all float32 but for `shift` (float64):
///   reservoir_sampler: W_in `[N, D+U]`, b `[N]`, W_out `[D, N]`;
///   sampler-only:      W `[D, D]`, b `[D]`, gamma `[D]`, S `[D, D]`;
///   rbm, ebm:          W `[N, D]`, b `[N]`, a `[D]`, and of an ebm v `[N]`;
///   where there is one: drift_map `[D, D]`, shift `[D]`.
/// In safetensors the metadata hold tarn_kind, nonlinearity, n_inputs, scale, sigma and of rbm and ebm s, numbers as texts that read back
/// to the same double. In NPZ, which has no texts, scale, sigma and s are float64 arrays of shape `()`; kind and
/// nonlinearity are left out.
TensorFile to_tensors(const SamplingNetwork& network);
NpzArrays to_npz(const SamplingNetwork& network);

/// The other way round. Arrays of float16, bfloat16 and float64 are converted to float32, with a note in the log, as
/// for arrays that are not read. Missing shift, scale and sigma mean 0, 1 and unknown; `U = columns(W_in) -
/// rows(W_out)`. Throws `Error`, naming the file and the array, for a missing array, a shape that does not fit the
/// others, an element type that is not floating, values that are not finite, and metadata out of range; `UsageError`
/// where kind or nonlinearity are known from neither file nor hints, or differ between them.
SamplingNetwork from_tensors(const TensorFile& file, const WeightsFileHints& hints = {});
SamplingNetwork from_npz(const NpzArrays& arrays, const std::string& name, const WeightsFileHints& hints = {});

/// Reads either kind of file, told apart by its first bytes. Throws as above, and `Error` for a file that is neither.
SamplingNetwork load_network(const std::filesystem::path& path, const WeightsFileHints& hints = {});
/// Writes atomically; ".safetensors" or ".npz" decides which. Throws `UsageError` for any other ending, `Error` for a
/// network that does not pass `validate` or a file that cannot be written.
void save_network(const std::filesystem::path& path, const SamplingNetwork& network);

}  // namespace tarn
