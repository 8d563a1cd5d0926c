#include "io/torch/pickle_globals.h"

#include <iterator>

namespace graft::io::torch {

namespace {

using enum ElementType;

constexpr Global kGlobals[] = {
    {"collections.OrderedDict", Role::dict},
    {"collections.defaultdict", Role::dict},
    {"collections.Counter", Role::dict},
    {"torch.Size", Role::tuple},

    {"torch._utils._rebuild_tensor", Role::rebuild_tensor},
    {"torch._utils._rebuild_tensor_v2", Role::rebuild_tensor},
    {"torch._utils._rebuild_tensor_v3", Role::rebuild_tensor_v3},
    {"torch._utils._rebuild_parameter", Role::rebuild_parameter},
    {"torch._utils._rebuild_parameter_with_state", Role::rebuild_parameter},
    {"torch._tensor._rebuild_from_type_v2", Role::rebuild_from_type},
    {"torch.nn.parameter.Parameter", Role::opaque},
    {"torch.nn.parameter.Buffer", Role::opaque},
    {"torch.Tensor", Role::opaque},

    {"torch._utils._rebuild_sparse_tensor", Role::unsupported_tensor},
    {"torch._utils._rebuild_qtensor", Role::unsupported_tensor},
    {"torch._utils._rebuild_nested_tensor", Role::unsupported_tensor},
    {"torch._utils._rebuild_meta_tensor_no_storage", Role::unsupported_tensor},
    {"torch._utils._rebuild_device_tensor_from_numpy", Role::unsupported_tensor},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", Role::unsupported_tensor},
    {"torch._utils._rebuild_wrapper_subclass", Role::unsupported_tensor},

    {"torch.DoubleStorage", Role::storage, f64},
    {"torch.FloatStorage", Role::storage, f32},
    {"torch.HalfStorage", Role::storage, f16},
    {"torch.BFloat16Storage", Role::storage, bf16},
    {"torch.LongStorage", Role::storage, i64},
    {"torch.IntStorage", Role::storage, i32},
    {"torch.ShortStorage", Role::storage, i16},
    {"torch.CharStorage", Role::storage, i8},
    {"torch.ByteStorage", Role::storage, u8},
    {"torch.BoolStorage", Role::storage, boolean},
    {"torch.UntypedStorage", Role::storage, u8},
    {"torch.storage.UntypedStorage", Role::storage, u8},
    {"torch.ComplexFloatStorage", Role::storage},
    {"torch.ComplexDoubleStorage", Role::storage},
    {"torch.QInt8Storage", Role::storage},
    {"torch.QUInt8Storage", Role::storage},
    {"torch.QInt32Storage", Role::storage},
    // Files of early versions, saved from a GPU.
    {"torch.cuda.DoubleStorage", Role::storage, f64},
    {"torch.cuda.FloatStorage", Role::storage, f32},
    {"torch.cuda.HalfStorage", Role::storage, f16},
    {"torch.cuda.BFloat16Storage", Role::storage, bf16},
    {"torch.cuda.LongStorage", Role::storage, i64},
    {"torch.cuda.IntStorage", Role::storage, i32},
    {"torch.cuda.ShortStorage", Role::storage, i16},
    {"torch.cuda.CharStorage", Role::storage, i8},
    {"torch.cuda.ByteStorage", Role::storage, u8},
    {"torch.cuda.BoolStorage", Role::storage, boolean},

    {"torch.float64", Role::dtype, f64},
    {"torch.float32", Role::dtype, f32},
    {"torch.float16", Role::dtype, f16},
    {"torch.bfloat16", Role::dtype, bf16},
    {"torch.int64", Role::dtype, i64},
    {"torch.int32", Role::dtype, i32},
    {"torch.int16", Role::dtype, i16},
    {"torch.int8", Role::dtype, i8},
    {"torch.uint8", Role::dtype, u8},
    {"torch.bool", Role::dtype, boolean},
    {"torch.uint16", Role::dtype},
    {"torch.uint32", Role::dtype},
    {"torch.uint64", Role::dtype},
    {"torch.complex64", Role::dtype},
    {"torch.float8_e4m3fn", Role::dtype},
    {"torch.float8_e5m2", Role::dtype},

    // What checkpoints keep beside the weights: best accuracy, options of the run, …
    {"argparse.Namespace", Role::opaque},
    {"types.SimpleNamespace", Role::opaque},
    {"builtins.set", Role::opaque},
    {"builtins.frozenset", Role::opaque},
    {"builtins.list", Role::opaque},
    {"builtins.dict", Role::dict},
    {"builtins.int", Role::opaque},
    {"builtins.float", Role::opaque},
    {"builtins.complex", Role::opaque},
    {"builtins.slice", Role::opaque},
    {"builtins.range", Role::opaque},
    {"builtins.bytearray", Role::opaque},
    {"builtins.object", Role::opaque},
    {"__builtin__.set", Role::opaque},
    {"__builtin__.frozenset", Role::opaque},
    {"__builtin__.list", Role::opaque},
    {"__builtin__.dict", Role::dict},
    {"__builtin__.complex", Role::opaque},
    {"__builtin__.slice", Role::opaque},
    {"__builtin__.xrange", Role::opaque},
    {"__builtin__.bytearray", Role::opaque},
    {"__builtin__.object", Role::opaque},
    {"copy_reg._reconstructor", Role::opaque},
    {"copyreg._reconstructor", Role::opaque},
    {"datetime.datetime", Role::opaque},
    {"datetime.date", Role::opaque},
    {"datetime.timedelta", Role::opaque},
    {"pathlib.PosixPath", Role::opaque},
    {"pathlib.WindowsPath", Role::opaque},
    {"pathlib.PurePosixPath", Role::opaque},
    {"_codecs.encode", Role::opaque},
    {"numpy.ndarray", Role::opaque},
    {"numpy.dtype", Role::opaque},
    {"numpy.core.multiarray.scalar", Role::opaque},
    {"numpy.core.multiarray._reconstruct", Role::opaque},
    {"numpy._core.multiarray.scalar", Role::opaque},
    {"numpy._core.multiarray._reconstruct", Role::opaque},
    {"torch.device", Role::opaque},
    {"torch.strided", Role::opaque},
    {"torch.serialization._get_layout", Role::opaque},
};

}  // namespace

size_t find_global(std::string_view name) {
  for (size_t i = 0; i < std::size(kGlobals); ++i)
    if (kGlobals[i].name == name) return i;
  return kNoGlobal;
}

const Global& global_at(size_t index) { return kGlobals[index]; }

}  // namespace graft::io::torch
