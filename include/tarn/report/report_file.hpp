// What a page is made of, as a file beside its figures: the same for equal runs, so that the page can be made again, or put beside others.
#pragma once

#include <filesystem>

#include "tarn/report/html_report.hpp"

namespace tarn {

/// JSON, atomically. Figures are named from the file's folder, in which they must lie. Throws `Error`.
void save_report(const std::filesystem::path& path, const Report& report);

/// The way back; figures get their full paths. Throws `Error` for a file that is not of this layout, or that names a figure outside its own
/// folder.
Report load_report(const std::filesystem::path& path);

}  // namespace tarn
