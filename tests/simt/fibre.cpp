#include "fibre.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>
#include <new>

#include "guards.hpp"

#ifdef TARN_SIMT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

#ifdef TARN_SIMT_ASAN
constexpr std::size_t stack_bytes = std::size_t{512} << 10;  // instrumented frames are large
#else
constexpr std::size_t stack_bytes = std::size_t{128} << 10;
#endif

// What a switch passes on.
struct Passage {
  Fibre *from, *to;
};
void (*body_of_new)(Fibre&) = nullptr;

void departing([[maybe_unused]] Fibre& from, [[maybe_unused]] Fibre& to) {
#ifdef TARN_SIMT_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
}
void arrived(const Fibre& self, const transfer_t& transfer) {
  auto& passage = *static_cast<Passage*>(transfer.data);
  passage.from->context = transfer.fctx;
  (void)self;
#ifdef TARN_SIMT_ASAN
  // tells where the stack lies that was left: for a host thread's own this is how it becomes known
  __sanitizer_finish_switch_fiber(self.fake_stack, &passage.from->bottom, &passage.from->size);
#endif
}

void begin(transfer_t transfer) {
  Fibre& self = *static_cast<Passage*>(transfer.data)->to;
  arrived(self, transfer);
  body_of_new(self);
}

}  // namespace

Fibre* new_fibre(void (*body)(Fibre&)) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, page, PROT_NONE);  // an overflow stops here
  auto* fibre = new Fibre;
  fibre->bottom = static_cast<char*>(memory) + page;
  fibre->size = stack_bytes;
  reset(*fibre, body);
  return fibre;
}

void reset(Fibre& fibre, void (*body)(Fibre&)) {
#ifdef TARN_SIMT_ASAN
  __asan_unpoison_memory_region(const_cast<void*>(fibre.bottom), fibre.size);
#endif
  body_of_new = body;
  fibre.fake_stack = nullptr;
  char* top = const_cast<char*>(static_cast<const char*>(fibre.bottom)) + fibre.size;
  fibre.context = make_fcontext(top, fibre.size, begin);
}

void switch_fibre(Fibre& from, Fibre& to) {
  Passage passage{&from, &to};
  departing(from, to);
  const transfer_t transfer = jump_fcontext(to.context, &passage);
  arrived(from, transfer);
}

}  // namespace simt
