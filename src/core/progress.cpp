#include "tarn/core/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tarn {

std::string si(double value) {
  static constexpr const char* prefixes[] = {"", " k", " M", " G", " T", " P"};
  std::size_t i = 0;
  while (std::abs(value) >= 999.5 && i + 1 < std::size(prefixes)) {
    value /= 1000.0;
    ++i;
  }
  return fmt::format("{:.3g}{}", value, prefixes[i]);
}

std::string duration(double seconds) {
  if (!(seconds >= 0.0)) return "?";
  if (seconds < 9.95) return fmt::format("{:.2g} s", seconds);
  if (seconds < 59.5) return fmt::format("{:.0f} s", seconds);
  const auto whole = static_cast<long>(std::min(seconds, 1e9) + 0.5);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

Progress::Progress(std::string title, double total, std::string unit, double plain_seconds)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(std::max(total, 1.0)),
      plain_seconds_(plain_seconds),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      last_print_(start_) {}

Progress::~Progress() {
  if (terminal_ && printed_) std::fputs("\r\033[K", stderr);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::update(double done, const std::string& note) {
  done_ = done;
  note_ = note;
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_print_).count();
  if (since < (terminal_ ? 0.1 : plain_seconds_)) return;
  last_print_ = now;
  print();
}

void Progress::print() {
  printed_ = true;
  const double share = std::clamp(done_ / total_, 0.0, 1.0), elapsed = seconds();
  const double rate = elapsed > 0.0 ? (done_ - base_) / elapsed : 0.0;
  const std::string left = rate > 0.0 ? duration(std::max(total_ - done_, 0.0) / rate) : "?";
  const std::string tail = note_.empty() ? "" : ", " + note_;
  if (!terminal_) {
    std::fputs(
        fmt::format("{} {:3.0f}%  {} {}/s, {} left{}\n", title_, 100 * share, si(rate), unit_, left, tail).c_str(),
        stderr);
    return;
  }
  constexpr std::size_t width = 24;
  const auto filled = static_cast<std::size_t>(share * width);
  std::fputs(fmt::format("\r\033[K{} [{}{}] {:3.0f}%  {} {}/s, {} left{}", title_, std::string(filled, '='),
                         std::string(width - filled, ' '), 100 * share, si(rate), unit_, left, tail)
                 .c_str(),
             stderr);
}

}  // namespace tarn
