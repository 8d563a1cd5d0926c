#include "tests/cuda_on_host/tensor_cores.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

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

uint16_t half_of(uint64_t r, unsigned high) { return static_cast<uint16_t>(high ? r >> 16 : r); }

template <typename T>
float widened(uint16_t bits) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return std::bit_cast<float>(uint32_t{bits} << 16);
  } else {
    static const auto* const table = [] {
      auto* floats = new std::array<float, 1 << 16>;
      for (uint32_t i = 0; i < floats->size(); ++i)
        (*floats)[i] = __half2float(std::bit_cast<__half>(static_cast<uint16_t>(i)));
      return floats;
    }();
    return (*table)[bits];
  }
}

}  // namespace

template <typename T>
void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Site site) {
  const HarnessScope harness;
  const auto word = [](uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; };
  const ThreeWords given = warp_exchange(kAllLanes, {word(a[0], a[1]), word(a[2], a[3]), word(b[0], b[1])}, site);
  const unsigned group = lane_index() / 4, member = lane_index() % 4;
  float rows[2][16], columns[2][16];  // of a and of b: those that this lane's sums are made of
  for (unsigned k = 0; k < 16; ++k) {
    const unsigned holder = k % 8 / 2, of_a = group * 4 + holder;  // a lane of four holds two neighbours
    const uint64_t halves = k < 8 ? given.first[of_a] : given.rest[of_a][0];
    for (unsigned i = 0; i < 2; ++i) {
      const uint64_t of_b = given.rest[(2 * member + i) * 4 + holder][1];
      rows[i][k] = widened<T>(half_of(halves >> 32 * i, k % 2));
      columns[i][k] = widened<T>(half_of(k < 8 ? of_b : of_b >> 32, k % 2));
    }
  }
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned k = 0; k < 16; ++k) c[i] += rows[i / 2][k] * columns[i % 2][k];
}
template void mma_m16n8k16<__nv_bfloat16>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);
template void mma_m16n8k16<__half>(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2], Site);

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
