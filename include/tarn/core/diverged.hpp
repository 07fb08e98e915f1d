// Training that ran away: an error of its own, so that studies which count such runs take no other error for one.
#pragma once

#include "tarn/core/error.hpp"

namespace tarn {

/// Weights, losses or states of training are no longer finite. Exit code 1.
class Diverged final : public Error {
 public:
  using Error::Error;
};

/// Throws `Diverged` with a formatted one-line message.
template <class... Args>
[[noreturn]] void fail_diverged(fmt::format_string<Args...> format, Args&&... args) {
  throw Diverged(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tarn
