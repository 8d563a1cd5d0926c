#include "bench/libtorch/peer_io.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>

namespace graft::bench {

namespace {

using Clock = std::chrono::steady_clock;

// False at the end of the input.
bool read_all(void* data, size_t bytes) {
  for (char* next = static_cast<char*>(data); bytes > 0;) {
    const ssize_t got = read(0, next, bytes);
    if (got <= 0) return false;
    next += got, bytes -= static_cast<size_t>(got);
  }
  return true;
}

void write_all(const void* data, size_t bytes) {
  for (const char* next = static_cast<const char*>(data); bytes > 0;) {
    const ssize_t done = write(1, next, bytes);
    if (done <= 0) throw std::runtime_error("nobody reads the answers");
    next += done, bytes -= static_cast<size_t>(done);
  }
}

void answer(PeerMessage message, const void* data = nullptr, size_t bytes = 0) {
  const PeerHeader header{.message = message, .abi = peer_abi(), .payload_bytes = static_cast<int64_t>(bytes)};
  write_all(&header, sizeof header);
  write_all(data, bytes);
}

PeerCase case_of(const PeerHeader& header, const std::vector<std::byte>& payload) {
  PeerCase c{.primitive = header.primitive, .args = {}, .memory = {}};
  const PrimitiveInfo& info = info_of(c.primitive);
  std::memcpy(c.args.bytes, payload.data(), info.args_bytes);
  size_t at = info.args_bytes;
  for (int i = 0; i < info.roles.total(); ++i) {
    TensorView& view = views_of(c.args.bytes)[i];
    auto& memory = c.memory.emplace_back(static_cast<size_t>(view.bytes()));
    if (i < info.roles.inputs + info.roles.inouts) {
      std::copy_n(payload.begin() + static_cast<std::ptrdiff_t>(at), memory.size(), memory.begin());  // may be none
      at += memory.size();
    }
    view.data = memory.data();
  }
  return c;
}

void send_results(PeerLibrary& library, PeerCase& c) {
  library.results(c);
  std::vector<std::byte> bytes(sizeof c.made);
  std::memcpy(bytes.data(), &c.made, sizeof c.made);
  for (size_t i = 0; i < c.memory.size(); ++i)
    if (c.made >> i & 1) bytes.insert(bytes.end(), c.memory[i].begin(), c.memory[i].end());
  answer(PeerMessage::ok, bytes.data(), bytes.size());
}

void send_times(PeerLibrary& library, const PeerHeader& question) {
  std::vector<double> seconds;
  for (int64_t sample = 0; sample < question.samples; ++sample) {
    if (question.cold) library.sweep();
    library.wait();
    const auto begin = Clock::now();
    for (int64_t i = 0; i < question.calls; ++i) library.call();
    library.wait();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count() /
                      static_cast<double>(question.calls));
  }
  answer(PeerMessage::ok, seconds.data(), seconds.size() * sizeof(double));
}

}  // namespace

int serve(PeerLibrary& library, const std::string& name, const std::string& description) {
  const std::string hello = name + "\n" + description;
  answer(PeerMessage::hello, hello.data(), hello.size());
  PeerCase current;
  for (PeerHeader question; read_all(&question, sizeof question);) {
    std::vector<std::byte> payload(static_cast<size_t>(question.payload_bytes));
    if (question.magic != kPeerMagic || !read_all(payload.data(), payload.size())) return 1;
    try {
      if (question.message == PeerMessage::enter) {
        current = case_of(question, payload);
        answer(library.enter(current) ? PeerMessage::ok : PeerMessage::unsupported);
      } else if (question.message == PeerMessage::results) {
        send_results(library, current);
      } else {
        send_times(library, question);
      }
    } catch (const std::exception& e) {
      const std::string text = std::string(e.what()).substr(0, std::string(e.what()).find('\n'));
      answer(PeerMessage::failed, text.data(), text.size());
    }
  }
  return 0;
}

}  // namespace graft::bench
