// The emulated GPU, as tests see it: knobs that make mistakes show, and what became of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

struct CUstream_st;

namespace simt {

/// A kernel or the host broke a rule of the machine: said with kernel, block and thread. Thrown by the call that waits for the
/// work; where that call must not throw (cudaFree, ...) it is kept for the next one that may.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The order in which threads, blocks and streams run where the machine promises none: 0 is the natural one, anything else
/// the seed of a shuffle. Also TARN_SIMT_ORDER.
void set_order(std::uint64_t seed);
/// Lazy (the default): work in a stream runs only once somebody waits for it. Else at once. Also TARN_SIMT_EAGER=1.
void set_lazy(bool lazy);

/// Size of the device's memory; 0: the default, 4 GiB. Also TARN_SIMT_MEMORY.
void set_memory_limit(std::size_t bytes);
/// Allocations of the device and of page-locked memory that were not freed.
std::int64_t live_allocations();
/// Bytes of the device in use, and the most since the last call of `reset_peak`.
std::size_t used_bytes();
std::size_t peak_bytes();
void reset_peak();
/// Kernels run so far.
std::int64_t kernels_run();

/// Puts work of the host into a stream (null is the default one), for libraries that take the device's place.
void enqueue(CUstream_st* stream, std::function<void()> work);
bool is_capturing(CUstream_st* stream);

/// What a piece of work takes, in microseconds, by its text: "NAME in 4 blocks of 128 threads" of a kernel, for libraries what they say of theirs.
using Costs = std::function<double(const std::string& work)>;
/// From here on events tell the machine's own clock, which work moves on by what it costs; with an empty function the host's, as by default. For tests of
/// what is chosen by measurement.
void set_costs(Costs costs);
bool has_costs();
/// Moves the machine's own clock on. Called while the work runs.
void spend(const std::string& work);

/// What a call that must not throw found; empty if nothing. Forgets it.
std::string take_fault();
/// Forgets all queued work and any fault.
void abandon_work();

}  // namespace simt
