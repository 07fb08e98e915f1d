// Products by cuBLASLt. The library is half a gigabyte, so it is opened when a GPU is used and not when the program starts:
// runs on a CPU neither wait for it nor need it.
#include <cublasLt.h>
#include <dlfcn.h>

#include <array>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "blas.hpp"
#include "memory.hpp"
#include "product_trial.hpp"
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
              f(cublasLtMatmulPreferenceDestroy) f(cublasLtMatmulPreferenceSetAttribute) f(cublasLtGetStatusString)    \
                  f(cublasLtGetVersion) f(cublasLtMatmulAlgoCheck) f(cublasLtMatmulAlgoConfigGetAttribute)
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

constexpr int most_candidates = 16;
static_assert(sizeof(cublasLtMatmulAlgo_t) == 64);

// Algorithms as text: their 64 bytes, which are the library's own for its version, in hexadecimal.
std::string name_of(const cublasLtMatmulAlgo_t& algorithm) {
  unsigned char bytes[sizeof algorithm];
  std::memcpy(bytes, &algorithm, sizeof bytes);
  std::string name;
  for (const unsigned byte : bytes) name += fmt::format("{:02x}", byte);
  return name;
}
// Nothing where the text is none.
std::optional<cublasLtMatmulAlgo_t> algorithm_of(const std::string& name) {
  unsigned char bytes[sizeof(cublasLtMatmulAlgo_t)];
  constexpr std::string_view digits = "0123456789abcdef";
  if (name.size() != 2 * sizeof bytes || name.find_first_not_of(digits) != std::string::npos) return std::nullopt;
  for (std::size_t i = 0; i < sizeof bytes; ++i)
    bytes[i] = static_cast<unsigned char>(digits.find(name[2 * i]) << 4 | digits.find(name[2 * i + 1]));
  cublasLtMatmulAlgo_t algorithm;
  std::memcpy(&algorithm, bytes, sizeof bytes);
  return algorithm;
}

class LtBlas final : public Blas {
 public:
  explicit LtBlas(Tuner* tuner) : tuner_(tuner), workspace_(workspace_bytes) {
    check(lt().cublasLtCreate(&handle_.handle), "cublasLtCreate");
  }

  std::string version() const override {
    const std::size_t v = lt().cublasLtGetVersion();
    return fmt::format("cuBLASLt {}.{}.{}", v / 10000, v / 100 % 100, v % 100);
  }

  void product(const Product& p, StreamHandle stream) override {
    if (p.m == 0 || p.n == 0) return;
    Plan& plan = plan_for(p, stream);
    multiply(p, plan, plan.algorithm, stream);
  }
  void prepare(const Product& p, StreamHandle stream) override {
    if (p.m > 0 && p.n > 0) plan_for(p, stream);
  }

 private:
  using Key = std::array<std::int64_t, 11>;

  void multiply(const Product& p, Plan& plan, const cublasLtMatmulAlgo_t& algorithm, StreamHandle stream) {
    if (p.bias) {
      check(lt().cublasLtMatmulDescSetAttribute(plan.description.handle, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias,
                                                sizeof p.bias),
            "cublasLtMatmulDescSetAttribute");
    }
    const float alpha = 1.0f;
    // row-major C = A B is column-major C^T = B^T A^T
    check(lt().cublasLtMatmul(handle_.handle, plan.description.handle, &alpha, p.b, plan.b.handle, p.a, plan.a.handle,
                              &p.beta, p.c, plan.c.handle, p.c, plan.c.handle, &algorithm, workspace_.data(),
                              static_cast<std::size_t>(workspace_bytes), stream),
          "cublasLtMatmul");
  }

  class LtWays;

  Plan& plan_for(const Product& p, StreamHandle stream) {
    const int align[3] = {alignment(p.a), alignment(p.b), alignment(p.c)};
    const int flags = (p.transpose_a ? 1 : 0) | (p.transpose_b ? 2 : 0) | (p.bias ? 4 : 0) | (p.relu ? 8 : 0) |
                      (p.beta != 0.0f ? 16 : 0) | static_cast<int>(p.precision) << 5 | (p.is_bf16 ? 128 : 0) |
                      align[0] << 8 | align[1] << 16 | align[2] << 24;
    const auto [at, is_new] =
        plans_.try_emplace(Key{p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.batch, p.stride_a, p.stride_b, p.stride_c, flags});
    if (is_new) {
      try {
        make(p, align, at->second, stream);
      } catch (...) {
        plans_.erase(at);
        throw;
      }
    }
    return at->second;
  }

  void make(const Product& p, const int (&align)[3], Plan& plan, StreamHandle stream);

  // The library's best guesses, best first.
  std::vector<cublasLtMatmulAlgo_t> heuristics(const Product& p, const int (&align)[3], const Plan& plan, int most);

  Tuner* tuner_;
  Handle handle_;
  DeviceBuffer<unsigned char> workspace_;
  std::map<Key, Plan> plans_;
};

// A shape's algorithms, to choose from.
class LtBlas::LtWays final : public ProductWays {
 public:
  LtWays(LtBlas& blas, Plan& plan, const int (&align)[3], const Product& p, StreamHandle stream)
      : ProductWays(p, stream), blas_(blas), plan_(plan), align_(align) {}

  std::vector<std::string> candidates() override {
    std::vector<std::string> names;
    for (const auto& algorithm : blas_.heuristics(product(), align_, plan_, most_candidates))
      names.push_back(name_of(algorithm));
    return names;
  }

  bool is_usable(const std::string& way) override {
    const auto algorithm = algorithm_of(way);
    if (!algorithm) return false;
    cublasLtMatmulHeuristicResult_t found{};
    const cublasStatus_t status =
        lt().cublasLtMatmulAlgoCheck(blas_.handle_.handle, plan_.description.handle, plan_.b.handle, plan_.a.handle,
                                     plan_.c.handle, plan_.c.handle, &*algorithm, &found);
    if (status != CUBLAS_STATUS_SUCCESS || found.workspaceSize > static_cast<std::size_t>(workspace_bytes))
      return false;
    if (product().batch == 1) return true;
    std::uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_MASK;  // cut by the caller, who wants it cut no further
    std::size_t written = 0;
    return lt().cublasLtMatmulAlgoConfigGetAttribute(&*algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme,
                                                     sizeof scheme, &written) == CUBLAS_STATUS_SUCCESS &&
           scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
  }

 private:
  void run(const Product& p, const std::string& way, StreamHandle stream) override {
    blas_.multiply(p, plan_, *algorithm_of(way), stream);
  }

  LtBlas& blas_;
  Plan& plan_;
  const int (&align_)[3];
};

void LtBlas::make(const Product& p, const int (&align)[3], Plan& plan, StreamHandle stream) {
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

  if (tuner_ && tuner_->is_on()) {
    LtWays ways(*this, plan, align, p, stream);
    const std::string name = tuner_->choose(Tuner::Kind::product, key_of(p), ways, stream);
    plan.algorithm = *algorithm_of(name);
  } else {
    plan.algorithm = heuristics(p, align, plan, 1).front();
  }
}

std::vector<cublasLtMatmulAlgo_t> LtBlas::heuristics(const Product& p, const int (&align)[3], const Plan& plan,
                                                     int most) {
  const auto& l = lt();
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
  cublasLtMatmulHeuristicResult_t found[most_candidates];
  int n_found = 0;
  check(l.cublasLtMatmulAlgoGetHeuristic(handle_.handle, plan.description.handle, plan.b.handle, plan.a.handle,
                                         plan.c.handle, plan.c.handle, preference.handle, most, found, &n_found),
        "cublasLtMatmulAlgoGetHeuristic");
  require(n_found >= 1, "cuBLASLt has no way to multiply [{}, {}] by [{}, {}]", p.m, p.k, p.k, p.n);
  std::vector<cublasLtMatmulAlgo_t> algorithms{found[0].algo};
  for (int i = 1; i < n_found; ++i) {
    if (found[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(found[i].algo);
  }
  return algorithms;
}

}  // namespace

std::unique_ptr<Blas> make_blas(Tuner* tuner) { return std::make_unique<LtBlas>(tuner); }

}  // namespace tarn::cuda
