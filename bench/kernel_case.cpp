#include "bench/kernel_case.h"

namespace graft::bench {

std::string KernelCase::name() const {
  return pass == "forward" ? line : operation + "." + pass + line.substr(operation.size());
}

int64_t KernelCase::bytes() const {
  int64_t sum = 0;
  for (int i = 0; i < roles().total(); ++i) {
    const bool both = i >= roles().inputs && i < roles().inputs + roles().inouts;
    sum += view(i).bytes() * (both ? 2 : 1);
  }
  return sum;
}

}  // namespace graft::bench
