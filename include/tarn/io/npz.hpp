// NumPy's .npz files: a zip archive with one .npy a name.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tarn/io/npy.hpp"

namespace tarn {

/// name (without ".npy") -> array
using NpzArrays = std::map<std::string, NpyArray>;

/// Reads all arrays. Throws `Error` for a damaged archive, a name that stands twice, encryption, a compression numpy
/// does not use, entries that are not readable arrays, or more than `max_bytes` when inflated, all entries together
/// (checked before allocating).
NpzArrays read_npz(const std::filesystem::path& path, std::uint64_t max_bytes = default_inflate_limit());
NpzArrays parse_npz(ByteView data, const std::string& name, std::uint64_t max_bytes = default_inflate_limit());

/// The bytes of an archive: entries stored without compression in order of name, with a fixed date, so that the same
/// arrays give the same bytes.
Bytes encode_npz(const NpzArrays& arrays);
/// Written atomically. Throws `Error`.
void write_npz(const std::filesystem::path& path, const NpzArrays& arrays);

}  // namespace tarn
