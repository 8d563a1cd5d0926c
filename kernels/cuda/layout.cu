// Elements filled, converted and moved: fill, cast, permute, copy_slice, the subsampled shortcut and its backward.
//
// Memory traffic: each element read is read once, each written is written once.
//   fill            n·sizeof(T)                        16 bytes a thread
//   cast            n·(sizeof(From) + sizeof(To))      16 bytes of the wider type a thread
//   copy_slice      2·outer·count·sizeof(T)            16 bytes a thread where rows and memory are multiples of that,
//                                                      else the widest of 8, 4, 2, 1 bytes that divides them
//   permute         2·n·sizeof(T)                      rows as copy_slice where x and y share their last axis; else
//                                                      tiles through shared memory, so that a warp reads along x's
//                                                      last axis and writes along y's
//   subsample_pad   |y| + |x| / stride² and back, f32
// Axes of extent 1 vanish, and axes that stay neighbours become one, before permute chooses.
#include "kernels/cuda/convert.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/memory.h"

namespace graft::cuda {

namespace {
constexpr int kThreads = 256;

dim3 blocks_for(int64_t threads) { return dim3(static_cast<unsigned>(ceil_div(threads, kThreads))); }
__device__ inline int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

// Elements a thread converts: 16 bytes of the wider type; two of 1 byte each are not worth a kernel of their own.
__host__ __device__ constexpr int per_thread(size_t from, size_t to) {
  const size_t wider = from > to ? from : to;
  return wider == 8 ? 2 : wider == 4 ? 4 : 8;
}
}  // namespace

// ---- y[i] = value

template <typename Bits>
__global__ __launch_bounds__(kThreads) void fill_kernel(Bits* y, Bits value, int64_t n, bool aligned) {
  constexpr int kN = kPerVector<Bits>;
  const int64_t begin = thread_index() * kN;
  if (begin + kN <= n) {
    Vector<Bits, kN> v;
    for (int k = 0; k < kN; ++k) v.at[k] = value;
    store_vector(y + begin, v, aligned);
  } else {
    for (int64_t i = begin; i < n; ++i) store(y + i, value);
  }
}

// Only the bits matter: one kernel for all types of a size.
template <typename T, typename Bits>
Status fill_as(CallContext& call, const FillArgs& a) {
  const auto value = converted<T>(a.value);
  Bits bits;
  static_assert(sizeof(bits) == sizeof(value));
  memcpy(&bits, &value, sizeof(bits));
  auto* y = a.y.as<Bits>();
  const int64_t n = a.y.numel();
  return launch(call, {"fill", blocks_for(ceil_div(n, kPerVector<Bits>)), dim3(kThreads)}, fill_kernel<Bits>, y, bits,
                n, all_aligned(y));
}

Status fill(CallContext& call, const FillArgs& a) {
  switch (a.y.dtype) {
    case DType::f64:
      return fill_as<double, uint64_t>(call, a);
    case DType::f32:
      return fill_as<float, uint32_t>(call, a);
    case DType::bf16:
      return fill_as<__nv_bfloat16, uint16_t>(call, a);
    case DType::f16:
      return fill_as<__half, uint16_t>(call, a);
    case DType::i64:
      return fill_as<int64_t, uint64_t>(call, a);
    case DType::u8:
      return fill_as<uint8_t, uint8_t>(call, a);
    case DType::none:
      break;
  }
  return Status::invalid_argument;
}

// ---- y[i] = x[i] in y's type

struct Conversion {
  const void* x;
  void* y;
  DType from, to;
  int64_t n;
  bool aligned;
};

template <int kN, typename From, typename To>
__device__ inline void convert(const Conversion& a) {
  if constexpr (per_thread(sizeof(From), sizeof(To)) == kN) {  // other pairs are another instantiation's
    const auto* from = static_cast<const From*>(a.x);
    auto* to = static_cast<To*>(a.y);
    const int64_t begin = thread_index() * kN;
    if (begin + kN <= a.n) {
      const Vector<From, kN> x = load_vector<kN>(from + begin, a.aligned);
      Vector<To, kN> y;
      for (int k = 0; k < kN; ++k) y.at[k] = converted<To>(x.at[k]);
      store_vector(to + begin, y, a.aligned);
    } else {
      for (int64_t i = begin; i < a.n; ++i) store(to + i, converted<To>(load(from + i)));
    }
  }
}

template <int kN, typename From>
__device__ inline void convert_from(const Conversion& a) {
  switch (a.to) {
    case DType::f64:
      return convert<kN, From, double>(a);
    case DType::f32:
      return convert<kN, From, float>(a);
    case DType::bf16:
      return convert<kN, From, __nv_bfloat16>(a);
    case DType::f16:
      return convert<kN, From, __half>(a);
    case DType::i64:
      return convert<kN, From, int64_t>(a);
    case DType::u8:
      return convert<kN, From, uint8_t>(a);
    case DType::none:
      return;
  }
}

// The types are the same for all threads: branches on them cost nothing beside memory.
template <int kN>
__global__ __launch_bounds__(kThreads) void cast_kernel(Conversion a) {
  switch (a.from) {
    case DType::f64:
      return convert_from<kN, double>(a);
    case DType::f32:
      return convert_from<kN, float>(a);
    case DType::bf16:
      return convert_from<kN, __nv_bfloat16>(a);
    case DType::f16:
      return convert_from<kN, __half>(a);
    case DType::i64:
      return convert_from<kN, int64_t>(a);
    case DType::u8:
      return convert_from<kN, uint8_t>(a);
    case DType::none:
      return;
  }
}

Status cast(CallContext& call, const CastArgs& a) {
  const Conversion c{a.x.data,  a.y.data,    a.x.dtype,
                     a.y.dtype, a.y.numel(), all_aligned(a.x.as<const char>(), a.y.as<const char>())};
  const int width = per_thread(size_of(c.from), size_of(c.to));
  const LaunchConfig config{"cast", blocks_for(ceil_div(c.n, width)), dim3(kThreads)};
  return width == 2   ? launch(call, config, cast_kernel<2>, c)
         : width == 4 ? launch(call, config, cast_kernel<4>, c)
                      : launch(call, config, cast_kernel<8>, c);
}

// ---- rows copied

// Some axes of x and y, slowest first: where their index `i`, counted in y's order, lies in each.
struct Axes {
  int32_t rank = 0;
  int64_t extent[kMaxRank] = {}, x_stride[kMaxRank] = {}, y_stride[kMaxRank] = {};

  void push(int64_t e, int64_t x, int64_t y) { extent[rank] = e, x_stride[rank] = x, y_stride[rank++] = y; }
  void remove(int axis) {
    for (--rank; axis < rank; ++axis)
      extent[axis] = extent[axis + 1], x_stride[axis] = x_stride[axis + 1], y_stride[axis] = y_stride[axis + 1];
  }
  __device__ void offsets(int64_t i, int64_t& x, int64_t& y) const {
    x = y = 0;
    for (int axis = rank - 1; axis >= 0; --axis) {
      const int64_t at = axis > 0 ? i % extent[axis] : i;
      i /= extent[axis];
      x += at * x_stride[axis];
      y += at * y_stride[axis];
    }
  }
};

// y[row, i] = x[row, i], i < inner, in units of up to 16 bytes; a thread moves one.
template <typename Unit>
__global__ __launch_bounds__(kThreads) void copy_rows_kernel(const Unit* x, Unit* y, Axes rows, int64_t inner,
                                                             int64_t n) {
  const int64_t i = thread_index();
  if (i >= n) return;
  int64_t x_row, y_row;
  rows.offsets(i / inner, x_row, y_row);
  store(y + y_row + i % inner, load(x + x_row + i % inner));
}

template <typename Unit>
Status copy_units(CallContext& call, const char* name, const char* x, char* y, Axes rows, int64_t inner) {
  constexpr int64_t kSize = sizeof(Unit);
  int64_t n = inner /= kSize;
  for (int axis = 0; axis < rows.rank; ++axis) {
    n *= rows.extent[axis];
    rows.x_stride[axis] /= kSize, rows.y_stride[axis] /= kSize;
  }
  return launch(call, {name, blocks_for(n), dim3(kThreads)}, copy_rows_kernel<Unit>, reinterpret_cast<const Unit*>(x),
                reinterpret_cast<Unit*>(y), rows, inner, n);
}

// Extents of rows in rows, strides in elements, inner > 0 elements a row.
Status copy_rows(CallContext& call, const char* name, const char* x, char* y, size_t element, Axes rows,
                 int64_t inner) {
  const auto size = static_cast<int64_t>(element);
  inner *= size;
  uintptr_t all = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y) | static_cast<uintptr_t>(inner);
  for (int axis = 0; axis < rows.rank; ++axis) {
    rows.x_stride[axis] *= size, rows.y_stride[axis] *= size;
    all |= static_cast<uintptr_t>(rows.x_stride[axis] | rows.y_stride[axis]);
  }
  if (all % 16 == 0) return copy_units<Vector<uint32_t, 4>>(call, name, x, y, rows, inner);
  if (all % 8 == 0) return copy_units<uint64_t>(call, name, x, y, rows, inner);
  if (all % 4 == 0) return copy_units<uint32_t>(call, name, x, y, rows, inner);
  if (all % 2 == 0) return copy_units<uint16_t>(call, name, x, y, rows, inner);
  return copy_units<uint8_t>(call, name, x, y, rows, inner);
}

Status copy_slice(CallContext& call, const CopySliceArgs& a) {
  call.kernel = "copy_slice";
  if (a.outer == 0 || a.count == 0) return Status::ok;
  const auto size = static_cast<int64_t>(size_of(a.x.dtype));
  Axes rows;
  if (a.outer > 1) rows.push(a.outer, a.x_row, a.y_row);
  return copy_rows(call, "copy_slice", a.x.as<const char>() + a.x_begin * size, a.y.as<char>() + a.y_begin * size,
                   size_of(a.x.dtype), rows, a.count);
}

// ---- permute

constexpr int kTile = 1024;           // elements of a tile
constexpr int kTileRoom = 2 * kTile;  // with padding

// Axis p is x's last, q is y's. A tile has p_tile · q_tile elements; `batch` are the other axes.
struct Transposition {
  Axes batch;
  int64_t p_extent, q_extent, p_stride_in_y, q_stride_in_x, p_tiles, q_tiles;
  int32_t p_tile, q_tile;
  int32_t p_pitch, q_pitch;  // of a tile in shared memory; 1 along its longer side
};

template <typename Bits>
__global__ __launch_bounds__(kThreads) void transpose_kernel(const Bits* x, Bits* y, Transposition t) {
  GRAFT_SHARED(Bits, tile, [kTileRoom]);
  const int64_t block = blockIdx.x;
  const int64_t p = block % t.p_tiles * t.p_tile, q = block / t.p_tiles % t.q_tiles * t.q_tile;
  const int np = static_cast<int>(t.p_extent - p < t.p_tile ? t.p_extent - p : t.p_tile);
  const int nq = static_cast<int>(t.q_extent - q < t.q_tile ? t.q_extent - q : t.q_tile);
  int64_t from, to;
  t.batch.offsets(block / t.p_tiles / t.q_tiles, from, to);
  from += q * t.q_stride_in_x + p;
  to += p * t.p_stride_in_y + q;
  for (int i = static_cast<int>(threadIdx.x); i < np * nq; i += kThreads)
    store_shared(&tile[i / np * t.q_pitch + i % np * t.p_pitch], load(x + from + i / np * t.q_stride_in_x + i % np));
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < np * nq; i += kThreads)
    store(y + to + i / nq * t.p_stride_in_y + i % nq, load_shared(&tile[i % nq * t.q_pitch + i / nq * t.p_pitch]));
}

// A tile lies in shared memory as `side` rows of its longer side. Threads along that meet different banks; element i of
// those along the short side lies at i % side · pitch + i / side, and they meet different banks where pitch · side ≡ 1
// (then that is i / side modulo the banks) or, side being a power of two, pitch ≡ banks / side.
int32_t pitch_of(int32_t side, int32_t longer, int32_t banks) {
  const int32_t even = side & -side, step = banks / even > 1 ? banks / even : 1;
  int32_t pitch = longer;
  while (even == 1 ? pitch * side % banks != 1 : pitch % banks != step) ++pitch;
  return pitch;
}

template <typename Bits>
Status transpose(CallContext& call, const PermuteArgs& a, const Transposition& t) {
  int64_t blocks = t.p_tiles * t.q_tiles;
  for (int axis = 0; axis < t.batch.rank; ++axis) blocks *= t.batch.extent[axis];
  return launch(call, {"permute", dim3(static_cast<unsigned>(blocks)), dim3(kThreads)}, transpose_kernel<Bits>,
                a.x.as<const Bits>(), a.y.as<Bits>(), t);
}

// y's axes, without those of extent 1, neighbours in x and y made one.
Axes simplified(const PermuteArgs& a) {
  const Shape &from = a.x.shape, &to = a.y.shape;
  Axes axes;
  for (int axis = 0; axis < to.rank; ++axis) {
    const int64_t extent = to[axis], x = from.count(a.order[axis] + 1, from.rank), y = to.count(axis + 1, to.rank);
    const int last = axes.rank - 1;
    if (extent == 1) continue;
    if (last >= 0 && axes.x_stride[last] == x * extent)
      axes.extent[last] *= extent, axes.x_stride[last] = x, axes.y_stride[last] = y;
    else
      axes.push(extent, x, y);
  }
  return axes;
}

// A short axis makes its tile as narrow and the other side of it long, in whole warps.
int32_t tile_side(int64_t extent, int64_t other) {
  const int64_t side = other >= 32 ? 32 : kTile / other / 32 * 32;
  return static_cast<int32_t>(extent < side ? extent : side);
}

Status permute(CallContext& call, const PermuteArgs& a) {
  call.kernel = "permute";
  if (a.y.numel() == 0) return Status::ok;
  Axes axes = simplified(a);
  const int q = axes.rank - 1;
  if (q < 0 || axes.x_stride[q] == 1) {
    const int64_t inner = q < 0 ? 1 : axes.extent[q];
    if (q >= 0) axes.remove(q);
    return copy_rows(call, "permute", a.x.as<const char>(), a.y.as<char>(), size_of(a.x.dtype), axes, inner);
  }
  int p = 0;
  while (axes.x_stride[p] != 1) ++p;
  Transposition t{.p_extent = axes.extent[p],
                  .q_extent = axes.extent[q],
                  .p_stride_in_y = axes.y_stride[p],
                  .q_stride_in_x = axes.x_stride[q]};
  t.p_tile = tile_side(t.p_extent, t.q_extent), t.q_tile = tile_side(t.q_extent, t.p_extent);
  t.p_tiles = ceil_div(t.p_extent, t.p_tile), t.q_tiles = ceil_div(t.q_extent, t.q_tile);
  const int32_t banks = size_of(a.x.dtype) == 8 ? 16 : 32;  // that a part of a warp meets at once
  t.p_pitch = t.p_tile <= t.q_tile ? pitch_of(t.p_tile, t.q_tile, banks) : 1;
  t.q_pitch = t.p_tile <= t.q_tile ? 1 : pitch_of(t.q_tile, t.p_tile, banks);
  axes.remove(q);
  axes.remove(p);
  t.batch = axes;
  switch (size_of(a.x.dtype)) {
    case 1:
      return transpose<uint8_t>(call, a, t);
    case 2:
      return transpose<uint16_t>(call, a, t);
    case 4:
      return transpose<uint32_t>(call, a, t);
    default:
      return transpose<uint64_t>(call, a, t);
  }
}

// ---- the subsampled shortcut: small [n,h,w,k] against large [n, h·stride, w·stride, k − before]

template <typename Bits>
struct Subsampling {
  const Bits* from;
  Bits* to;
  int64_t n;              // elements of `to`
  int64_t height, width;  // of the large image
  int64_t rows, columns;  // of the small one
  int64_t channels, all;  // of the large image, of the small one
  int64_t stride, before;
  bool aligned;
};

// A vector lies wholly inside or outside the channels that both have when kN divides before, channels and all.
template <typename Bits, int kN>
__global__ __launch_bounds__(kThreads) void subsample_pad_kernel(Subsampling<Bits> a) {
  const int64_t at = thread_index() * kN;
  if (at >= a.n) return;
  const int64_t c = at % a.all - a.before, pixel = at / a.all;
  Vector<Bits, kN> v = {};
  if (0 <= c && c < a.channels) {
    const int64_t w = pixel % a.columns, h = pixel / a.columns % a.rows, image = pixel / a.columns / a.rows;
    const int64_t source = (image * a.height + h * a.stride) * a.width + w * a.stride;
    v = load_vector<kN>(a.from + source * a.channels + c, a.aligned);
  }
  store_vector(a.to + at, v, a.aligned);
}

template <typename Bits, int kN>
__global__ __launch_bounds__(kThreads) void subsample_pad_backward_kernel(Subsampling<Bits> a) {
  const int64_t at = thread_index() * kN;
  if (at >= a.n) return;
  const int64_t c = at % a.channels, pixel = at / a.channels;
  const int64_t w = pixel % a.width, h = pixel / a.width % a.height, image = pixel / a.width / a.height;
  Vector<Bits, kN> v = {};
  if (h % a.stride == 0 && w % a.stride == 0) {
    const int64_t source = (image * a.rows + h / a.stride) * a.columns + w / a.stride;
    v = load_vector<kN>(a.from + source * a.all + a.before + c, a.aligned);
  }
  store_vector(a.to + at, v, a.aligned);
}

template <typename Bits>
Status launch_subsampling(CallContext& call, const char* name, const TensorView& from, const TensorView& to,
                          const Shape& large, const Shape& small, int32_t stride, int32_t before,
                          void (*wide)(Subsampling<Bits>), void (*narrow)(Subsampling<Bits>)) {
  const Subsampling<Bits> s{.from = from.as<Bits>(),
                            .to = to.as<Bits>(),
                            .n = to.numel(),
                            .height = large[1],
                            .width = large[2],
                            .rows = small[1],
                            .columns = small[2],
                            .channels = large[3],
                            .all = small[3],
                            .stride = stride,
                            .before = before,
                            .aligned = all_aligned(from.as<Bits>(), to.as<Bits>())};
  constexpr int kN = kPerVector<Bits>;
  const bool vectors = s.channels % kN == 0 && s.all % kN == 0 && s.before % kN == 0;
  return launch(call, {name, blocks_for(ceil_div(s.n, vectors ? kN : 1)), dim3(kThreads)}, vectors ? wide : narrow, s);
}

template <typename Bits>
Status subsample_pad(CallContext& call, const SubsamplePadArgs& a) {
  return launch_subsampling<Bits>(call, "subsample_pad", a.x, a.y, a.x.shape, a.y.shape, a.stride, a.before,
                                  subsample_pad_kernel<Bits, kPerVector<Bits>>, subsample_pad_kernel<Bits, 1>);
}
template <typename Bits>
Status subsample_pad_backward(CallContext& call, const SubsamplePadBackwardArgs& a) {
  return launch_subsampling<Bits>(call, "subsample_pad_backward", a.dy, a.dx, a.dx.shape, a.dy.shape, a.stride,
                                  a.before, subsample_pad_backward_kernel<Bits, kPerVector<Bits>>,
                                  subsample_pad_backward_kernel<Bits, 1>);
}

void enter_layout(KernelTable& table) {
  enter<FillArgs, fill>(table);
  enter<CastArgs, cast>(table);
  enter<PermuteArgs, permute>(table);
  enter<CopySliceArgs, copy_slice>(table);
  enter<SubsamplePadArgs, subsample_pad<uint32_t>, subsample_pad<uint16_t>, subsample_pad<uint16_t>>(table);
  enter<SubsamplePadBackwardArgs, subsample_pad_backward<uint32_t>, subsample_pad_backward<uint16_t>>(table);
}

}  // namespace graft::cuda
