// Choice by measurement (docs/gpu.md): which way is the fastest for these sizes, measured once, before its first use.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "handles.hpp"
#include "tarn/compute/tuning.hpp"

namespace tarn::cuda {

/// The ways to do one operation at given sizes, each named by a text without line breaks.
class Ways {
 public:
  virtual ~Ways() = default;
  /// All that are worth a trial; the first is taken without measuring.
  virtual std::vector<std::string> candidates() = 0;
  /// Whether a name from elsewhere is one of a way that works here.
  virtual bool is_usable(const std::string& way) = 0;
  /// Memory that trials may write, so that what the operation works on stays as it is. Throws `Error` where there is none.
  virtual void reserve() = 0;
  /// Puts a trial into the stream. Throws `Error` where the way does not work after all.
  virtual void enqueue(const std::string& way) = 0;
};

/// Median milliseconds of each candidate's trial, measured in turns; infinity for one that does not work or is far behind. Waits for the stream.
std::vector<double> trial_times(Ways& ways, const std::vector<std::string>& candidates, StreamHandle stream);

class Tuner {
 public:
  bool is_on() const { return is_on_; }
  void begin(const Tuning& tuning);
  TuningSummary summary() const;

  /// Products, with or without what follows them, differ in rounding; kernels do not.
  enum class Kind { product, layer, kernel };
  /// The way to take from here on: what was chosen before, else what the tuning says, else the fastest, if it is more than 3 % faster than the first.
  /// Measures nothing while the stream records, nor where there is no memory for it: the first way then. Throws `Error` where a binding choice
  /// cannot be used.
  std::string choose(Kind kind, const std::string& key, Ways& ways, StreamHandle stream);

 private:
  struct Chosen {
    Kind kind;
    Choice choice;
    bool measured = false, bound = false;
  };
  Chosen decide(Kind kind, const std::string& key, Ways& ways, StreamHandle stream);

  bool is_on_ = false;
  Tuning tuning_;
  std::map<std::string, Chosen> chosen_;
};

}  // namespace tarn::cuda
