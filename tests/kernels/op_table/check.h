// One row of the op table on one backend.
#pragma once
#include <string>

#include "tests/kernels/op_table/backends.h"
#include "tests/kernels/op_table/call.h"
#include "tests/kernels/op_table/op_table.h"

namespace graft::test {

// "" or what is wrong. An ordinary row runs aligned, unaligned and, where that is allowed, in place. All must give the
// same bits, within the row's bound of the reference in f64. A row that expects an error must change nothing.
std::string check_row(const BackendUnderTest&, const Backend& backend, const Backend& reference, const OpEntry&,
                      const OpRow&, DType);

// "" or what is wrong with `got`, the outputs of a call with `args`, beside the reference on `exact`, the same call in
// f64. Of the row its bound and the names of its views are used, and which of them are `real`.
std::string compare_outputs(const Backend& reference, const OpEntry&, const OpRow&, const AnyArgs& args,
                            const HostCall& exact, const Tensors& got);

// Whether the row says anything about this type: one that names all its types is run once, with the backend's first.
bool applies(const BackendUnderTest&, const OpEntry&, const OpRow&, DType);

}  // namespace graft::test
