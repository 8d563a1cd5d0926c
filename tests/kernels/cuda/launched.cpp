// Which kernels the op table launches; kernels.py compares the list with what nvcc made of them.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/op_table/call.h"

namespace graft::test {

TEST_CASE("every kernel that the op table launches is launched with two blocks at least once", "[launched]") {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  for (const DType type : {DType::f32, DType::bf16, DType::f16})
    for (const OpEntry& op : op_table())
      for (const OpRow& row : op.rows)
        if (row.expected == Status::ok && backend.run[static_cast<int>(op.primitive)] != nullptr)
          run_watched(backend, Watch::device, op.primitive, typed_args(op.primitive, row, type),
                      contents(op.primitive, row, type, type), row, {});
  backend.destroy(backend.self);

  const char* file = std::getenv("GRAFT_LAUNCHED");
  std::ofstream list(file != nullptr ? file : "/dev/null");
  CHECK_FALSE(cuda_on_host::launched_kernels().empty());
  for (const auto& [name, kernel] : cuda_on_host::launched_kernels()) {
    INFO(name);
    CHECK(kernel.most_blocks >= 2);
    list << nlohmann::json{{"name", name}, {"blocks", kernel.most_blocks}, {"threads", kernel.most_threads}}.dump()
         << "\n";
  }
}

}  // namespace graft::test
