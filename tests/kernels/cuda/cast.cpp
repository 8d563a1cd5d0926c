// Casts of integers that no f64 holds: the op table's contents are f64.
#include <catch2/catch.hpp>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"

namespace graft::test {

namespace {

template <typename To>
std::vector<To> cast(const std::vector<int64_t>& x, DType to) {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  const auto n = static_cast<int64_t>(x.size());
  CastArgs args{.x = {nullptr, {n}, DType::i64}, .y = {nullptr, {n}, to}};
  for (TensorView* view : {&args.x, &args.y})
    REQUIRE(backend.device.allocate(backend.self, view->bytes(), &view->data) == Status::ok);
  REQUIRE(backend.device.copy(backend.self, nullptr, args.x.data, x.data(), args.x.bytes(), CopyKind::host_to_device) ==
          Status::ok);
  CallContext call{.self = backend.self};
  REQUIRE(backend.run[static_cast<int>(Primitive::cast)](&call, &args) == Status::ok);
  std::vector<To> y(x.size());
  REQUIRE(backend.device.copy(backend.self, nullptr, y.data(), args.y.data, args.y.bytes(), CopyKind::device_to_host) ==
          Status::ok);
  REQUIRE(backend.device.synchronize(backend.self, nullptr) == Status::ok);
  backend.destroy(backend.self);
  cuda_on_host::reset();
  return y;
}

}  // namespace

// 2^62 + half a unit in the last place, one less, one more: to even, down, up. Through f64 all three would be ties.
TEST_CASE("integers beyond 2^53 are rounded once") {
  constexpr int64_t k62 = int64_t{1} << 62;
  const auto around = [](int64_t half) {
    return std::vector<int64_t>{k62 + half - 1,  k62 + half,  k62 + half + 1,
                                -k62 - half + 1, -k62 - half, -k62 - half - 1};
  };
  CHECK(cast<uint16_t>(around(int64_t{1} << 54), DType::bf16) ==
        std::vector<uint16_t>{0x5E80, 0x5E80, 0x5E81, 0xDE80, 0xDE80, 0xDE81});
  CHECK(cast<float>(around(int64_t{1} << 38), DType::f32) ==
        std::vector<float>{0x1p62f, 0x1p62f, 0x1.000002p62f, -0x1p62f, -0x1p62f, -0x1.000002p62f});
  CHECK(cast<uint16_t>({k62 + 1, -k62 - 1}, DType::f16) == std::vector<uint16_t>{0x7C00, 0xFC00});
  CHECK(cast<int64_t>({k62 + 1, -k62 - 1, INT64_MIN}, DType::i64) ==
        std::vector<int64_t>{k62 + 1, -k62 - 1, INT64_MIN});
}

}  // namespace graft::test
