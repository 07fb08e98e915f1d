#include "tarn/sampling/stop_rule.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::string_view diagnostics_line = "rhat, nested_rhat, ess, mcse";

double value_of(const LiveDiagnostics& d, std::string_view name) {
  if (name == "rhat") return d.worst_r_hat();
  if (name == "nested_rhat") return d.worst_nested_r_hat();
  if (name == "ess") return d.worst_ess();
  return d.worst_relative_mcse();
}

// Words, numbers and comparison signs; blanks are optional around the signs.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const bool sign = text[0] == '<' || text[0] == '>';
    const std::size_t end = sign ? text.find_first_not_of("<>=") : text.find_first_of(" \t<>=", 1);
    words.push_back(text.substr(0, end));
    text.remove_prefix(words.back().size());
  }
}

std::optional<double> number_in(std::string_view word) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

bool StopRule::holds(const LiveDiagnostics& diagnostics) const {
  for (const Condition& c : conditions) {
    const double value = value_of(diagnostics, c.diagnostic);
    if (!(c.below ? value < c.limit : value > c.limit)) return false;
  }
  return !conditions.empty();
}

bool is_judged(const WatchClock& clock, const StopRule& rule) {
  return clock.is_even() && (!rule.empty() || std::has_single_bit(static_cast<std::uint64_t>(clock.n_looks)));
}

StopRule parse_stop_rule(const std::string& text) {
  StopRule rule;
  const std::vector<std::string_view> words = words_of(text);
  for (std::size_t k = 0; k < words.size(); k += 4) {
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string_view("the end"); };
    StopRule::Condition c;
    c.diagnostic = words[k];
    if (c.diagnostic != "rhat" && c.diagnostic != "nested_rhat" && c.diagnostic != "ess" && c.diagnostic != "mcse")
      fail_usage("\"{}\" is none of {}", words[k], diagnostics_line);
    if (word(k + 1) != "<" && word(k + 1) != ">")
      fail_usage("< or > must follow \"{}\", found {}", words[k], word(k + 1));
    c.below = words[k + 1] == "<";
    const std::optional<double> limit = number_in(word(k + 2));
    if (!limit) fail_usage("a number must follow \"{} {}\", found {}", words[k], words[k + 1], word(k + 2));
    c.limit = *limit;
    const bool rises = c.diagnostic == "ess";
    const std::string comparison = fmt::format("{} {} {}", words[k], words[k + 1], words[k + 2]);
    if (c.below == rises) fail_usage("\"{}\" waits for chains to get worse", comparison);
    rule.conditions.push_back(std::move(c));
    if (k + 3 < words.size() && (words[k + 3] != "and" || k + 4 == words.size()))
      fail_usage("\"and\" and another comparison, or the end, must follow \"{}\", found {}", comparison,
                 words[k + 3] == "and" ? "the end" : words[k + 3]);
  }
  return rule;
}

}  // namespace tarn
