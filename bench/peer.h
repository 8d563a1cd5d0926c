// A peer: another library's op on the same data, in a program of its own. bench/peer_protocol.h says how they speak.
#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bench/contestant.h"

namespace graft::bench {

class PeerEntrant final : public Entrant {
 public:
  // Starts the program. One that dies or falls silent is an Error for the case at hand, and is started anew for the
  // next.
  PeerEntrant(std::vector<std::string> command, std::chrono::milliseconds patience);
  ~PeerEntrant() override;

  std::string by() const override { return by_; }
  std::string description() const override { return description_; }
  std::unique_ptr<Contestant> enter(const KernelCase&) override;

 private:
  class Line;
  class Call;
  std::shared_ptr<Line> connect();

  std::vector<std::string> command_;
  std::chrono::milliseconds patience_;
  std::string by_, description_;
  std::shared_ptr<Line> line_;
};

// The program that bench/libtorch/setup makes: $GRAFT_PEER, or in the user's cache folder. Throws Error, with the
// command that makes it, where there is none.
std::filesystem::path find_peer();

}  // namespace graft::bench
