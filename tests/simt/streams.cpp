// The runtime's calls about streams and events.
#include <exception>

#include "queues.hpp"
#include "simt.hpp"

using simt::machine;

namespace {

// For calls that wait: a fault is theirs to throw.
template <class F>
cudaError_t waiting(CUstream_st* stream, F&& wait) {
  const std::lock_guard lock(machine());
  if (stream && stream->capturing) {
    stream->capturing->spoiled = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  wait();
  simt::throw_kept_fault();
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard lock(machine());
  *stream = simt::new_stream(flags != cudaStreamNonBlocking);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(machine());
  if (!stream || !simt::is_stream(stream)) return cudaErrorInvalidResourceHandle;
  cudaError_t error = cudaSuccess;
  try {
    simt::drain(stream);  // the machine would go on beside the host; nobody could tell
  } catch (const std::exception& fault) {
    simt::keep_fault(fault.what());
    error = cudaErrorLaunchFailure;
  }
  simt::delete_stream(stream);
  return error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return waiting(stream, [&] { simt::drain(stream); });
}
cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(machine());
  if (simt::forbidden_while_capturing()) return cudaErrorStreamCaptureUnsupported;
  return waiting(nullptr, [] { simt::drain_all(); });
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(machine());
  const cudaError_t error = waiting(stream, [&] { simt::run_one(stream); });
  if (error != cudaSuccess) return error;
  return simt::is_idle(stream) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(machine());
  if (!event) return cudaErrorInvalidResourceHandle;
  if (!event->mark) return cudaSuccess;  // never recorded: nothing to wait for
  CUstream_st& waiter = simt::real(stream);
  if (event->mark->recording) {
    CUgraph_st* graph = simt::recording(event->mark->recording);
    if (!graph) return cudaErrorInvalidValue;
    if (!waiter.capturing && stream) {  // the stream takes part in the recording from now on
      waiter.capturing = graph;
      graph->joined.push_back(stream);
    }
    if (waiter.capturing != graph) return cudaErrorInvalidValue;
    event->mark->stream->unjoined = false;
    if (&waiter != graph->origin) waiter.unjoined = true;
    return cudaSuccess;
  }
  if (waiter.capturing) {
    waiter.capturing->spoiled = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  simt::push(stream, {nullptr, event->mark, nullptr});
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
  simt::enqueue(stream, [function, data] { function(data); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!event) return cudaErrorInvalidResourceHandle;
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(machine());
  if (!event) return cudaErrorInvalidResourceHandle;
  CUstream_st& recorder = simt::real(stream);
  event->mark = std::make_shared<simt::Mark>();
  event->mark->stream = &recorder;
  event->mark->recording = recorder.capturing ? recorder.capturing->number : 0;
  if (!recorder.capturing) simt::push(stream, {nullptr, nullptr, event->mark});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(machine());
  if (!event) return cudaErrorInvalidResourceHandle;
  if (!event->mark) return cudaSuccess;
  if (event->mark->recording) return cudaErrorCapturedEvent;
  return waiting(event->mark->done ? nullptr : event->mark->stream, [&] { simt::drain_until(*event->mark); });
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(machine());
  if (!event) return cudaErrorInvalidResourceHandle;
  if (!event->mark || event->mark->done) return cudaSuccess;
  if (event->mark->recording) return cudaErrorCapturedEvent;
  const cudaError_t error = waiting(event->mark->stream, [&] { simt::run_one(event->mark->stream); });
  if (error != cudaSuccess) return error;
  return event->mark->done ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  const std::lock_guard lock(machine());
  if (!start || !end || !start->timed || !end->timed || !start->mark || !end->mark)
    return cudaErrorInvalidResourceHandle;
  if (!start->mark->done || !end->mark->done) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(end->mark->time - start->mark->time).count();
  return cudaSuccess;
}
