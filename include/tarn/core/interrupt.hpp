// Signals that ask a run to save and stop: SIGINT (Ctrl-C), SIGTERM and SIGUSR1 (job schedulers).
#pragma once

#include <exception>

namespace tarn {

/// Thrown between two steps once a signal has asked for an end, after what must be saved was saved. Not an `Error`:
/// nothing went wrong.
class Interrupted final : public std::exception {
 public:
  explicit Interrupted(int signal) : signal_(signal) {}
  int signal() const { return signal_; }
  /// "SIGINT", "SIGTERM", "SIGUSR1"
  const char* what() const noexcept override;

 private:
  int signal_;
};

/// From now on the first such signal is only noted, and a second one ends the program at once. A library that embeds
/// tarn need not call this: without it signals do what they did before.
void catch_signals();
/// The signal that was noted, or 0.
int noted_signal();
/// Throws `Interrupted` where a signal was noted.
void stop_if_interrupted();

}  // namespace tarn
