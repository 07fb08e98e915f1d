// The products of the large-D path against double, on every instruction set, for sizes around every block size.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "compute/large_reference.hpp"
#include "gemm.hpp"

namespace tarn::cpu {
namespace {

using test::half_ulp;
using test::normal_matrix;

constexpr float guard = 12345.0f;

// A matrix [rows, cols] as panels of 32 columns, with guard values between them and where columns end.
struct PanelMatrix {
  std::int64_t rows, cols, stride;
  AlignedVector<float> values;

  PanelMatrix(std::int64_t n_rows, std::int64_t n_cols)
      : rows(n_rows),
        cols(n_cols),
        stride((n_rows + 1) * panel_lanes),
        values(static_cast<std::size_t>(panels_of(n_cols) * stride), guard) {}
  float& operator()(std::int64_t i, std::int64_t c) {
    return values[static_cast<std::size_t>(c / panel_lanes * stride + i * panel_lanes + c % panel_lanes)];
  }
  void fill(const Matrix<float>& from) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t c = 0; c < round_up(cols, 16); ++c) (*this)(i, c) = c < cols ? from(i, c) : 0.0f;
    }
  }
  // Whether all that lies outside [rows, cols rounded up to 16] is untouched.
  bool guards_hold() {
    for (std::int64_t c = 0; c < panels_of(cols) * panel_lanes; ++c) {
      for (std::int64_t i = 0; i <= rows; ++i) {
        if ((i == rows || c >= round_up(cols, 16)) && (*this)(i, c) != guard) return false;
      }
    }
    return true;
  }
};

class Product : public testing::TestWithParam<std::tuple<Isa, int, int, int>> {};

TEST_P(Product, MatchesDoubleInEveryLayoutAndEpilogue) {
  const auto [isa, rows, n_k, columns] = GetParam();
  const Matrix<float> w = normal_matrix(rows, n_k, 1), in = normal_matrix(n_k, columns, 2),
                      bias = normal_matrix(1, rows, 3), before = normal_matrix(rows, columns, 4);
  PanelMatrix x(n_k, columns), out(rows, columns), phi_of(rows, columns);
  x.fill(in);
  Matrix<float> transposed(n_k, rows + 3);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t k = 0; k < n_k; ++k) transposed(k, i) = w(i, k);
  }
  // the same weights with k in blocks of 32
  const std::int64_t block_stride = (rows + 2) * panel_lanes;
  AlignedVector<float> blocked(static_cast<std::size_t>(panels_of(n_k) * block_stride), NAN);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t k = 0; k < n_k; ++k)
      blocked[static_cast<std::size_t>(k / 32 * block_stride + i * 32 + k % 32)] = w(i, k);
  }

  PanelProduct p;
  p.n_rows = rows;
  p.n_k = n_k;
  p.n_columns = columns;
  p.in = x.values.data();
  p.in_panel = x.stride;
  p.out = out.values.data();
  p.out_panel = out.stride;
  for (int layout = 0; layout < 3; ++layout) {
    p.weights = layout == 0 ? w.data() : layout == 1 ? transposed.data() : blocked.data();
    p.weight_row = layout == 0 ? n_k : layout == 1 ? 1 : panel_lanes;
    p.weight_k = layout == 1 ? rows + 3 : 1;
    if (layout == 2) {
      p.k_block = panel_lanes;
      p.weight_block = block_stride;
    }
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::add, Epilogue::activate, Epilogue::derivative}) {
      p.epilogue = epilogue;
      p.phi = Nonlinearity::tanh;
      p.bias = epilogue == Epilogue::activate ? bias.data() : nullptr;
      out.fill(before);
      phi_of.fill(before);
      p.activations = phi_of.values.data();
      p.activation_panel = phi_of.stride;
      gemm_kernels(isa).product(p);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t c = 0; c < columns; ++c) {
          double sum = p.bias ? bias.data()[i] : 0.0, size = std::fabs(sum);
          for (std::int64_t k = 0; k < n_k; ++k) {
            const double term = static_cast<double>(w(i, k)) * in(k, c);
            sum += term;
            size += std::fabs(term);
          }
          double factor = 1.0;
          if (epilogue == Epilogue::add) sum += before(i, c);
          if (epilogue == Epilogue::activate) sum = std::tanh(sum);
          if (epilogue == Epilogue::derivative) factor = 1.0 - static_cast<double>(before(i, c)) * before(i, c);
          // n_k + 2 roundings of at most the sum of magnitudes (twice that without fma), then the epilogue's own
          const double bound =
              half_ulp * (static_cast<double>(2 * n_k + 4) * std::fabs(factor) * size + 8.0 * std::fabs(sum) +
                          8.0 * std::fabs(sum) * (1.0 + static_cast<double>(before(i, c)) * before(i, c)));
          ASSERT_NEAR(out(i, c), sum * factor, bound + 1e-30) << "row " << i << ", column " << c << ", layout "
                                                              << layout << ", epilogue " << static_cast<int>(epilogue);
        }
      }
      ASSERT_TRUE(out.guards_hold()) << "layout " << layout << ", epilogue " << static_cast<int>(epilogue);
    }
  }
}

std::string name_of_case(const testing::TestParamInfo<Product::ParamType>& info) {
  const auto [isa, rows, n_k, columns] = info.param;
  return "isa" + std::to_string(static_cast<int>(isa)) + "_" + std::to_string(rows) + "x" + std::to_string(n_k) + "x" +
         std::to_string(columns);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Product,
                         testing::Combine(testing::ValuesIn(available_isas()),
                                          testing::Values(1, 5, 13, 14, 15, 31, 43), testing::Values(1, 31, 33, 65),
                                          testing::Values(1, 16, 17, 32, 33, 65)),
                         name_of_case);

TEST(Product, RowMajorResult) {
  const std::int64_t rows = 19, n_k = 40, columns = 50, stride = 64;
  const Matrix<float> w = normal_matrix(rows, n_k, 1);
  Matrix<float> in(n_k, stride), out(rows, stride);
  const Matrix<float> values = normal_matrix(n_k, columns, 2);
  for (std::int64_t k = 0; k < n_k; ++k) std::copy_n(values.row(k), columns, in.row(k));
  PanelProduct p;
  p.n_rows = rows;
  p.n_k = n_k;
  p.n_columns = columns;
  p.weights = w.data();
  p.weight_row = n_k;
  p.in = in.data();
  p.in_panel = p.out_panel = panel_lanes;
  p.in_row = p.out_row = stride;
  p.out = out.data();
  for (const Isa isa : available_isas()) {
    gemm_kernels(isa).product(p);
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t c = 0; c < columns; ++c) {
        double sum = 0.0, size = 0.0;
        for (std::int64_t k = 0; k < n_k; ++k) {
          sum += static_cast<double>(w(i, k)) * in(k, c);
          size += std::fabs(static_cast<double>(w(i, k)) * in(k, c));
        }
        ASSERT_NEAR(out(i, c), sum, half_ulp * static_cast<double>(2 * n_k) * size);
      }
    }
  }
}

// Instruction sets with a fused multiply-add give the same bits: terms are added in one order everywhere.
TEST(Product, SameBitsOnEveryInstructionSetWithFma) {
  std::vector<Isa> isas = available_isas();
  std::erase(isas, Isa::baseline);
  if (isas.size() < 2) GTEST_SKIP() << "fewer than two such instruction sets here";
  const Matrix<float> w = normal_matrix(45, 77, 1), in = normal_matrix(77, 70, 2);
  PanelMatrix x(77, 70), first(45, 70), second(45, 70);
  x.fill(in);
  PanelProduct p;
  p.n_rows = 45;
  p.n_k = 77;
  p.n_columns = 70;
  p.weights = w.data();
  p.weight_row = 77;
  p.in = x.values.data();
  p.in_panel = x.stride;
  p.out_panel = first.stride;
  p.out = first.values.data();
  gemm_kernels(isas[0]).product(p);
  p.out = second.values.data();
  gemm_kernels(isas[1]).product(p);
  EXPECT_EQ(first.values, second.values);
}

}  // namespace
}  // namespace tarn::cpu
