#include "queues.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "order.hpp"
#include "simt.hpp"

namespace simt {
namespace {

CUstream_st& default_stream = *new CUstream_st;  // never destroyed, as static objects may own streams
auto& streams = *new std::vector<CUstream_st*>{&default_stream};
bool lazy = std::getenv("TARN_SIMT_EAGER") == nullptr;
std::string kept_fault;
auto& costs = *new Costs;
std::chrono::duration<double, std::micro> spent{0};  // the machine's own clock
[[maybe_unused]] const bool order_is_set = [] {
  if (const char* seed = std::getenv("TARN_SIMT_ORDER")) set_order(std::strtoull(seed, nullptr, 10));
  return true;
}();

bool runnable(const CUstream_st& stream) {
  return !stream.queue.empty() && !(stream.queue.front().waits_for && !stream.queue.front().waits_for->done);
}

std::chrono::steady_clock::time_point now() {
  using Clock = std::chrono::steady_clock;
  return costs ? Clock::time_point(std::chrono::duration_cast<Clock::duration>(spent)) : Clock::now();
}

void run_front(CUstream_st& stream) {
  const Item item = std::move(stream.queue.front());
  stream.queue.pop_front();
  if (item.reaches) {
    item.reaches->time = now();
    item.reaches->done = true;
  }
  if (!item.work) return;
  try {
    item.work();
  } catch (...) {
    abandon_work();
    throw;
  }
}

// Brings `stream` one item further, whoever must run for it.
void advance(CUstream_st& stream) {
  if (shuffled()) {  // any stream may be the faster one
    std::vector<CUstream_st*> able;
    for (CUstream_st* other : streams) {
      if (runnable(*other)) able.push_back(other);
    }
    if (!able.empty()) {
      run_front(*able[any_below(able.size())]);
      return;
    }
  }
  CUstream_st* next = &stream;
  for (std::size_t hops = 0; !runnable(*next); ++hops) {
    if (next->queue.empty() || hops > streams.size())
      throw Fault("a stream waits for an event that nothing will reach");
    next = next->queue.front().waits_for->stream;
  }
  run_front(*next);
}

}  // namespace

CUstream_st& real(CUstream_st* stream) { return stream ? *stream : default_stream; }

CUgraph_st* recording(std::uint64_t number) {
  for (CUstream_st* stream : streams) {
    if (stream->capturing && stream->capturing->number == number) return stream->capturing;
  }
  return nullptr;
}

CUstream_st* new_stream(bool blocking) {
  auto* stream = new CUstream_st;
  stream->blocking = blocking;
  streams.push_back(stream);
  return stream;
}
bool is_stream(const CUstream_st* stream) { return std::find(streams.begin(), streams.end(), stream) != streams.end(); }
void delete_stream(CUstream_st* stream) {
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  delete stream;
}

std::recursive_mutex& machine() {
  static std::recursive_mutex mutex;
  return mutex;
}

void set_order(std::uint64_t seed) {
  const std::lock_guard lock(machine());
  order_seed = order_state = seed;
}
void set_lazy(bool wanted) {
  const std::lock_guard lock(machine());
  lazy = wanted;
}

void set_costs(Costs wanted) {
  const std::lock_guard lock(machine());
  costs = std::move(wanted);
}
bool has_costs() {
  const std::lock_guard lock(machine());
  return static_cast<bool>(costs);
}
void spend(const std::string& work) {
  const std::lock_guard lock(machine());
  if (costs) spent += std::chrono::duration<double, std::micro>(costs(work));
}

void push(CUstream_st* handle, Item item) {
  CUstream_st& stream = real(handle);
  if (CUgraph_st* graph = stream.capturing) {
    if (item.work) graph->work.push_back(std::move(item.work));
    if (&stream != graph->origin) stream.unjoined = true;
    return;
  }
  for (CUstream_st* other :
       streams) {  // the default stream and those that are not cudaStreamNonBlocking wait for each other
    const bool ordered = &stream == &default_stream ? other->blocking : stream.blocking && other == &default_stream;
    if (!ordered || other == &stream || other->queue.empty()) continue;
    const auto mark = std::make_shared<Mark>();
    mark->stream = other;
    other->queue.push_back({nullptr, nullptr, mark});
    stream.queue.push_back({nullptr, mark, nullptr});
  }
  stream.queue.push_back(std::move(item));
  if (!lazy) drain(handle);
}

void drain(CUstream_st* handle) {
  CUstream_st& stream = real(handle);
  while (!stream.queue.empty()) advance(stream);
}

void drain_all() {
  for (std::size_t i = 0; i < streams.size(); ++i) {
    while (!streams[i]->queue.empty()) advance(*streams[i]);
  }
}

void drain_until(const Mark& mark) {
  while (!mark.done) advance(*mark.stream);
}

void run_one(CUstream_st* stream) {
  if (!real(stream).queue.empty()) advance(real(stream));
}
bool is_idle(CUstream_st* stream) { return real(stream).queue.empty(); }

void enqueue(CUstream_st* stream, std::function<void()> work) {
  const std::lock_guard lock(machine());
  push(stream, {std::move(work), nullptr, nullptr});
}
bool is_capturing(CUstream_st* stream) {
  const std::lock_guard lock(machine());
  return real(stream).capturing != nullptr;
}

void abandon_work() {
  const std::lock_guard lock(machine());
  for (CUstream_st* stream : streams) {
    for (const Item& item : stream->queue) {
      if (item.reaches) item.reaches->done = true;
    }
    stream->queue.clear();
  }
  kept_fault.clear();
}

void keep_fault(const char* what) noexcept {
  try {
    if (kept_fault.empty()) kept_fault = what;
  } catch (...) {
    std::abort();  // it must not be lost
  }
}
void throw_kept_fault() {
  if (!kept_fault.empty()) throw Fault(std::exchange(kept_fault, {}));
}
std::string take_fault() {
  const std::lock_guard lock(machine());
  return std::exchange(kept_fault, {});
}

bool forbidden_while_capturing() {
  bool forbidden = false;
  for (CUstream_st* stream : streams) {
    CUgraph_st* graph = stream->capturing;
    if (!graph || graph->mode == cudaStreamCaptureModeRelaxed) continue;
    if (graph->mode == cudaStreamCaptureModeGlobal || graph->thread == std::this_thread::get_id())
      graph->spoiled = forbidden = true;
  }
  return forbidden;
}

}  // namespace simt
