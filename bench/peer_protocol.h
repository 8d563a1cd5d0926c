// What `graft bench kernels` and a peer, a program that computes the same cases with another library, say to each
// other: over the peer's standard input and output, a header and its payload at a time. Both are compiled against the
// same contract, so a case travels as it is in memory: the arguments struct of its primitive, then the bytes of each
// input and in-out that is present.
//
//   peer:   hello   its text is "name\ndescription"
//   graft:  enter   arguments, contents             → ok, unsupported or failed with a text
//   graft:  results                                 → ok: a mask, u64, of the views that follow; their bytes, in order
//   graft:  time    samples, calls, cold            → ok: a double a sample, seconds of a call
// A peer whose input ends leaves.
#pragma once
#include <cstdint>

#include "contract/backend.h"

namespace graft::bench {

inline constexpr uint64_t kPeerMagic = 0x3172656550746667;

enum class PeerMessage : int32_t { hello = 1, enter, results, time, ok, unsupported, failed };

struct PeerHeader {
  uint64_t magic = kPeerMagic;
  PeerMessage message = PeerMessage::ok;
  Primitive primitive = {};
  int64_t samples = 0, calls = 0;
  int32_t cold = 0;
  uint32_t abi = 0;  // of a hello: peer_abi()
  int64_t payload_bytes = 0;
};

// A number that two programs agree on only where they agree on every arguments struct's size.
constexpr uint32_t peer_abi() {
  uint32_t hash = kContractVersion;
  for (const PrimitiveInfo& p : kPrimitives)
    hash = hash * 1'000'003u + static_cast<uint32_t>(p.args_bytes * 64 + static_cast<size_t>(p.roles.total()));
  return hash;
}

}  // namespace graft::bench
