// Stacks that one host thread runs in turns, by Boost.Context's assembly; told to the address sanitizer where it is on.
#pragma once

#include <cstddef>

namespace simt {

/// A stack with somebody on it. A default-constructed one stands for the host thread's own stack.
struct Fibre {
  void* context = nullptr;  // where it goes on, while it is away
  const void* bottom = nullptr;
  std::size_t size = 0;
  void* fake_stack = nullptr;  // the sanitizer's
};

/// A fresh stack that will run `body(self)`, which must never return. Never freed: stacks are pooled by who uses them.
Fibre* new_fibre(void (*body)(Fibre& self));
/// Forgets whoever was on the stack; it starts again from the beginning.
void reset(Fibre& fibre, void (*body)(Fibre& self));

/// Runs `to` until somebody switches back to `from`, the caller's own.
void switch_fibre(Fibre& from, Fibre& to);

}  // namespace simt
