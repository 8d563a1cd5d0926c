#include "bench/peer.h"

#include <cstdlib>
#include <cstring>

#include "bench/peer_process.h"
#include "bench/peer_protocol.h"
#include "core/error.h"

namespace graft::bench {

// The connection to one process. Once something went wrong it is of no more use.
class PeerEntrant::Line {
 public:
  Line(const std::vector<std::string>& command, std::chrono::milliseconds patience) : process_(command, patience) {
    const Bytes text = attempt([&] {
      const PeerHeader hello = receive();
      GRAFT_CHECK(hello.message == PeerMessage::hello && hello.abi == peer_abi(),
                  "{} was compiled for another version of graft; run bench/libtorch/setup again", command.front());
      return payload(hello);
    });
    const std::string words(reinterpret_cast<const char*>(text.data()), text.size());
    by = words.substr(0, words.find('\n'));
    if (by.size() < words.size()) description = words.substr(by.size() + 1);
  }

  std::string by, description;
  bool broken = false;
  int64_t entered = 0;  // cases so far: only the last is ready

  // ok, or unsupported; Error with the peer's text otherwise.
  PeerMessage ask(PeerHeader question, const std::vector<std::pair<const void*, size_t>>& parts, Bytes& answer) {
    return attempt([&] {
      question.payload_bytes = 0;
      for (const auto& [data, bytes] : parts) question.payload_bytes += static_cast<int64_t>(bytes);
      process_.write(&question, sizeof question);
      for (const auto& [data, bytes] : parts) process_.write(data, bytes);
      const PeerHeader reply = receive();
      answer = payload(reply);
      const std::string text(reinterpret_cast<const char*>(answer.data()), answer.size());
      if (reply.message == PeerMessage::failed) throw Refusal("the peer answers: " + text);
      GRAFT_CHECK(reply.message == PeerMessage::ok || reply.message == PeerMessage::unsupported,
                  "the peer answers out of turn");
      return reply.message;
    });
  }

 private:
  struct Refusal : Error {  // the peer is well; it cannot do this
    using Error::Error;
  };

  template <typename Work>
  auto attempt(Work work) -> decltype(work()) {
    try {
      return work();
    } catch (const Refusal&) {
      throw;
    } catch (const Error&) {
      broken = true;
      throw;
    }
  }
  PeerHeader receive() {
    PeerHeader header;
    process_.read(&header, sizeof header);
    GRAFT_CHECK(header.magic == kPeerMagic && header.payload_bytes >= 0 && header.payload_bytes < (int64_t{1} << 36),
                "the peer does not speak graft's protocol");
    return header;
  }
  Bytes payload(const PeerHeader& header) {
    Bytes bytes(static_cast<size_t>(header.payload_bytes));
    process_.read(bytes.data(), bytes.size());
    return bytes;
  }

  PeerProcess process_;
};

class PeerEntrant::Call final : public Contestant {
 public:
  Call(std::shared_ptr<Line> line, const KernelCase& c) : line_(std::move(line)), case_(c), number_(line_->entered) {}

  std::string by() const override { return line_->by; }

  Tensors results() override {
    Bytes answer;
    ask({.message = PeerMessage::results}, answer);
    uint64_t mask = 0;
    GRAFT_CHECK(answer.size() >= sizeof mask, "the peer's results are cut off");
    std::memcpy(&mask, answer.data(), sizeof mask);
    Tensors tensors;
    size_t at = sizeof mask;
    for (int i = case_.roles().inputs; i < case_.roles().total(); ++i) {
      if ((mask >> i & 1) == 0 || !case_.view(i).present()) continue;
      const auto bytes = static_cast<size_t>(case_.view(i).bytes());
      GRAFT_CHECK(answer.size() - at >= bytes, "the peer's results are cut off");
      tensors[static_cast<size_t>(i)].assign(answer.begin() + static_cast<int64_t>(at),
                                             answer.begin() + static_cast<int64_t>(at + bytes));
      at += bytes;
    }
    GRAFT_CHECK(at > sizeof mask || answer.size() > at, "the peer made no result");
    return tensors;
  }

  std::vector<double> time(int64_t samples, int64_t calls, bool cold) override {
    Bytes answer;
    ask({.message = PeerMessage::time, .samples = samples, .calls = calls, .cold = cold ? 1 : 0}, answer);
    std::vector<double> seconds(static_cast<size_t>(samples));
    GRAFT_CHECK(answer.size() == seconds.size() * sizeof(double), "the peer timed {} bytes of runs, not {} runs",
                answer.size(), samples);
    std::memcpy(seconds.data(), answer.data(), answer.size());
    return seconds;
  }

 private:
  void ask(const PeerHeader& question, Bytes& answer) {
    if (number_ != line_->entered) throw InternalError("a peer has one case at a time");
    GRAFT_CHECK(line_->ask(question, {}, answer) == PeerMessage::ok, "the peer no longer supports what it did");
  }

  std::shared_ptr<Line> line_;
  KernelCase case_;
  int64_t number_;
};

PeerEntrant::PeerEntrant(std::vector<std::string> command, std::chrono::milliseconds patience)
    : command_(std::move(command)), patience_(patience) {
  line_ = std::make_shared<Line>(command_, patience_);
  by_ = line_->by, description_ = line_->description;
}

PeerEntrant::~PeerEntrant() = default;

std::shared_ptr<PeerEntrant::Line> PeerEntrant::connect() {
  if (line_->broken) line_ = std::make_shared<Line>(command_, patience_);
  return line_;
}

std::unique_ptr<Contestant> PeerEntrant::enter(const KernelCase& c) {
  const std::shared_ptr<Line> line = connect();
  ++line->entered;
  const Tensors contents = contents_of(c);
  std::vector<std::pair<const void*, size_t>> parts = {{c.args.bytes, info_of(c.primitive).args_bytes}};
  for (int i = 0; i < c.roles().inputs + c.roles().inouts; ++i)
    if (const Bytes& bytes = contents[static_cast<size_t>(i)]; !bytes.empty())
      parts.emplace_back(bytes.data(), bytes.size());
  Bytes answer;
  if (line->ask({.message = PeerMessage::enter, .primitive = c.primitive}, parts, answer) == PeerMessage::unsupported)
    return nullptr;
  return std::make_unique<Call>(line, c);
}

std::filesystem::path find_peer() {
  const char *given = std::getenv("GRAFT_PEER"), *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (given) return given;
  const std::filesystem::path folder =
      cache && *cache ? std::filesystem::path(cache) : std::filesystem::path(home ? home : ".") / ".cache";
  std::filesystem::path program = folder / "graft" / "peers" / "graft_libtorch";
  GRAFT_CHECK(std::filesystem::exists(program),
              "no peer is set up: {} is not there. bench/libtorch/setup, in graft's sources, makes it: it installs "
              "PyTorch's newest wheel into an environment of its own and compiles the peer against it",
              program.string());
  return program;
}

}  // namespace graft::bench
