// Graphs: the work that a stream was given while it recorded, in the order of the calls.
#include "queues.hpp"
#include "simt.hpp"

using simt::machine;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(machine());
  if (!stream) return cudaErrorStreamCaptureUnsupported;  // the default stream cannot record
  if (stream->capturing) return cudaErrorStreamCaptureUnmatched;
  stream->capturing = new CUgraph_st;
  stream->capturing->origin = stream;
  stream->capturing->mode = mode;
  stream->capturing->thread = std::this_thread::get_id();
  static std::uint64_t n_recordings = 0;
  stream->capturing->number = ++n_recordings;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(machine());
  *graph = nullptr;
  if (!stream || !stream->capturing || stream->capturing->origin != stream) return cudaErrorStreamCaptureUnmatched;
  CUgraph_st* recorded = stream->capturing;
  bool unjoined = false;
  for (CUstream_st* other : recorded->joined) {
    unjoined = unjoined || other->unjoined;
    other->capturing = nullptr;
    other->unjoined = false;
  }
  stream->capturing = nullptr;
  recorded->joined.clear();
  if (recorded->spoiled || unjoined) {
    const cudaError_t error = recorded->spoiled ? cudaErrorStreamCaptureInvalidated : cudaErrorStreamCaptureUnjoined;
    delete recorded;
    return error;
  }
  *graph = recorded;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(machine());
  *status = cudaStreamCaptureStatusNone;
  if (stream && stream->capturing)
    *status = stream->capturing->spoiled ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (!graph) return cudaErrorInvalidValue;
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, size_t* n_nodes) {
  if (!graph) return cudaErrorInvalidValue;
  *n_nodes = graph->work.size();
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t) {
  return executable ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (!executable) return cudaErrorInvalidValue;
  const std::lock_guard lock(machine());
  for (const auto& work : executable->work) simt::push(stream, {work, nullptr, nullptr});
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (!graph) return cudaErrorInvalidValue;
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  if (!executable) return cudaErrorInvalidValue;
  delete executable;  // what was launched keeps its own copies
  return cudaSuccess;
}
