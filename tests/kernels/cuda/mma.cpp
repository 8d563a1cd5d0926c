// Tensor cores: who holds what, by the tables of the PTX ISA written out here, and whole products of small integers,
// whose sums are exact in any order, against plain loops.
#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "tests/cuda_on_host/access_log.h"
#include "tests/cuda_on_host/tests/arrays.h"
#include "tests/kernels/cuda/mma_kernels.h"

namespace graft::test {

namespace {

using cuda_on_host::test::DeviceArray;
using cuda_on_host::test::must;

// Integers of at most 256 in size, which bf16 holds exactly, and f16 too.
template <typename T>
uint16_t bits_of(int value) {
  const T x = static_cast<T>(static_cast<float>(value));
  uint16_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
size_t index(int row, int columns, int column) {
  return static_cast<size_t>(row) * static_cast<size_t>(columns) + static_cast<size_t>(column);
}
int small(size_t i, int range) {  // in [−range, range]
  uint64_t h = i * 0x9E3779B97F4A7C15u + 0x7F4A7C15u;
  h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
  return static_cast<int>((h >> 33) % static_cast<uint64_t>(2 * range + 1)) - range;
}

// "Matrix Fragments for mma.m16n8k16 with floating point type": element i of a lane.
struct Place {
  int row, column;
};
Place place_in_a(int lane, int i) {
  const int group = lane >> 2, member = lane % 4;
  return {(0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8, member * 2 + (i & 1) + (i < 4 ? 0 : 8)};
}
Place place_in_b(int lane, int i) {
  const int group = lane >> 2, member = lane % 4;
  return {member * 2 + (i & 1) + (i < 2 ? 0 : 8), group};
}
Place place_in_c(int lane, int i) {
  const int group = lane >> 2, member = lane % 4;
  return {i < 2 ? group : group + 8, member * 2 + (i & 1)};
}

template <typename T>
void check_mma() {
  int a[16][16], b[16][8], c[16][8];
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) a[i][k] = i * 16 + k;  // each element its own
    for (int j = 0; j < 8; ++j) {
      b[i][j] = small(index(i, 8, j), 8);
      c[i][j] = i * 8 + j;
    }
  }
  std::vector<uint32_t> a_registers(32 * 4), b_registers(32 * 2);
  std::vector<float> c_registers(32 * 4);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 8; ++i) {
      const Place p = place_in_a(lane, i);
      a_registers[index(lane, 4, i / 2)] |= uint32_t{bits_of<T>(a[p.row][p.column])} << i % 2 * 16;
    }
    for (int i = 0; i < 4; ++i) {
      const Place p = place_in_b(lane, i), q = place_in_c(lane, i);
      b_registers[index(lane, 2, i / 2)] |= uint32_t{bits_of<T>(b[p.row][p.column])} << i % 2 * 16;
      c_registers[index(lane, 4, i)] = static_cast<float>(c[q.row][q.column]);
    }
  }
  cuda_on_host::reset();
  DeviceArray<uint32_t> left(a_registers), right(b_registers);
  DeviceArray<float> out(c_registers);
  must(launch_mma<T>(left.data(), right.data(), out.data()));
  const std::vector<float> got = out.values();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const Place p = place_in_c(lane, i);
      int expected = c[p.row][p.column];
      for (int k = 0; k < 16; ++k) expected += a[p.row][k] * b[k][p.column];
      INFO("lane " << lane << ", element " << i);
      CHECK(got[index(lane, 4, i)] == static_cast<float>(expected));
    }
}

}  // namespace

TEST_CASE("mma multiplies fragments laid out as the PTX ISA says", "[mma]") {
  check_mma<__nv_bfloat16>();
  check_mma<__half>();
}

// Matrix m, row i, column j holds 64·m + 8·i + j.
TEST_CASE("ldmatrix gives each lane its neighbours, also transposed", "[mma]") {
  cuda_on_host::reset();
  std::vector<uint16_t> matrices(4 * 64);
  for (size_t i = 0; i < matrices.size(); ++i) matrices[i] = static_cast<uint16_t>(i);
  for (const bool transposed : {false, true}) {
    DeviceArray<uint16_t> in(matrices);
    DeviceArray<uint32_t> out(32 * 4);
    must(launch_load_matrices(in.data(), out.data(), transposed));
    const std::vector<uint32_t> registers = out.values();
    for (uint32_t lane = 0; lane < 32; ++lane)
      for (uint32_t m = 0; m < 4; ++m) {
        const uint32_t row = lane / 4, column = 2 * (lane % 4);  // of the matrix as it was, or of its transpose
        const uint32_t first = 64 * m + (transposed ? 8 * column + row : 8 * row + column);
        const uint32_t second = transposed ? first + 8 : first + 1;
        INFO("lane " << lane << ", matrix " << m << ", transposed " << transposed);
        CHECK(registers[lane * 4 + m] == (second << 16 | first));
      }
  }
}

// Element (i, k) holds 32·i + k: the registers are those of `a`, whichever way the operand lies in memory.
TEST_CASE("an operand's tile gives fragments without bank conflicts", "[mma]") {
  cuda_on_host::reset();
  for (const bool depth_major : {true, false}) {
    std::vector<uint16_t> operand(128 * 32);
    for (size_t i = 0; i < 128; ++i)
      for (size_t k = 0; k < 32; ++k)
        operand[depth_major ? i * 32 + k : k * 128 + i] = static_cast<uint16_t>(32 * i + k);
    DeviceArray<uint16_t> in(operand);
    DeviceArray<uint32_t> out(8 * 2 * 32 * 4);
    const cuda_on_host::AccessLog log;
    must(launch_operand_tile(in.data(), out.data(), depth_major));
    const std::vector<uint32_t> registers = out.values();
    for (int i = 0; i < 8; ++i)
      for (int k = 0; k < 2; ++k)
        for (int lane = 0; lane < 32; ++lane)
          for (int j = 0; j < 8; ++j) {
            const Place p = place_in_a(lane, j);
            const uint32_t got = registers[index((i * 2 + k) * 32 + lane, 4, j / 2)] >> j % 2 * 16;
            INFO("tile " << i << " " << k << ", lane " << lane << ", element " << j);
            REQUIRE((got & 0xffff) == static_cast<uint32_t>(32 * (16 * i + p.row) + 16 * k + p.column));
          }
    for (const auto& [name, k] : log.report()) {
      CHECK(k.shared_accesses == 16);
      CHECK(k.bank_conflicts == 0);
    }
  }
}

namespace {

struct Product {
  int64_t rows, depth, columns;
};

// y = op(a) · op(b) by loops, against matmul_mma.
template <typename T>
void check_product(const Product& p, bool transpose_a, bool transpose_b) {
  INFO(p.rows << " x " << p.depth << " x " << p.columns << (transpose_a ? ", a transposed" : "")
              << (transpose_b ? ", b transposed" : ""));
  std::vector<int> a(static_cast<size_t>(p.rows * p.depth)), b(static_cast<size_t>(p.depth * p.columns));
  for (size_t i = 0; i < a.size(); ++i) a[i] = small(i, 3);
  for (size_t i = 0; i < b.size(); ++i) b[i] = small(i + 7, 3);
  const auto stored = [](const std::vector<int>& values) {
    std::vector<uint16_t> bits;
    for (const int v : values) bits.push_back(bits_of<T>(v));
    return bits;
  };
  DeviceArray<uint16_t> left(stored(a)), right(stored(b));
  DeviceArray<float> out(static_cast<size_t>(p.rows * p.columns));
  constexpr DType type = std::is_same_v<T, __half> ? DType::f16 : DType::bf16;
  MatmulArgs args{.a = {left.data(), transpose_a ? Shape{p.depth, p.rows} : Shape{p.rows, p.depth}, type},
                  .b = {right.data(), transpose_b ? Shape{p.columns, p.depth} : Shape{p.depth, p.columns}, type},
                  .y = {out.data(), {p.rows, p.columns}, DType::f32},
                  .transpose_a = transpose_a,
                  .transpose_b = transpose_b};
  const int64_t bytes = matmul_workspace(args);
  DeviceArray<char> workspace(static_cast<size_t>(bytes) + 1);
  CallContext call{.workspace = workspace.data(), .workspace_bytes = bytes};
  REQUIRE(matmul<T>(call, args) == Status::ok);
  const std::vector<float> got = out.values();
  int64_t wrong = 0;
  for (int64_t i = 0; i < p.rows; ++i)
    for (int64_t j = 0; j < p.columns; ++j) {
      int sum = 0;
      for (int64_t k = 0; k < p.depth; ++k)
        sum += a[static_cast<size_t>(transpose_a ? k * p.rows + i : i * p.depth + k)] *
               b[static_cast<size_t>(transpose_b ? j * p.depth + k : k * p.columns + j)];
      wrong += got[static_cast<size_t>(i * p.columns + j)] != static_cast<float>(sum);
    }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("products of small integers are exact: tails, long sums in parts, large tiles", "[mma]") {
  cuda_on_host::reset();
  for (const bool transpose_a : {false, true})
    for (const bool transpose_b : {false, true}) {
      check_product<__nv_bfloat16>({1, 1, 1}, transpose_a, transpose_b);
      check_product<__nv_bfloat16>({70, 96, 72}, transpose_a, transpose_b);
      check_product<__nv_bfloat16>({13, 517, 129}, transpose_a, transpose_b);
      check_product<__half>({24, 1024, 40}, transpose_a, transpose_b);
      check_product<__nv_bfloat16>({65, 8, 3969}, transpose_a, transpose_b);
    }
}

}  // namespace graft::test
