#include "tests/cuda_on_host/tensor_cores.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "tests/cuda_on_host/control.h"
#include "tests/cuda_on_host/cuda_on_host.h"
#include "tests/cuda_on_host/findings.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/memory_map.h"
#include "tests/cuda_on_host/race_checker.h"

namespace graft::cuda_on_host {
namespace {

constexpr unsigned kAllLanes = ~0u;

// Two registers of every lane.
struct Pair {
  uint32_t first[kWarp], second[kWarp];
};
void exchange(uint32_t first, uint32_t second, Pair& out, Site site) {
  const uint64_t* slots = warp_exchange(kAllLanes, uint64_t{second} << 32 | first, site);
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    out.first[lane] = static_cast<uint32_t>(slots[lane]);
    out.second[lane] = static_cast<uint32_t>(slots[lane] >> 32);
  }
}

uint16_t half_of(uint32_t r, unsigned high) { return static_cast<uint16_t>(high ? r >> 16 : r); }

}  // namespace

float widen_bf16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
float widen_f16(uint16_t bits) { return __half2float(std::bit_cast<__half>(bits)); }

void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], float (*widen)(uint16_t), Site site) {
  const HarnessScope harness;
  Pair left, right, columns;  // columns 0 to 7 of a, 8 to 15; b
  exchange(a[0], a[1], left, site);
  exchange(a[2], a[3], right, site);
  exchange(b[0], b[1], columns, site);
  const unsigned group = lane_index() / 4, member = lane_index() % 4;
  for (unsigned k = 0; k < 16; ++k) {
    const unsigned holder = k % 8 / 2;  // its place in a group of four
    const Pair& half = k < 8 ? left : right;
    float of_a[2], of_b[2];
    of_a[0] = widen(half_of(half.first[group * 4 + holder], k % 2));
    of_a[1] = widen(half_of(half.second[group * 4 + holder], k % 2));
    for (unsigned j = 0; j < 2; ++j) {
      const unsigned lane = (2 * member + j) * 4 + holder;
      of_b[j] = widen(half_of(k < 8 ? columns.first[lane] : columns.second[lane], k % 2));
    }
    for (unsigned i = 0; i < 4; ++i) c[i] += of_a[i / 2] * of_b[i % 2];
  }
}

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed, Site site) {
  const HarnessScope harness;
  const auto address = reinterpret_cast<uintptr_t>(row);
  if (address % 16 != 0 || !shared_stretch().holds(address))
    give_up_grid(
        fmt::format("ldmatrix at {} from {:#x}, which is no 16 bytes of shared memory", describe(site), address));
  if (kRaceBuild) {
    checking = true;  // this read is the kernel's
    race_checker().kernel_access(address, 16, Access::read, __builtin_return_address(0));
    checking = false;
  }
  uint32_t mine[4];
  std::memcpy(mine, row, sizeof mine);
  Pair halves[2];
  exchange(mine[0], mine[1], halves[0], site);
  exchange(mine[2], mine[3], halves[1], site);
  const auto element = [&](unsigned lane, unsigned i) {
    const Pair& half = halves[i / 4];
    return half_of(i % 4 < 2 ? half.first[lane] : half.second[lane], i % 2);
  };
  const unsigned group = lane_index() / 4, member = lane_index() % 4;
  for (unsigned matrix = 0; matrix < 4; ++matrix) {
    const auto at = [&](unsigned i, unsigned j) { return element(matrix * 8 + i, j); };
    const uint32_t low = transposed ? at(2 * member, group) : at(group, 2 * member);
    const uint32_t high = transposed ? at(2 * member + 1, group) : at(group, 2 * member + 1);
    r[matrix] = high << 16 | low;
  }
}

}  // namespace graft::cuda_on_host
