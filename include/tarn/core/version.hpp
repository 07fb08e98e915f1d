// Which tarn this is.
#pragma once

#include <string_view>

namespace tarn {

/// "0.1.0".
std::string_view version();
/// Abbreviated commit, with "-dirty" where the tree had changes, or "unknown" outside a checkout. As of configuring.
std::string_view commit();
/// "g++ 12.2.0, Release".
std::string_view build_description();

}  // namespace tarn
