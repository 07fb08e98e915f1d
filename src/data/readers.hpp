// What the readers of data sets share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "tarn/data/dataset.hpp"

namespace tarn::data {

/// Items to keep of those a file has. Throws `Error` where it has none, `UsageError` where none may be kept.
std::int64_t kept_items(std::uint64_t n_available, const ReadOptions& options, const std::string& name);

/// Throws `Error` naming the first row and column that is not finite.
void require_finite(MatrixView<const float> x, const std::string& name);

/// The first `n` rows; `x` itself where it has no more.
Matrix<float> first_rows(Matrix<float> x, std::int64_t n);

/// `folder / name`, or the same with ".gz"; empty where neither exists.
inline std::filesystem::path find_plain_or_gzip(const std::filesystem::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    auto path = folder / (name + suffix);
    if (std::filesystem::is_regular_file(path)) return path;
  }
  return {};
}

}  // namespace tarn::data
