// Queues of work. Lazy: an item runs when somebody waits for its stream, or for a mark behind it, and not before.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "include/cuda_runtime_api.h"

namespace simt {

/// All of the machine's state is guarded by it. Kernels run while it is held.
std::recursive_mutex& machine();

/// A recorded event: one a call of cudaEventRecord.
struct Mark {
  CUstream_st* stream = nullptr;
  bool done = false;
  std::chrono::steady_clock::time_point time{};
  std::uint64_t recording = 0;  // recorded into the graph of that number: no time, nothing to wait for
};
struct Item {
  std::function<void()> work;
  std::shared_ptr<Mark> waits_for;  // in place of work
  std::shared_ptr<Mark> reaches;    // likewise
};

/// The stream behind a handle: null is the default one.
CUstream_st& real(CUstream_st* stream);
CUstream_st* new_stream(bool blocking);
bool is_stream(const CUstream_st* stream);
void delete_stream(CUstream_st* stream);
/// The graph of that number, if it is still being recorded.
CUgraph_st* recording(std::uint64_t number);

void push(CUstream_st* stream, Item item);
/// Runs what the stream (null is the default one) holds, and what that waits for. Throws `Fault`, and forgets all work then.
void drain(CUstream_st* stream);
void drain_all();
void drain_until(const Mark& mark);
/// Runs one item, if there is one: somebody looked whether the stream is done.
void run_one(CUstream_st* stream);
bool is_idle(CUstream_st* stream);

/// Remembers a fault for the next call that may throw.
void keep_fault(const char* what) noexcept;
/// Throws a kept fault.
void throw_kept_fault();

/// Whether this thread records a graph in a mode that forbids what the caller is about to do; spoils the recording if so.
bool forbidden_while_capturing();

}  // namespace simt

struct CUevent_st {
  std::shared_ptr<simt::Mark> mark;  // of the last record; null before
  bool timed = true;
};
struct CUgraph_st {
  std::vector<std::function<void()>> work;
  std::uint64_t number = 0;  // while it is recorded
  CUstream_st* origin = nullptr;
  std::vector<CUstream_st*> joined;  // other streams that record into it
  bool spoiled = false;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread{};  // that began
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};
struct CUstream_st {
  std::deque<simt::Item> queue;
  bool blocking = true;             // waits for the default stream, and it for this one
  CUgraph_st* capturing = nullptr;  // records
  bool unjoined = false;            // recorded something that the origin has not waited for
};
