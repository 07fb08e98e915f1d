// Progress of long work: a bar on a terminal, plain lines now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tarn {

/// Shows how far a piece of work has come, its rate and the time left. Owns one line of the terminal while it lives.
class Progress {
 public:
  /// `total` units of work, named `unit` in the rate ("chain-steps", "steps"). On a terminal the bar is redrawn at most ten times a
  /// second; otherwise a line is printed every `plain_seconds`.
  Progress(std::string title, double total, std::string unit, double plain_seconds = 10.0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// So much was done before: it counts for the share, not for the rate.
  void start_at(double done) { base_ = done; }
  /// `done` units so far; `note` stands behind the time left ("level 3/10, loss 0.412").
  void update(double done, const std::string& note = {});
  /// Seconds since construction.
  double seconds() const;

 private:
  void print();

  std::string title_, unit_, note_;
  double total_, base_ = 0.0, done_ = 0.0, plain_seconds_;
  bool terminal_;
  bool printed_ = false;
  std::chrono::steady_clock::time_point start_, last_print_;
};

/// "12.3 M", "4.56 k": three significant digits with an SI prefix.
std::string si(double value);
/// "3 min 12 s", "0.41 s".
std::string duration(double seconds);

}  // namespace tarn
