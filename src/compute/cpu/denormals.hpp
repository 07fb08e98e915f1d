// Denormal numbers cost a hundred cycles each on x86, and training makes many: moments of silent neurons decay towards zero.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace tarn::cpu {

/// While it lives, denormal operands and results of this thread count as zero. For training only: chains keep IEEE arithmetic, which
/// their promise of equal bits rests on (the noise has no denormals and is the same either way).
class FlushDenormals {
 public:
#if defined(__SSE2__)
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }  // flush to zero, denormals are zero
  ~FlushDenormals() { _mm_setcsr(before_); }
#else
  FlushDenormals() = default;
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  unsigned before_;
#endif
};

}  // namespace tarn::cpu
