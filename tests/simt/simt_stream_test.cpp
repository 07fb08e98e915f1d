// Streams, events, graphs: work runs as late as it may, so that a host which does not wait is found out.
#include <set>

#include "../../src/compute/cuda/streams.hpp"
#include "machine_fixture.hpp"

namespace simt::test {
namespace {

using tarn::cuda::CudaEvent;
using tarn::cuda::CudaGraph;
using tarn::cuda::CudaStream;
using tarn::cuda::launch;
using testing::HasSubstr;

__global__ void add_kernel(float* x, float step) { x[0] += step; }
__global__ void times_kernel(float* x, float factor) { x[0] *= factor; }
__global__ void stuck_kernel() {
  if (threadIdx.x == 0) __syncthreads();
}

class Streams : public Machine {
 protected:
  float value(const float* x) { return host(x, 1)[0]; }
  float* number(float v) { return device(std::vector<float>{v}); }
};

TEST_F(Streams, TheHostThatReadsTooEarlySeesNothing) {
  float* x = number(1.0f);
  float early = -1.0f;
  launch(add_kernel, config(1, 1), x, 2.0f);
  cudaMemcpyAsync(&early, x, 4, cudaMemcpyDefault, stream_);
  EXPECT_EQ(early, -1.0f);
  synchronize();
  EXPECT_EQ(early, 3.0f);
}

TEST_F(Streams, TheHostThatReusesABufferTooEarlySpoilsTheCopy) {
  float *a = number(0.0f), *b = number(0.0f);
  float buffer = 1.0f;
  cudaMemcpyAsync(a, &buffer, 4, cudaMemcpyDefault, stream_);
  buffer = 2.0f;  // before anybody waited
  cudaMemcpyAsync(b, &buffer, 4, cudaMemcpyDefault, stream_);
  EXPECT_EQ(value(a), 2.0f);
  EXPECT_EQ(value(b), 2.0f);
}

TEST_F(Streams, ACopyByTheDefaultStreamDoesNotWaitForOthers) {
  float* x = number(1.0f);
  launch(add_kernel, config(1, 1), x, 2.0f);
  float found = 0.0f;
  EXPECT_EQ(cudaMemcpy(&found, x, 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(found, 1.0f);
  EXPECT_EQ(value(x), 3.0f);
  cudaStream_t blocking = nullptr;
  cudaStreamCreate(&blocking);
  launch(add_kernel, {1, 1, 0, blocking}, x, 2.0f);
  EXPECT_EQ(cudaMemcpy(&found, x, 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(found, 5.0f);
  cudaStreamDestroy(blocking);
}

TEST_F(Streams, ArgumentsAreThoseOfTheLaunch) {
  float* x = number(0.0f);
  float step = 1.0f;
  launch(add_kernel, config(1, 1), x, step);
  step = 100.0f;
  EXPECT_EQ(value(x), 1.0f);
}

TEST_F(Streams, EventsOrderStreams) {
  for (const std::uint64_t order : {0, 1, 2, 3, 4}) {
    set_order(order);
    CudaStream one, two;
    CudaEvent added, multiplied;
    float* x = number(1.0f);
    launch(add_kernel, {1, 1, 0, one.handle()}, x, 2.0f);
    added.record(one.handle());
    added.hold(two.handle());
    launch(times_kernel, {1, 1, 0, two.handle()}, x, 5.0f);
    multiplied.record(two.handle());
    multiplied.hold(one.handle());
    launch(add_kernel, {1, 1, 0, one.handle()}, x, 1.0f);
    one.synchronize();
    EXPECT_EQ(value(x), 16.0f);
  }
}

TEST_F(Streams, WithoutAnEventTheOrderOfStreamsIsOpen) {
  std::set<float> results;
  for (std::uint64_t order = 1; order < 20; ++order) {
    set_order(order);
    CudaStream one, two;
    float* x = number(1.0f);
    launch(add_kernel, {1, 1, 0, one.handle()}, x, 2.0f);
    launch(times_kernel, {1, 1, 0, two.handle()}, x, 5.0f);
    cudaDeviceSynchronize();
    results.insert(value(x));
  }
  EXPECT_EQ(results, (std::set<float>{7.0f, 15.0f}));
}

TEST_F(Streams, AnEventIsReachedOnceItsWorkIsDone) {
  cudaEvent_t start = nullptr, end = nullptr;
  cudaEventCreate(&start);
  cudaEventCreate(&end);
  float* x = number(0.0f);
  EXPECT_EQ(cudaEventQuery(start), cudaSuccess);
  cudaEventRecord(start, stream_);
  launch(add_kernel, config(1, 1), x, 1.0f);
  cudaEventRecord(end, stream_);
  float ms = -1.0f;
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaErrorNotReady);
  int n_queries = 1;
  while (cudaEventQuery(end) == cudaErrorNotReady) ++n_queries;
  EXPECT_EQ(n_queries, 3);
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaSuccess);
  EXPECT_GE(ms, 0.0f);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
}

TEST_F(Streams, EventsTellTheMachinesOwnClockWhereWorkHasCosts) {
  std::vector<std::string> seen;
  set_costs([&](const std::string& work) {
    seen.push_back(work);
    return work.find("add_kernel") != std::string::npos ? 1500.0 : 250.0;
  });
  cudaEvent_t start = nullptr, middle = nullptr, end = nullptr;
  for (cudaEvent_t* event : {&start, &middle, &end}) cudaEventCreate(event);
  float* x = number(1.0f);
  cudaEventRecord(start, stream_);
  launch(add_kernel, config(1, 1), x, 1.0f);
  cudaEventRecord(middle, stream_);
  launch(times_kernel, config(2, 32), x, 2.0f);
  enqueue(stream_, [] { spend("a product"); });
  cudaEventRecord(end, stream_);
  cudaStreamSynchronize(stream_);
  float ms = 0.0f;
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, middle), cudaSuccess);
  EXPECT_NEAR(ms, 1.5f, 1e-5);
  EXPECT_EQ(cudaEventElapsedTime(&ms, middle, end), cudaSuccess);
  EXPECT_NEAR(ms, 0.5f, 1e-5);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_THAT(seen[1], HasSubstr(" in 2 blocks of 32 threads"));
  EXPECT_EQ(seen[2], "a product");
  set_costs({});
  for (cudaEvent_t event : {start, middle, end}) cudaEventDestroy(event);
}

TEST_F(Streams, EagerStreamsRunAtOnce) {
  set_lazy(false);
  float* x = number(1.0f);
  launch(add_kernel, config(1, 1), x, 2.0f);
  float found = 0.0f;
  cudaMemcpy(&found, x, 4, cudaMemcpyDeviceToHost);
  EXPECT_EQ(found, 3.0f);
  EXPECT_THAT(fault_of([&] { launch(stuck_kernel, config(1, 32)); }), HasSubstr("stuck_kernel"));
}

TEST_F(Streams, WorkOfTheHost) {
  float* x = number(1.0f);
  launch(add_kernel, config(1, 1), x, 2.0f);
  enqueue(stream_, [x] { *x *= 10.0f; });
  launch(add_kernel, config(1, 1), x, 1.0f);
  EXPECT_EQ(value(x), 31.0f);
}

TEST_F(Streams, AFaultThatNobodyCouldThrowIsThrownNextTime) {
  void* pointer = nullptr;
  cudaMalloc(&pointer, 4);
  launch(stuck_kernel, config(1, 32));
  EXPECT_EQ(cudaFree(pointer), cudaErrorLaunchFailure);
  EXPECT_THAT(fault_of([&] { cudaStreamSynchronize(stream_); }), HasSubstr("stuck_kernel"));
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
}

TEST_F(Streams, GraphsAreReplayed) {
  CudaStream stream;
  float* x = number(1.0f);
  float step = 2.0f;
  const CudaGraph graph(stream, [&](tarn::cuda::StreamHandle s) {
    launch(add_kernel, {1, 1, 0, s}, x, step);
    launch(times_kernel, {1, 1, 0, s}, x, 3.0f);
  });
  step = 50.0f;
  stream.synchronize();
  EXPECT_EQ(value(x), 1.0f);  // recorded, not run
  graph.launch(stream);
  graph.launch(stream);
  EXPECT_EQ(value(x), 1.0f);
  stream.synchronize();
  EXPECT_EQ(value(x), 33.0f);
}

TEST_F(Streams, AGraphMayReachIntoOtherStreams) {
  CudaStream stream, side;
  CudaEvent begin, end;
  float *x = number(1.0f), *y = number(1.0f);
  const CudaGraph graph(stream, [&](tarn::cuda::StreamHandle s) {
    begin.record(s);
    begin.hold(side.handle());
    launch(add_kernel, {1, 1, 0, side.handle()}, y, 1.0f);
    launch(add_kernel, {1, 1, 0, s}, x, 2.0f);
    end.record(side.handle());
    end.hold(s);
  });
  launch(times_kernel, {1, 1, 0, side.handle()}, y, 10.0f);  // no longer recorded
  side.synchronize();
  graph.launch(stream);
  stream.synchronize();
  EXPECT_EQ(value(x), 3.0f);
  EXPECT_EQ(value(y), 11.0f);
  EXPECT_EQ(cudaStreamWaitEvent(side.handle(), nullptr), cudaErrorInvalidResourceHandle);
}

TEST_F(Streams, WhatARecordingForbids) {
  float* x = number(1.0f);
  const auto recording = [&](auto&& call, cudaError_t expected) {
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    launch(add_kernel, config(1, 1), x, 1.0f);
    EXPECT_EQ(call(), expected);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    cudaStreamIsCapturing(stream_, &status);
    EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  };
  void* pointer = nullptr;
  float found = 0.0f;
  recording([&] { return cudaMalloc(&pointer, 4); }, cudaErrorStreamCaptureUnsupported);
  recording([&] { return cudaFree(x); }, cudaErrorStreamCaptureUnsupported);
  recording([&] { return cudaStreamSynchronize(stream_); }, cudaErrorStreamCaptureUnsupported);
  recording([&] { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  recording([&] { return cudaMemcpy(&found, x, 4, cudaMemcpyDefault); }, cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(value(x), 1.0f);

  CudaStream side;
  CudaEvent begin;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  begin.record(stream_);
  begin.hold(side.handle());
  launch(add_kernel, {1, 1, 0, side.handle()}, x, 1.0f);  // and nobody waits for it
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureUnmatched);
}

}  // namespace
}  // namespace simt::test
