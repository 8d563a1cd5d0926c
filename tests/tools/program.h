// Runs the built graft program from outside, as a user would.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace graft::test {

struct Outcome {
  int code = -1;  // exit code; 128 + the signal where one ended it
  bool timed_out = false;
  std::string out, err;
  int64_t peak_bytes = 0;  // resident set, of the program alone
  double seconds = 0;
};

struct RunOptions {
  std::filesystem::path folder;          // it runs here; empty: where the test does
  std::chrono::seconds patience{120};    // then it is killed
  int64_t file_bytes = 0;                // RLIMIT_FSIZE; 0: none
  std::filesystem::path out;             // standard output goes to this; empty: is captured
  std::vector<std::string> environment;  // "NAME=value", in addition
};

// The program under way.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments, RunOptions options = {});
  ~Program();  // kills what is still running
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const;
  bool running();
  std::string out_so_far() const;
  Outcome wait();

 private:
  RunOptions options_;
  std::filesystem::path scratch_;
  pid_t pid_ = -1;
  bool ended_ = false;
  Outcome outcome_;
  std::chrono::steady_clock::time_point start_;
};

inline Outcome run_graft(const std::vector<std::string>& arguments, RunOptions options = {}) {
  return Program(arguments, std::move(options)).wait();
}

std::string read_file(const std::filesystem::path& path);

// Output of --json, a value a line.
std::vector<nlohmann::json> lines_of(const std::string& text);

}  // namespace graft::test
