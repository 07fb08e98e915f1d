#include "small_trial.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "tarn/core/error.hpp"

namespace tarn::cuda {
namespace {

// A trial's length: a millisecond at 2e13 operations a second, or, with few chains, long enough for its launch not to matter.
constexpr double trial_operations = 2e10;
constexpr std::int64_t fewest_steps = 4, most_steps = 40;

std::string name_of(const SmallVariant& v) { return fmt::format("{}x{}x{}", v.lanes, v.chains, v.block); }

// Nothing where the text is none.
std::optional<SmallVariant> variant_of(const std::string& name) {
  SmallVariant v;
  const char *at = name.data(), *end = name.data() + name.size();
  for (int* number : {&v.lanes, &v.chains, &v.block}) {
    const auto read = std::from_chars(at, end, *number);
    if (read.ec != std::errc{}) return std::nullopt;
    at = read.ptr < end ? read.ptr + 1 : end;
  }
  return name_of(v) == name ? std::optional(v) : std::nullopt;
}

class SmallWays final : public Ways {
 public:
  SmallWays(const SmallDeviceNetwork& network, const LangevinSteps& steps, const DeviceChains& chains,
            const Context& context)
      : network_(network), steps_(steps), chains_(chains), context_(context) {
    const SmallLayout& l = network.layout;
    const double a_step = static_cast<double>(chains.n) * l.n_neurons * (l.K + l.D + 2);
    steps_.n_steps = std::clamp(static_cast<std::int64_t>(trial_operations / a_step), fewest_steps, most_steps);
  }

  std::vector<std::string> candidates() override {
    std::vector<std::string> names;
    for (const SmallVariant& v : ranked_small_variants(network_, chains_.n, context_.info)) names.push_back(name_of(v));
    return names;
  }
  bool is_usable(const std::string& way) override {
    const auto variant = variant_of(way);
    return variant && is_small_variant(network_, *variant);
  }
  void reserve() override {
    const StreamHandle stream = context_.stream.handle();
    const auto copied = [&](auto& to, auto*& of, std::int64_t size) {
      if (of == nullptr) return;
      to.reserve(size);
      copy_async(to.data(), std::as_const(of), size, stream);
      of = to.data();
    };
    copied(x_, chains_.x, chains_.n * network_.layout.D);
    copied(v_, chains_.v, chains_.n * network_.layout.D);
    copied(first_bad_step_, chains_.first_bad_step, chains_.n);
  }
  void enqueue(const std::string& way) override {
    advance_small(network_, steps_, chains_, context_.info, context_.stream.handle(), variant_of(way));
  }

 private:
  const SmallDeviceNetwork& network_;
  LangevinSteps steps_;
  DeviceChains chains_;  // what they write lies in memory of the trial once that is reserved
  const Context& context_;
  DeviceBuffer<float> x_, v_;
  DeviceBuffer<std::int64_t> first_bad_step_;
};

}  // namespace

std::optional<SmallVariant> measured_small_variant(const SmallDeviceNetwork& network, const LangevinSteps& steps,
                                                   const DeviceChains& chains, Context& context) {
  if (!context.tuner.is_on()) return std::nullopt;
  const SmallLayout& l = network.layout;
  const std::string key = fmt::format(
      "small chains {}, D {}, U {}, N {}, {} chains{}{}", tarn::name_of(network.phi), l.D, l.K - l.D, l.n_neurons,
      chains.n, steps.integrator == Integrator::baoab ? ", momentum" : "", chains.clamp ? ", clamps" : "");
  SmallWays ways(network, steps, chains, context);
  return variant_of(context.tuner.choose(Tuner::Kind::kernel, key, ways, context.stream.handle()));
}

}  // namespace tarn::cuda
