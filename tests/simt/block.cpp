#include "block.hpp"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <vector>

#include "fibre.hpp"
#include "include/cuda_runtime.h"
#include "order.hpp"
#include "shared.hpp"
#include "simt.hpp"

namespace simt {
namespace {

enum class State : std::uint8_t { fresh, ready, running, at_barrier, in_warp, at_grid, left };

struct Thread {
  State state = State::fresh;
  Fibre* fibre = nullptr;
  uint3 index{};
  Site site{};              // where it waits
  unsigned mask = 0;        // for whom, in a warp
  std::uint64_t value = 0;  // what it brings, then what it gets
  int source = 0;
  const unsigned* counter = nullptr;  // waits until it is `least` or more, which is other blocks' doing
  unsigned least = 0;
};

// Lanes of a warp that wait in the same collective with the same mask.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  Site site{};
};

// A block. One runs at a time, so that its state is plain; those of a cooperative launch take turns.
struct Block {
  const Grid* grid = nullptr;
  uint3 index{};
  std::vector<Thread> threads;
  std::vector<std::uint32_t> ready;  // a queue where the order is natural
  std::size_t head = 0;
  std::size_t n_left = 0, n_at_barrier = 0, n_at_grid = 0;
  int barrier_sum = 0, barrier_result = 0;
  std::vector<std::vector<Meeting>> meetings;  // of each warp
  std::uint32_t current = 0;
  Fibre host;
  std::exception_ptr error;
};
Block& alone = *new Block;                // never destroyed: what runs at the end of the program may still launch
Block* now = &alone;                      // runs
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
  throw Fault(fmt::format("kernel {}, block {}: {}", describe(*now->grid), name_of(now->index), what));
}

void make_ready(std::uint32_t thread) {
  now->threads[thread].state = State::ready;
  now->ready.push_back(thread);
}

// The next thread to run; -1 if nobody can.
std::int64_t take_ready() {
  if (now->head == now->ready.size()) return -1;
  if (shuffled()) {  // anybody
    const std::size_t i = any_below(now->ready.size());
    const std::uint32_t thread = now->ready[i];
    now->ready[i] = now->ready.back();
    now->ready.pop_back();
    return thread;
  }
  const std::uint32_t thread = now->ready[now->head++];
  if (now->head == now->ready.size()) now->ready.clear(), now->head = 0;
  return thread;
}

// Nobody can go on, and not all have left.
std::string why_stuck() {
  const Thread *waiting = nullptr, *left = nullptr;
  for (std::size_t i = 0; i < now->threads.size(); ++i) {
    const Thread& thread = now->threads[i];
    if (thread.state == State::in_warp) {
      const std::size_t first = i / 32 * 32;
      for (std::size_t lane = 0; lane < 32; ++lane) {
        if (!(thread.mask >> lane & 1u)) continue;
        const Thread& other = now->threads[first + lane];  // `meet` saw that it exists
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
    if (now->n_left < now->threads.size() && now->n_at_grid == 0) {
      try {
        block_fault(why_stuck());
      } catch (...) {
        now->error = std::current_exception();
      }
    }
    switch_fibre(self, now->host);
    return;
  }
  now->current = static_cast<std::uint32_t>(next);
  Thread& thread = now->threads[now->current];
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
      now->grid->body(now->grid->args);
    } catch (...) {
      now->error = std::current_exception();
    }
    now->threads[now->current].state = State::left;
    ++now->n_left;
    idle.push_back(&self);
    if (now->error) {
      switch_fibre(self, now->host);
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
  const std::uint32_t self = now->current;
  go_on(*now->threads[self].fibre);
}

// Brings the lanes of a mask together; the last one runs `finish(first thread of the warp)`.
template <class Finish>
std::uint64_t meet(unsigned mask, std::uint64_t value, int source, const Site& site, Finish finish) {
  const std::uint32_t self = now->current, warp = self / 32, first = warp * 32;
  Thread& thread = now->threads[self];
  const unsigned bit = 1u << (self % 32);
  if (!(mask & bit))
    block_fault(fmt::format("{} calls {} with a mask without itself, {:#010x}", name_of(thread), place(site), mask));
  if (const std::size_t n = now->threads.size() - first; n < 32 && mask >> n != 0)
    block_fault(fmt::format("{} calls {} with a mask that names lanes beyond the block, {:#010x}", name_of(thread),
                            place(site), mask));
  thread.site = site;
  thread.mask = mask;
  thread.value = value;
  thread.source = source;
  auto& meetings = now->meetings[warp];
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
  return now->threads[self].value;
}

void prepare_block(const Grid& grid, const uint3& index) {
  const std::size_t n = std::size_t{grid.block.x} * grid.block.y * grid.block.z;
  now->grid = &grid;
  now->index = index;
  now->threads.resize(n);
  now->ready.clear();
  now->head = 0;
  for (std::size_t i = 0; i < n; ++i) {
    Thread& thread = now->threads[i];
    thread.state = State::fresh;
    thread.fibre = nullptr;
    thread.index = {static_cast<unsigned>(i % grid.block.x), static_cast<unsigned>(i / grid.block.x % grid.block.y),
                    static_cast<unsigned>(i / grid.block.x / grid.block.y)};
    now->ready.push_back(static_cast<std::uint32_t>(i));
  }
  now->n_left = now->n_at_barrier = now->n_at_grid = 0;
  now->barrier_sum = now->barrier_result = 0;
  now->meetings.resize((n + 31) / 32);
  for (auto& meetings : now->meetings) meetings.clear();
  now->error = nullptr;
  blockIdx = index;
}

// Runs the present block until nobody can go on; throws what its threads threw.
void run_present() {
  now->host = {};
  go_on(now->host);
  if (!now->error) return;
  // Whoever still waits is left as it is: the stacks start afresh.
  idle = fibres;
  for (Fibre* fibre : idle) reset(*fibre, run_threads);
  std::rethrow_exception(std::exchange(now->error, nullptr));
}

void look_at_guards() {
  if (const std::string damage = shared_damage(); !damage.empty()) block_fault(damage);
}

void run_block(const Grid& grid, const uint3& index) {
  now = &alone;
  SharedSpace& space = alone_shared();
  enter_shared(space);
  const auto leave = [&](void*) { end_shared(); };
  const std::unique_ptr<SharedSpace, decltype(leave)> at_the_end(&space, leave);
  begin_shared(grid.shared_bytes);
  prepare_block(grid, index);
  run_present();
  look_at_guards();
}

// Lets those go on whose counter has come far enough; whether there are any.
bool wake() {
  bool any = false;
  for (std::uint32_t i = 0; i < now->threads.size(); ++i) {
    Thread& thread = now->threads[i];
    if (thread.state != State::at_grid || *thread.counter < thread.least) continue;
    --now->n_at_grid;
    make_ready(i);
    any = true;
  }
  return any;
}

// Blocks of a cooperative launch: each runs until it waits for others.
void run_together(const Grid& grid, const std::vector<uint3>& indices) {
  struct Member {
    Block block;
    std::unique_ptr<SharedSpace, void (*)(SharedSpace*)> shared{new_shared(), free_shared};
    bool fresh = true, done = false;
  };
  std::vector<std::unique_ptr<Member>> members(indices.size());
  struct Back {
    ~Back() { now = &alone; }
  } const back;
  for (std::size_t left = indices.size(); left > 0;) {
    bool moved = false;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (!members[i]) members[i] = std::make_unique<Member>();
      Member& member = *members[i];
      if (member.done) continue;
      now = &member.block;
      enter_shared(*member.shared);
      if (member.fresh) {
        begin_shared(grid.shared_bytes);
        prepare_block(grid, indices[i]);
        member.fresh = false;
      } else if (!wake()) {
        continue;
      }
      blockIdx = now->index;
      moved = true;
      run_present();
      if (now->n_left < now->threads.size()) continue;
      look_at_guards();
      end_shared();
      member.done = true;
      --left;
    }
    if (moved) continue;
    for (const auto& member : members) {
      now = &member->block;
      if (!member->done) block_fault("waits for other blocks, which wait too or have ended");
    }
  }
}

}  // namespace

int lane() { return static_cast<int>(now->current % 32); }

int barrier(bool predicate, const Site& site) {
  const std::uint32_t self = now->current;
  Thread& thread = now->threads[self];
  thread.site = site;
  thread.state = State::at_barrier;
  now->barrier_sum += predicate;
  if (++now->n_at_barrier == now->threads.size()) {
    for (const Thread& other : now->threads) {
      if (!same(other.site, site)) {
        thread.state = State::running;
        block_fault(fmt::format("threads wait at different barriers: {} at the {}, {} at the {}", name_of(thread),
                                place(site), name_of(other), place(other.site)));
      }
    }
    now->n_at_barrier = 0;
    now->barrier_result = std::exchange(now->barrier_sum, 0);
    for (std::uint32_t i = 0; i < now->threads.size(); ++i) make_ready(i);
  }
  wait_here();
  return now->barrier_result;
}

void let_others_run(int turns, const Site& site) {
  const std::uint32_t self = now->current;
  constexpr int most_turns = 100'000;  // of everybody who can go on
  if (turns == most_turns || now->head == now->ready.size())
    block_fault(fmt::format("{} waits in {} for what nobody does", name_of(now->threads[self]), place(site)));
  make_ready(self);
  wait_here();
}

unsigned vote(unsigned mask, bool predicate, const Site& site) {
  return static_cast<unsigned>(meet(mask, predicate, 0, site, [mask](std::uint32_t first) {
    std::uint64_t bits = 0;
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) bits |= now->threads[first + lane].value << lane;
    }
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) now->threads[first + lane].value = bits;
    }
  }));
}

std::uint64_t shuffle(unsigned mask, std::uint64_t value, int source, const Site& site) {
  return meet(mask, value, source, site, [mask, &site](std::uint32_t first) {
    std::uint64_t values[32] = {};
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (!(mask >> lane & 1u)) continue;
      const int from = now->threads[first + lane].source;
      if (from < 0 || from >= 32 || !(mask >> from & 1u)) {
        block_fault(fmt::format("{} reads lane {} by {}, which is not in the mask {:#010x}",
                                name_of(now->threads[first + lane]), from, place(site), mask));
      }
      values[lane] = now->threads[first + static_cast<std::uint32_t>(from)].value;
    }
    for (std::uint32_t lane = 0; lane < 32; ++lane) {
      if (mask >> lane & 1u) now->threads[first + lane].value = values[lane];
    }
  });
}

void wait_for_blocks(const unsigned* counter, unsigned least, const Site& site) {
  if (!now->grid->cooperative) block_fault(fmt::format("the {} needs a cooperative launch", place(site)));
  Thread& thread = now->threads[now->current];
  if (*counter >= least) return;
  thread.site = site;
  thread.counter = counter;
  thread.least = least;
  thread.state = State::at_grid;
  ++now->n_at_grid;
  wait_here();
}

void run_grid(const Grid& grid) {
  check_launch(grid);
  gridDim = grid.grid;
  blockDim = grid.block;
  const std::uint64_t n = std::uint64_t{grid.grid.x} * grid.grid.y * grid.grid.z;
  const auto index = [&](std::uint64_t i) {
    return uint3{static_cast<unsigned>(i % grid.grid.x), static_cast<unsigned>(i / grid.grid.x % grid.grid.y),
                 static_cast<unsigned>(i / grid.grid.x / grid.grid.y)};
  };
  if (!shuffled() && !grid.cooperative) {
    for (std::uint64_t i = 0; i < n; ++i) run_block(grid, index(i));
    return;
  }
  std::vector<uint3> blocks(n);
  for (std::uint64_t i = 0; i < n; ++i) blocks[i] = index(i);
  if (shuffled()) shuffle_all(blocks);
  if (grid.cooperative) return run_together(grid, blocks);
  for (const uint3& i : blocks) run_block(grid, i);
}

}  // namespace simt
