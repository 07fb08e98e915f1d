// Products by cuBLASLt. The library is half a gigabyte, so it is opened when a GPU is used and not when the program starts:
// runs on a CPU neither wait for it nor need it.
#include <cublasLt.h>
#include <dlfcn.h>

#include <array>
#include <map>
#include <string>

#include "blas.hpp"
#include "memory.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {
namespace {

constexpr std::int64_t workspace_bytes = std::int64_t{32} << 20;

// The functions in use, by their own names.
struct Library {
#define TARN_LT_FUNCTIONS(f)                                                                                           \
  f(cublasLtCreate) f(cublasLtDestroy) f(cublasLtMatmul) f(cublasLtMatmulAlgoGetHeuristic) f(cublasLtMatmulDescCreate) \
      f(cublasLtMatmulDescDestroy) f(cublasLtMatmulDescSetAttribute) f(cublasLtMatrixLayoutCreate)                     \
          f(cublasLtMatrixLayoutSetAttribute) f(cublasLtMatrixLayoutDestroy) f(cublasLtMatmulPreferenceCreate)         \
              f(cublasLtMatmulPreferenceDestroy) f(cublasLtMatmulPreferenceSetAttribute) f(cublasLtGetStatusString)
#define TARN_LT_POINTER(name) decltype(&::name) name = nullptr;
  TARN_LT_FUNCTIONS(TARN_LT_POINTER)
#undef TARN_LT_POINTER

  Library() {
    const std::string soname = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
    void* handle = nullptr;
    for (const std::string& path : {soname, TARN_CUDA_LIBRARY_DIR "/" + soname, "/usr/local/cuda/lib64/" + soname}) {
      handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle) break;
    }
    if (!handle)
      fail("the GPU needs {} of the CUDA toolkit, which was not found ({}); set LD_LIBRARY_PATH", soname, dlerror());
#define TARN_LT_LOAD(name)                                          \
  name = reinterpret_cast<decltype(&::name)>(dlsym(handle, #name)); \
  require(name != nullptr, "{}: has no function {}", soname, #name);
    TARN_LT_FUNCTIONS(TARN_LT_LOAD)
#undef TARN_LT_LOAD
  }
};

const Library& lt() {
  static const Library library;
  return library;
}

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS) fail("cuBLASLt: {} in {}", lt().cublasLtGetStatusString(status), call);
}

// Owners of cuBLASLt's handles.
template <class T, auto Destroy>
struct Owned {
  T handle = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Owned(Owned&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Owned() {
    if (handle) (lt().*Destroy)(handle);
  }
};
using Handle = Owned<cublasLtHandle_t, &Library::cublasLtDestroy>;
using Description = Owned<cublasLtMatmulDesc_t, &Library::cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, &Library::cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, &Library::cublasLtMatmulPreferenceDestroy>;

// How one shape of product is done: made at the first call of the shape.
struct Plan {
  Description description;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};
};

class LtBlas final : public Blas {
 public:
  LtBlas() : workspace_(workspace_bytes) { check(lt().cublasLtCreate(&handle_.handle), "cublasLtCreate"); }

  void product(const Product& p, StreamHandle stream) override {
    if (p.m == 0 || p.n == 0) return;
    Plan& plan = plan_for(p);
    if (p.bias) {
      check(lt().cublasLtMatmulDescSetAttribute(plan.description.handle, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias,
                                                sizeof p.bias),
            "cublasLtMatmulDescSetAttribute");
    }
    const float alpha = 1.0f;
    // row-major C = A B is column-major C^T = B^T A^T
    check(lt().cublasLtMatmul(handle_.handle, plan.description.handle, &alpha, p.b, plan.b.handle, p.a, plan.a.handle,
                              &p.beta, p.c, plan.c.handle, p.c, plan.c.handle, &plan.algorithm, workspace_.data(),
                              static_cast<std::size_t>(workspace_bytes), stream),
          "cublasLtMatmul");
  }

 private:
  using Key = std::array<std::int64_t, 11>;

  // Pointers count for their alignment: what one call's algorithm may assume, another's must keep.
  static int alignment(const void* p) {
    int bytes = 4;
    while (bytes < 16 && reinterpret_cast<std::uintptr_t>(p) % (2 * static_cast<unsigned>(bytes)) == 0) bytes *= 2;
    return bytes;
  }

  Plan& plan_for(const Product& p) {
    const int align[3] = {alignment(p.a), alignment(p.b), alignment(p.c)};
    const int flags = (p.transpose_a ? 1 : 0) | (p.transpose_b ? 2 : 0) | (p.bias ? 4 : 0) | (p.relu ? 8 : 0) |
                      (p.beta != 0.0f ? 16 : 0) | static_cast<int>(p.precision) << 5 | (p.is_bf16 ? 128 : 0) |
                      align[0] << 8 | align[1] << 16 | align[2] << 24;
    const auto [at, is_new] =
        plans_.try_emplace(Key{p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.batch, p.stride_a, p.stride_b, p.stride_c, flags});
    if (is_new) {
      try {
        make(p, align, at->second);
      } catch (...) {
        plans_.erase(at);
        throw;
      }
    }
    return at->second;
  }

  void make(const Product& p, const int (&align)[3], Plan& plan) {
    const auto& l = lt();
    const auto set = [&](cublasLtMatmulDescAttributes_t what, const auto& value) {
      check(l.cublasLtMatmulDescSetAttribute(plan.description.handle, what, &value, sizeof value),
            "cublasLtMatmulDescSetAttribute");
    };
    const cublasComputeType_t compute = p.is_bf16                        ? CUBLAS_COMPUTE_32F
                                        : p.precision == Precision::bf16 ? CUBLAS_COMPUTE_32F_FAST_16BF
                                        : p.precision == Precision::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                         : CUBLAS_COMPUTE_32F;
    check(l.cublasLtMatmulDescCreate(&plan.description.handle, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (p.bias || p.relu) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE,
          p.bias ? (p.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS) : CUBLASLT_EPILOGUE_RELU);
    }
    const auto layout = [&](Layout& into, bool transposed, std::int64_t rows, std::int64_t cols, std::int64_t ld,
                            cudaDataType_t type) {
      if (transposed) std::swap(rows, cols);
      check(l.cublasLtMatrixLayoutCreate(&into.handle, type, static_cast<std::uint64_t>(cols),
                                         static_cast<std::uint64_t>(rows), ld),
            "cublasLtMatrixLayoutCreate");
    };
    const auto repeat = [&](const Layout& of, std::int64_t stride) {
      const auto count = static_cast<std::int32_t>(p.batch);
      check(l.cublasLtMatrixLayoutSetAttribute(of.handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
            "cublasLtMatrixLayoutSetAttribute");
      check(l.cublasLtMatrixLayoutSetAttribute(of.handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                               sizeof stride),
            "cublasLtMatrixLayoutSetAttribute");
    };
    const cudaDataType_t operands = p.is_bf16 ? CUDA_R_16BF : CUDA_R_32F;
    layout(plan.a, p.transpose_a, p.m, p.k, p.lda, operands);
    layout(plan.b, p.transpose_b, p.k, p.n, p.ldb, operands);
    layout(plan.c, false, p.m, p.n, p.ldc, CUDA_R_32F);
    if (p.batch > 1) {
      repeat(plan.a, p.stride_a);
      repeat(plan.b, p.stride_b);
      repeat(plan.c, p.stride_c);
    }

    Preference preference;
    check(l.cublasLtMatmulPreferenceCreate(&preference.handle), "cublasLtMatmulPreferenceCreate");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
      check(l.cublasLtMatmulPreferenceSetAttribute(preference.handle, what, &value, sizeof value),
            "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(workspace_bytes));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(align[1]));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(align[0]));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(align[2]));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(align[2]));
    if (p.batch > 1) {  // cut by the caller, who wants it cut no further
      prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_NONE));
    }
    cublasLtMatmulHeuristicResult_t found{};
    int n_found = 0;
    check(l.cublasLtMatmulAlgoGetHeuristic(handle_.handle, plan.description.handle, plan.b.handle, plan.a.handle,
                                           plan.c.handle, plan.c.handle, preference.handle, 1, &found, &n_found),
          "cublasLtMatmulAlgoGetHeuristic");
    require(n_found == 1, "cuBLASLt has no way to multiply [{}, {}] by [{}, {}]", p.m, p.k, p.k, p.n);
    plan.algorithm = found.algo;
  }

  Handle handle_;
  DeviceBuffer<unsigned char> workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace

std::unique_ptr<Blas> make_blas() { return std::make_unique<LtBlas>(); }

}  // namespace tarn::cuda
