#include "block.hpp"

#include <fmt/format.h>

#include <exception>
#include <vector>

#include "fibre.hpp"
#include "include/cuda_runtime.h"
#include "order.hpp"
#include "shared.hpp"
#include "simt.hpp"

namespace simt {
namespace {

enum class State : std::uint8_t { fresh, ready, running, at_barrier, in_warp, left };

struct Thread {
  State state = State::fresh;
  Fibre* fibre = nullptr;
  uint3 index{};
  Site site{};              // where it waits
  unsigned mask = 0;        // for whom, in a warp
  std::uint64_t value = 0;  // what it brings, then what it gets
  int source = 0;
};

// Lanes of a warp that wait in the same collective with the same mask.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  Site site{};
};

// The block that runs. One at a time, so that its state is plain.
struct Block {
  const Grid* grid = nullptr;
  uint3 index{};
  std::vector<Thread> threads;
  std::vector<std::uint32_t> ready;  // a queue where the order is natural
  std::size_t head = 0;
  std::size_t n_left = 0, n_at_barrier = 0;
  int barrier_sum = 0, barrier_result = 0;
  std::vector<std::vector<Meeting>> meetings;  // of each warp
  std::uint32_t current = 0;
  Fibre host;
  std::exception_ptr error;
};
Block& block = *new Block;                // never destroyed: what runs at the end of the program may still launch
auto& fibres = *new std::vector<Fibre*>;  // all of them
auto& idle = *new std::vector<Fibre*>;

bool same(const Site& a, const Site& b) { return a.line == b.line && a.file == b.file && a.what == b.what; }

std::string place(const Site& site) {
  const std::string_view file(site.file);
  return fmt::format("{} in {} at {}:{}", site.what, site.function, file.substr(file.rfind('/') + 1), site.line);
}
std::string name_of(const uint3& index) { return fmt::format("({}, {}, {})", index.x, index.y, index.z); }
std::string name_of(const Thread& thread) { return "thread " + name_of(thread.index); }

[[noreturn]] void block_fault(const std::string& what) {
  throw Fault(fmt::format("kernel {}, block {}: {}", describe(*block.grid), name_of(block.index), what));
}

void make_ready(std::uint32_t thread) {
  block.threads[thread].state = State::ready;
  block.ready.push_back(thread);
}

// The next thread to run; -1 if nobody can.
std::int64_t take_ready() {
  if (block.head == block.ready.size()) return -1;
  if (shuffled()) {  // anybody
    const std::size_t i = any_below(block.ready.size());
    const std::uint32_t thread = block.ready[i];
    block.ready[i] = block.ready.back();
    block.ready.pop_back();
    return thread;
  }
  const std::uint32_t thread = block.ready[block.head++];
  if (block.head == block.ready.size()) block.ready.clear(), block.head = 0;
  return thread;
}

// Nobody can go on, and not all have left.
std::string why_stuck() {
  const Thread *waiting = nullptr, *left = nullptr;
  for (std::size_t i = 0; i < block.threads.size(); ++i) {
    const Thread& thread = block.threads[i];
    if (thread.state == State::in_warp) {
      const std::size_t first = i / 32 * 32;
      for (std::size_t lane = 0; lane < 32; ++lane) {
        if (!(thread.mask >> lane & 1u)) continue;
        const Thread& other = block.threads[first + lane];  // `meet` saw that it exists
        const std::string begin =
            fmt::format("{} waits in {} for lane {}, ", name_of(thread), place(thread.site), lane);
        if (other.state == State::left) return begin + "which has left the kernel";
        if (other.state == State::at_barrier) return begin + "which waits at the " + place(other.site);
        if (!same(other.site, thread.site)) return begin + "which waits in " + place(other.site);
        if (other.mask != thread.mask)
          return begin +
                 fmt::format("which is there with another mask, {:#010x}, not {:#010x}", other.mask, thread.mask);
      }
    }
    if (thread.state == State::at_barrier && !waiting) waiting = &thread;
    if (thread.state == State::left && !left) left = &thread;
  }
  if (waiting && left)
    return fmt::format("{} has left the kernel while {} waits at the {}", name_of(*left), name_of(*waiting),
                       place(waiting->site));
  return "its threads wait for each other";
}

void set_builtins(const Thread& thread) { threadIdx = thread.index; }

Fibre* idle_fibre();

// Leaves the calling fibre for whoever comes next. `self` goes on when it is its turn again (never, if it was put away).
void go_on(Fibre& self) {
  const std::int64_t next = take_ready();
  if (next < 0) {
    if (block.n_left < block.threads.size()) {
      try {
        block_fault(why_stuck());
      } catch (...) {
        block.error = std::current_exception();
      }
    }
    switch_fibre(self, block.host);
    return;
  }
  block.current = static_cast<std::uint32_t>(next);
  Thread& thread = block.threads[block.current];
  const bool fresh = thread.fibre == nullptr;
  if (fresh) thread.fibre = idle_fibre();
  thread.state = State::running;
  set_builtins(thread);
  if (thread.fibre != &self) switch_fibre(self, *thread.fibre);
}

// A fibre runs one thread after another: kernels without barriers need only one fibre.
void run_threads(Fibre& self) {
  for (;;) {
    try {
      block.grid->body(block.grid->args);
    } catch (...) {
      block.error = std::current_exception();
    }
    block.threads[block.current].state = State::left;
    ++block.n_left;
    idle.push_back(&self);
    if (block.error) {
      switch_fibre(self, block.host);
    } else {
      go_on(self);
    }
  }
}

Fibre* idle_fibre() {
  if (idle.empty()) {
    fibres.push_back(new_fibre(run_threads));
    return fibres.back();
  }
  Fibre* fibre = idle.back();
  idle.pop_back();
  return fibre;
}

// Waits until somebody makes this thread ready.
void wait_here() {
  const std::uint32_t self = block.current;
  go_on(*block.threads[self].fibre);
}

// Brings the lanes of a mask together; the last one runs `finish(first thread of the warp)`.
template <class Finish>
std::uint64_t meet(unsigned mask, std::uint64_t value, int source, const Site& site, Finish finish) {
  const std::uint32_t self = block.current, warp = self / 32, first = warp * 32;
  Thread& thread = block.threads[self];
  const unsigned bit = 1u << (self % 32);
  if (!(mask & bit))
    block_fault(fmt::format("{} calls {} with a mask without itself, {:#010x}", name_of(thread), place(site), mask));
  if (const std::size_t n = block.threads.size() - first; n < 32 && mask >> n != 0)
    block_fault(fmt::format("{} calls {} with a mask that names lanes beyond the block, {:#010x}", name_of(thread),
                            place(site), mask));
  thread.site = site;
  thread.mask = mask;
  thread.value = value;
  thread.source = source;
  auto& meetings = block.meetings[warp];
  std::size_t i = 0;
  while (i < meetings.size() && !(meetings[i].mask == mask && same(meetings[i].site, site))) ++i;
  if (i == meetings.size()) meetings.push_back({mask, 0, site});
  meetings[i].arrived |= bit;
  thread.state = State::in_warp;
  if (meetings[i].arrived == mask) {
    meetings.erase(meetings.begin() + static_cast<std::ptrdiff_t>(i));
    finish(first);
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) make_ready(first + lane);
    }
  }
  wait_here();
  return block.threads[self].value;
}

void prepare_block(const Grid& grid, const uint3& index) {
  const std::size_t n = std::size_t{grid.block.x} * grid.block.y * grid.block.z;
  block.grid = &grid;
  block.index = index;
  block.threads.resize(n);
  block.ready.clear();
  block.head = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Thread& thread = block.threads[i];
    thread.state = State::fresh;
    thread.fibre = nullptr;
    thread.index = {static_cast<unsigned>(i % grid.block.x), static_cast<unsigned>(i / grid.block.x % grid.block.y),
                    static_cast<unsigned>(i / grid.block.x / grid.block.y)};
    block.ready.push_back(static_cast<std::uint32_t>(i));
  }
  block.n_left = block.n_at_barrier = 0;
  block.barrier_sum = block.barrier_result = 0;
  block.meetings.resize((n + 31) / 32);
  for (auto& meetings : block.meetings) meetings.clear();
  block.error = nullptr;
  blockIdx = index;
}

void run_block(const Grid& grid, const uint3& index) {
  prepare_block(grid, index);
  begin_shared(grid.shared_bytes);
  block.host = {};
  go_on(block.host);
  if (block.error) {
    // Whoever still waits is left as it is: the stacks start afresh.
    idle = fibres;
    for (Fibre* fibre : idle) reset(*fibre, run_threads);
  }
  std::string damage;
  if (!block.error) damage = shared_damage();
  end_shared();
  if (block.error) std::rethrow_exception(std::exchange(block.error, nullptr));
  if (!damage.empty()) block_fault(damage);
}

}  // namespace

int lane() { return static_cast<int>(block.current % 32); }

int barrier(bool predicate, const Site& site) {
  const std::uint32_t self = block.current;
  Thread& thread = block.threads[self];
  thread.site = site;
  thread.state = State::at_barrier;
  block.barrier_sum += predicate;
  if (++block.n_at_barrier == block.threads.size()) {
    for (const Thread& other : block.threads) {
      if (!same(other.site, site)) {
        thread.state = State::running;
        block_fault(fmt::format("threads wait at different barriers: {} at the {}, {} at the {}", name_of(thread),
                                place(site), name_of(other), place(other.site)));
      }
    }
    block.n_at_barrier = 0;
    block.barrier_result = std::exchange(block.barrier_sum, 0);
    for (std::uint32_t i = 0; i < block.threads.size(); ++i) make_ready(i);
  }
  wait_here();
  return block.barrier_result;
}

unsigned vote(unsigned mask, bool predicate, const Site& site) {
  return static_cast<unsigned>(meet(mask, predicate, 0, site, [mask](std::uint32_t first) {
    std::uint64_t bits = 0;
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) bits |= block.threads[first + lane].value << lane;
    }
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) block.threads[first + lane].value = bits;
    }
  }));
}

std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, const Site& site) {
  return meet(mask, value, source, site, [mask, &site](std::uint32_t first) {
    std::uint64_t values[32] = {};
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (!(mask >> lane & 1u)) continue;
      const int from = block.threads[first + lane].source;
      if (from < 0 || from >= 32 || !(mask >> from & 1u)) {
        block_fault(fmt::format("{} reads lane {} by {}, which is not in the mask {:#010x}",
                                name_of(block.threads[first + lane]), from, place(site), mask));
      }
      values[lane] = block.threads[first + static_cast<std::uint32_t>(from)].value;
    }
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) block.threads[first + lane].value = values[lane];
    }
  });
}

void run_grid(const Grid& grid) {
  check_launch(grid);
  gridDim = grid.grid;
  blockDim = grid.block;
  const std::uint64_t n = std::uint64_t{grid.grid.x} * grid.grid.y * grid.grid.z;
  const auto run = [&](std::uint64_t i) {
    run_block(grid, {static_cast<unsigned>(i % grid.grid.x), static_cast<unsigned>(i / grid.grid.x % grid.grid.y),
                     static_cast<unsigned>(i / grid.grid.x / grid.grid.y)});
  };
  if (!shuffled()) {
    for (std::uint64_t i = 0; i < n; ++i) run(i);
    return;
  }
  std::vector<std::uint64_t> blocks(n);
  for (std::uint64_t i = 0; i < n; ++i) blocks[i] = i;
  shuffle_all(blocks);
  for (const std::uint64_t i : blocks) run(i);
}

}  // namespace simt
