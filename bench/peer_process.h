// A child program that answers: its death and its silence are Errors, and it never outlives its owner.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace graft::bench {

class PeerProcess {
 public:
  // `patience`: how long an answer may take. Throws Error when the program cannot be started.
  PeerProcess(const std::vector<std::string>& command, std::chrono::milliseconds patience);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // All of it, or Error: "it was ended by signal 11 (Segmentation fault)", "it has not answered for 60 s", with the
  // last line of what it wrote to standard error.
  void write(const void* data, size_t bytes);
  void read(void* data, size_t bytes);

 private:
  void wait_for(int file, short event);
  [[noreturn]] void has_ended();
  std::string last_words() const;

  std::string name_;
  std::chrono::milliseconds patience_;
  pid_t pid_ = -1;
  int to_ = -1, from_ = -1, words_ = -1;
};

}  // namespace graft::bench
