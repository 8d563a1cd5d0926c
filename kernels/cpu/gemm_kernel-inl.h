// The two register tiles under every convolution and matrix product, and the packing of what they read.
//
//   tile_rows   C[R, kPanel] = act(Σ_k A[r, k] · B[k, :] + bias + residual)      rows of A where they lie
//   tile_outer  C[R, kPanel] (+)= Σ_p A[p, r] · B[p, :]                          sums of outer products
//
// R <= kTileRows rows by two vectors stay in registers: 14 x 32 with AVX-512 (28 of 32 registers), 6 x 16 with AVX2,
// 4 x 8 with SSE4. One step loads two vectors of B, broadcasts R values of A and does 2 · R multiply-adds, so the
// multiplier is the limit, not the loads. A panel of B is kPanel columns stored row after row: read once per tile, a
// line a step from L1 or L2. The order of the sum is k alone, the same for every R: how rows are dealt to tiles, and so
// the number of threads, never shows in the result.
#if defined(GRAFT_KERNELS_CPU_GEMM_KERNEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef GRAFT_KERNELS_CPU_GEMM_KERNEL_INL_H_
#undef GRAFT_KERNELS_CPU_GEMM_KERNEL_INL_H_
#else
#define GRAFT_KERNELS_CPU_GEMM_KERNEL_INL_H_
#endif

#include <utility>

#include "kernels/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace graft::cpu::HWY_NAMESPACE {

inline constexpr int kTileRows = kLanes == 16 ? 14 : kLanes == 8 ? 6 : 4;
inline constexpr int kPanel = 2 * kLanes;                      // columns of a panel of B
inline constexpr int kOuterRows = kLanes == 16 ? 16 : kLanes;  // floats kept for kTileRows values of A in tile_outer

// gcc would hoist the next steps' loads and spill the accumulators; nothing may move across this.
#define GRAFT_STEP_BARRIER() asm volatile("" ::: "memory")

// A: row r, step k of run (i, j) is a[r · row + i · outer_step + j · inner_step + k]. A matrix has one run; a window
// has one for each kernel row (dense columns) or each tap.
struct TileInput {
  const float* a;
  int64_t row;
  int64_t run;
  int64_t outer = 1, inner = 1, outer_step = 0, inner_step = 0;
};

// C: rows `row` apart, n <= kPanel columns valid. residual? lies as C does and may be C.
struct TileOutput {
  float* c;
  int64_t row;
  int64_t n;
  const float* bias = nullptr;
  const float* residual = nullptr;
  Limits limits = limits_of(Activation::none);
};

// What will be needed soon: one line is fetched a step, `step` floats on.
struct Prefetch {
  const float* at;
  int64_t step;
};

template <int R>
HWY_NOINLINE void tile_rows(const TileInput& in, const float* HWY_RESTRICT b, const TileOutput& out, Prefetch next) {
  V c0[R], c1[R];
  GRAFT_UNROLL for (int r = 0; r < R; ++r) c0[r] = c1[r] = zero();

  GRAFT_UNROLL for (int r = 0; r < R; ++r) {
    __builtin_prefetch(out.c + r * out.row, 1), __builtin_prefetch(out.c + r * out.row + out.n - 1, 1);
  }
  constexpr int kPointers = (R + 2) / 3;  // one for three rows: x86 addresses the others from it
  const int64_t row = in.row;
  const float* fetch = next.at;
  for (int64_t i = 0; i < in.outer; ++i)
    for (int64_t j = 0; j < in.inner; ++j) {
      const float* p[kPointers];
      GRAFT_UNROLL for (int q = 0; q < kPointers; ++q) p[q] =
          in.a + i * in.outer_step + j * in.inner_step + 3 * q * row;
      const auto step = [&](int u) HWY_ATTR __attribute__((always_inline)) {
        const V b0 = load(b + u * kPanel), b1 = load(b + u * kPanel + kLanes);
        __builtin_prefetch(fetch, 0, 2);
        fetch += next.step;
        GRAFT_UNROLL for (int r = 0; r < R; ++r) {
          const V x = set(p[r / 3][r % 3 * row + u]);
          c0[r] = fma(x, b0, c0[r]);
          c1[r] = fma(x, b1, c1[r]);
        }
        GRAFT_STEP_BARRIER();
      };
      int64_t k = in.run;
      for (; k >= 4; k -= 4, b += 4 * kPanel) {
        GRAFT_UNROLL for (int u = 0; u < 4; ++u) step(u);
        GRAFT_UNROLL for (int q = 0; q < kPointers; ++q) p[q] += 4;
      }
      for (; k > 0; --k, b += kPanel) {
        step(0);
        GRAFT_UNROLL for (int q = 0; q < kPointers; ++q)++ p[q];
      }
    }

  const V low = set(out.limits.low), high = set(out.limits.high);
  const auto finish = [&](auto load_part, auto store_part) HWY_ATTR __attribute__((always_inline)) {
    if (out.bias != nullptr) {
      const V b0 = load_part(out.bias, 0), b1 = load_part(out.bias, 1);
      GRAFT_UNROLL for (int r = 0; r < R; ++r) c0[r] = add(c0[r], b0), c1[r] = add(c1[r], b1);
    }
    if (out.residual != nullptr) {
      GRAFT_UNROLL for (int r = 0; r < R; ++r) {
        c0[r] = add(c0[r], load_part(out.residual + r * out.row, 0));
        c1[r] = add(c1[r], load_part(out.residual + r * out.row, 1));
      }
    }
    GRAFT_UNROLL for (int r = 0; r < R; ++r) {
      store_part(clamp(c0[r], low, high), out.c + r * out.row, 0);
      store_part(clamp(c1[r], low, high), out.c + r * out.row, 1);
    }
  };
  if (out.n == kPanel) {
    finish(
        [](const float* p, int half) HWY_ATTR __attribute__((always_inline)) { return load(p + half * kLanes); },
        [](V v, float* p, int half) HWY_ATTR __attribute__((always_inline)) { store(v, p + half * kLanes); });
  } else {
    const int64_t n[2] = {std::min<int64_t>(out.n, kLanes), std::max<int64_t>(out.n - kLanes, 0)};
    finish(
        [&](const float* p, int half) HWY_ATTR
        __attribute__((always_inline)) { return n[half] > 0 ? load_n(p + half * kLanes, n[half]) : zero(); },
        [&](V v, float* p, int half) HWY_ATTR __attribute__((always_inline)) {
          if (n[half] > 0) store_n(v, p + half * kLanes, n[half]);
        });
  }
}

// Pixel p of a line of an image: A at a[image · a_image + line · a_line + p · kOuterRows + r], B at b[image · b_image +
// line · b_line + p · b_step + column], kPanel columns readable.
struct OuterInput {
  const float* a;
  const float* b;
  int64_t images, lines, pixels;
  int64_t a_image, a_line, b_image, b_line, b_step;
};

template <int R>
HWY_NOINLINE void tile_outer(const OuterInput& in, float* c, int64_t row, int64_t n, bool accumulate) {
  V c0[R], c1[R];
  GRAFT_UNROLL for (int r = 0; r < R; ++r) c0[r] = c1[r] = zero();
  if (accumulate) {
    GRAFT_UNROLL for (int r = 0; r < R; ++r) __builtin_prefetch(c + r * row, 1),
        __builtin_prefetch(c + r * row + n - 1, 1);
  }
  for (int64_t i = 0; i < in.images * in.lines; ++i) {
    const int64_t image = in.images == 1 ? 0 : i / in.lines, line = i - image * in.lines;
    const float* a = in.a + image * in.a_image + line * in.a_line;
    const float* b = in.b + image * in.b_image + line * in.b_line;
    const auto step = [&](int u) HWY_ATTR __attribute__((always_inline)) {
      const V b0 = load(b), b1 = load(b + kLanes);
      b += in.b_step;
      GRAFT_UNROLL for (int r = 0; r < R; ++r) {
        const V x = set(a[u * kOuterRows + r]);
        c0[r] = fma(x, b0, c0[r]);
        c1[r] = fma(x, b1, c1[r]);
      }
      GRAFT_STEP_BARRIER();
    };
    int64_t p = in.pixels;
    for (; p >= 4; p -= 4, a += 4 * kOuterRows) {
      GRAFT_UNROLL for (int u = 0; u < 4; ++u) step(u);
    }
    for (; p > 0; --p, a += kOuterRows) step(0);
  }
  const int64_t n0 = std::min<int64_t>(n, kLanes), n1 = n - n0;
  GRAFT_UNROLL for (int r = 0; r < R; ++r) {
    float* to = c + r * row;
    if (n == kPanel) {
      store(accumulate ? add(load(to), c0[r]) : c0[r], to);
      store(accumulate ? add(load(to + kLanes), c1[r]) : c1[r], to + kLanes);
    } else {
      store_up_to(accumulate ? add(load_up_to(to, n0), c0[r]) : c0[r], to, n0);
      if (n1 > 0) store_up_to(accumulate ? add(load_up_to(to + kLanes, n1), c1[r]) : c1[r], to + kLanes, n1);
    }
  }
}

// The tiles by their number of rows, 1 … kTileRows.
using TileRows = void (*)(const TileInput&, const float*, const TileOutput&, Prefetch);
using TileOuter = void (*)(const OuterInput&, float*, int64_t, int64_t, bool);
template <int... I>
constexpr TileRows tile_rows_of(int rows, std::integer_sequence<int, I...>) {
  constexpr TileRows kTiles[] = {tile_rows<I + 1>...};
  return kTiles[rows - 1];
}
template <int... I>
constexpr TileOuter tile_outer_of(int rows, std::integer_sequence<int, I...>) {
  constexpr TileOuter kTiles[] = {tile_outer<I + 1>...};
  return kTiles[rows - 1];
}
inline TileRows tile_rows_of(int64_t rows) {
  return tile_rows_of(static_cast<int>(rows), std::make_integer_sequence<int, kTileRows>());
}
inline TileOuter tile_outer_of(int64_t rows) {
  return tile_outer_of(static_cast<int>(rows), std::make_integer_sequence<int, kTileRows>());
}

// n rows dealt to tiles as evenly as can be: 28 = 14 + 14, 16 = 8 + 8.
struct Deal {
  int64_t tiles, base, extra;
  explicit Deal(int64_t n) : tiles(ceil_div(n, kTileRows)), base(tiles > 0 ? n / tiles : 0), extra(n - base * tiles) {}
  int64_t size(int64_t t) const { return base + (t < extra ? 1 : 0); }
  int64_t first(int64_t t) const { return t * base + std::min(t, extra); }
};

// Runs one tile; silu and sigmoid follow while its rows are in L1.
HWY_INLINE void run_tile(int64_t rows, const TileInput& in, const float* b, const TileOutput& out, Prefetch next,
                         Activation activation) {
  tile_rows_of(rows)(in, b, out, next);
  if (needs_exp(activation)) activate_rows(out.c, out.row, rows, out.n, activation);
}

// ---- packing B: [panel][k][kPanel], columns beyond n zero

inline int64_t panels_of(int64_t n) { return ceil_div(n, kPanel); }

// From rows [k][n]: the columns [first, first + kPanel) of `k` rows, `source_row` apart.
inline void pack_panel(const float* source, int64_t source_row, int64_t k, int64_t n, float* to) {
  for (int64_t i = 0; i < k; ++i, source += source_row, to += kPanel) {
    if (n == kPanel) {
      store(load(source), to), store(load(source + kLanes), to + kLanes);
    } else {
      const int64_t n0 = std::min<int64_t>(n, kLanes);
      store(load_n(source, n0), to), store(n > n0 ? load_n(source + kLanes, n - n0) : zero(), to + kLanes);
    }
  }
}

// 4 x 4 floats, rows `from` apart, transposed to rows `to` apart.
HWY_INLINE void transpose_4x4(const float* source, int64_t from, float* target, int64_t to) {
  using F4 = hn::Full128<float>;
  const F4 d;
  const hn::Repartition<uint64_t, F4> d64;
  const auto r0 = hn::LoadU(d, source), r1 = hn::LoadU(d, source + from), r2 = hn::LoadU(d, source + 2 * from),
             r3 = hn::LoadU(d, source + 3 * from);
  const auto a = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1)), b = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3)),
             e = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1)), f = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, a, b)), d, target);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, a, b)), d, target + to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, e, f)), d, target + 2 * to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, e, f)), d, target + 3 * to);
}

// target[j, i] = source[i, j] for i < rows, j < columns.
inline void transpose(const float* source, int64_t from, int64_t rows, int64_t columns, float* target, int64_t to) {
  for (int64_t j = 0; j < columns; j += 4)
    for (int64_t i = 0; i < rows; i += 4) {
      if (i + 4 <= rows && j + 4 <= columns) {
        transpose_4x4(source + i * from + j, from, target + j * to + i, to);
      } else {
        for (int64_t y = i; y < std::min(i + 4, rows); ++y)
          for (int64_t x = j; x < std::min(j + 4, columns); ++x) target[x * to + y] = source[y * from + x];
      }
    }
}

// From columns [n][k]: n <= kPanel columns of k values, `source_column` apart.
inline void pack_panel_transposed(const float* source, int64_t source_column, int64_t k, int64_t n, float* to) {
  transpose(source, source_column, n, k, to, kPanel);
  for (int64_t i = 0; n < kPanel && i < k; ++i)
    for (int64_t j = n; j < kPanel; ++j) to[i * kPanel + j] = 0;
}

}  // namespace graft::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
