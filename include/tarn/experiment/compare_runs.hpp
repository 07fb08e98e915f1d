// Several runs on one page: figures of merit side by side, what their configs differ in, curves on common axes, grids beside each other.
#pragma once

#include <filesystem>
#include <vector>

namespace tarn {

/// Writes `comparison.html` and its figures into the new folder `out`, and returns the page's path. Runs that have not ended take part and are
/// called unfinished. Throws `UsageError` for fewer than two runs and `Error` where a folder is no run or `out` exists.
std::filesystem::path compare_runs(const std::vector<std::filesystem::path>& runs, const std::filesystem::path& out);

}  // namespace tarn
