// Files that are compiled once per instruction set put what they define into a namespace of its name; here one of them is picked.
#pragma once

#include "tarn/core/isa.hpp"

// TARN_HAVE_ISA_...: which were compiled into the target at hand (tarn_add_isa_sources).
#if defined(TARN_HAVE_ISA_x86_64_v4)
#define TARN_IF_X86_64_V4(...) __VA_ARGS__
#else
#define TARN_IF_X86_64_V4(...)
#endif
#if defined(TARN_HAVE_ISA_x86_64_v3)
#define TARN_IF_X86_64_V3(...) __VA_ARGS__
#else
#define TARN_IF_X86_64_V3(...)
#endif

#if defined(TARN_HAVE_ISA_x86_64)
#define TARN_LOWEST_ISA x86_64
#elif defined(TARN_HAVE_ISA_x86_64_v3)
#define TARN_LOWEST_ISA x86_64_v3
#else
#define TARN_LOWEST_ISA x86_64_v4
#endif

/// The body of a function that returns `table` of the namespace of `isa`; that of the lowest level where it was not compiled in.
#define TARN_RETURN_OF_ISA(isa, table)                              \
  TARN_IF_X86_64_V4(if ((isa) == Isa::v4) return x86_64_v4::table;) \
  TARN_IF_X86_64_V3(if ((isa) == Isa::v3) return x86_64_v3::table;) \
  static_cast<void>(isa);                                           \
  return TARN_LOWEST_ISA::table
