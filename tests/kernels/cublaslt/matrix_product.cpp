// The data that is handed to cuBLASLt, executed by what it says, computes the matrix products of the op table.
#include "kernels/cuda/matrix_product.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/cublaslt/interpret_product.h"
#include "tests/kernels/op_table/call.h"

namespace graft::test {

namespace {

using cuda::F32Math;
using cuda::MatrixProduct;

constexpr Roles kRoles = MatmulArgs::kRoles;
constexpr int32_t kY = 3;

ProductMemory memory_of(const HostCall& call, int views) {
  ProductMemory memory;
  for (int i = 0; i < views; ++i) {
    const TensorView& view = views_of(call.args())[i];
    if (view.present()) memory[i] = {view.as<double>(), view.as<double>() + view.numel()};
  }
  return memory;
}

// What the header leaves to graft's own kernels, said again.
bool is_left_out(const MatmulArgs& m) {
  if (m.a.shape[0] * m.a.shape[1] * m.b.shape[0] * m.b.shape[1] == 0) return true;
  if (m.bias.present() && m.y.dtype != DType::f32) return true;
  return m.activation != Activation::none && m.activation != Activation::relu;
}

// "" or what is wrong. Types are those of the product for `type`, numbers are f64.
std::string check(const OpRow& row, DType type, int& computed) {
  const AnyArgs typed = typed_args(Primitive::matmul, row, type);
  const auto& args = *reinterpret_cast<const MatmulArgs*>(typed.bytes);
  const auto product = cuda::product_of(args, F32Math::strict);
  if (is_left_out(args)) return product ? "cuBLASLt has no such product" : "";
  if (!product) return "no product";
  const TensorView* views = views_of(static_cast<const void*>(&args));
  for (const auto* matrix : {&product->a, &product->b, &product->d})
    if (matrix->view < 0 || matrix->view >= kRoles.total() || matrix->type != views[matrix->view].dtype)
      return fmt::format("view {} has another type", matrix->view);
  if (product->d.view != kY) return "another view than y is written";
  if (product->bias.present() != args.bias.present() || product->bias.type != args.bias.dtype)
    return "the bias is lost, made up or of another type";

  HostCall call(Primitive::matmul, typed_args(Primitive::matmul, row, DType::f64),
                contents(Primitive::matmul, row, type, DType::f64));
  ProductMemory memory = memory_of(call, kRoles.inputs);
  interpret(*product, memory);
  if (call.run(reference_backend()) != Status::ok) return "the reference refuses the row";
  const std::vector<double> expected = memory_of(call, kRoles.total()).at(kY);
  const std::vector<double>& got = memory.at(kY);
  if (got.size() != expected.size()) return "the result has another size";
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - expected[i]) <= 1e-12 * (1 + std::abs(expected[i]))) && got[i] != expected[i] &&
        !(std::isnan(got[i]) && std::isnan(expected[i])))
      return fmt::format("element {} is {}, not {}", i, got[i], expected[i]);
  ++computed;
  return "";
}

}  // namespace

TEST_CASE("the product handed to cuBLASLt, interpreted, equals the reference") {
  for (DType type : {DType::f32, DType::bf16, DType::f16}) {
    int computed = 0;
    for (const OpRow& row : op_entry(Primitive::matmul).rows) {
      if (row.expected != Status::ok) continue;
      INFO(row.text << ", " << name_of(type));
      CHECK(check(row, type, computed) == "");
    }
    CHECK(computed >= 20);
  }
}

TEST_CASE("calls in f64 are not handed to cuBLASLt") {
  const AnyArgs args = typed_args(Primitive::matmul, op_entry(Primitive::matmul).rows.front(), DType::f64);
  CHECK_FALSE(cuda::product_of(*reinterpret_cast<const MatmulArgs*>(args.bytes), F32Math::strict));
}

TEST_CASE("f32 is rounded to tf32 where that is asked for, 16-bit elements never are") {
  const auto product = [](DType type, F32Math precision) {
    const TensorView square{nullptr, {8, 8}, type};
    return cuda::product_of(MatmulArgs{.a = square, .b = square, .y = square}, precision).value();
  };
  CHECK_FALSE(product(DType::f32, F32Math::strict).rounds_to_tf32);
  CHECK(product(DType::f32, F32Math::tf32).rounds_to_tf32);
  CHECK_FALSE(product(DType::bf16, F32Math::tf32).rounds_to_tf32);
}

// The product is the key under which an algorithm is kept.
TEST_CASE("matrix products that differ in anything but memory are different") {
  const TensorView square{nullptr, {8, 8}, DType::bf16};
  const MatmulArgs call{.a = square, .b = square, .y = {nullptr, {8, 8}, DType::f32}};
  const auto product = cuda::product_of(call, F32Math::strict);
  REQUIRE(product);
  MatmulArgs moved = call;
  moved.a.data = &moved;
  CHECK(cuda::product_of(moved, F32Math::strict) == product);

  std::vector<MatmulArgs> others(7, call);
  others[0].a.shape = others[0].y.shape = {9, 8};
  others[1].a.shape = {8, 9}, others[1].b.shape = {9, 8};
  others[2].b.shape = others[2].y.shape = {8, 9};
  others[3].transpose_a = 1;
  others[4].transpose_b = 1;
  others[5].activation = Activation::relu;
  others[6].bias = {nullptr, {8}, DType::f32};
  others.push_back(call);
  others.back().y.dtype = DType::bf16;
  others.push_back(call);
  others.back().a.dtype = others.back().b.dtype = DType::f16;
  for (size_t i = 0; i < others.size(); ++i) {
    INFO("other " << i);
    const auto other = cuda::product_of(others[i], F32Math::strict);
    REQUIRE(other);
    CHECK(other != product);
  }
}

}  // namespace graft::test
