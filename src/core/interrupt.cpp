#include "tarn/core/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace tarn {
namespace {

std::atomic<int> noted{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

extern "C" void note_signal(int signal) { noted.store(signal, std::memory_order_relaxed); }

}  // namespace

const char* Interrupted::what() const noexcept {
  switch (signal_) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    default:
      return "SIGUSR1";
  }
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART | SA_RESETHAND;  // the second one meets the default: an end at once
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
}

int noted_signal() { return noted.load(std::memory_order_relaxed); }

void stop_if_interrupted() {
  if (const int signal = noted_signal()) throw Interrupted(signal);
}

}  // namespace tarn
