// The helper may be missing, crash, hang or lie: the parent says so, in time, and believes nothing.
#include <dirent.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>

#include "core/error.h"
#include "io/hdf5/guarded_index.h"
#include "io/xxh3.h"
#include "tests/io/hdf5/limited_child.h"
#include "tests/io/hdf5/sample_file.h"

using namespace graft;
using namespace graft::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

struct Environment {  // set for one scope
  explicit Environment(const std::string& helper) { setenv("GRAFT_H5_INDEX", helper.c_str(), 1); }
  ~Environment() { setenv("GRAFT_H5_INDEX", before.c_str(), 1); }
  std::string before = getenv("GRAFT_H5_INDEX");
};

std::string reason_with(const fs::path& helper, const fs::path& file) {
  const Environment environment(helper.string());
  try {
    io::guarded_index(io::File::open(file), 700ms);
  } catch (const Error& error) {
    return error.what();
  }
  return "(read)";
}

// Frames a body as the helper would, with the right sum.
std::string answer_with(const std::string& body) {
  std::string head = io::encode_index({}).substr(0, 12);
  const uint64_t bytes = body.size(), sum = io::xxh3(body);
  head.append(reinterpret_cast<const char*>(&bytes), 8).append(reinterpret_cast<const char*>(&sum), 8);
  return head + body;
}

io::IndexEntry entry(const char* path, uint64_t offset, std::vector<int64_t> shape, uint64_t bytes) {
  return {
      .path = path, .dtype = DType::f32, .shape = std::move(shape), .offset = offset, .bytes = bytes, .attributes = {}};
}

std::string why_not(std::vector<io::IndexEntry> entries) {
  try {
    io::decode_answer(io::encode_index({.attributes = {}, .entries = std::move(entries)}), 1000, "m.h5");
  } catch (const Error& error) {
    return error.what();
  }
  return "(accepted)";
}

}  // namespace

TEST_CASE("a helper that is missing, crashes, hangs or answers nonsense gives a clear error") {
  const ScratchFolder scratch;
  write_sample(scratch / "m.h5");
  const std::string real = io::find_index_helper().string();
  struct Fake {
    const char* script;
    const char* reason;
  };
  const Fake fakes[] = {
      {"kill -SEGV $$", "m.h5: graft-h5-index was ended by signal 11"},
      {"kill -KILL $$", "was ended by signal 9"},
      {"exit 7", "ended with exit code 7"},
      {"REAL; exit 7", "ended with exit code 7"},
      {"while :; do :; done", "gave no answer within 0.7 s"},
      {"exec sleep 100", "gave no answer within 0.7 s"},
      {"REAL; exec >&-; exec sleep 100", "was ended by signal 9"},
      {"while :; do echo 0123456789012345678901234567890123456789; done", "gave no answer within 0.7 s"},
      {"echo hello, world, this is not an index", "the answer of graft-h5-index is not an index"},
      {"exit 0", "the answer of graft-h5-index is not an index"},
      {"REAL | head -c 100", "the answer of graft-h5-index is not an index"},
      {"REAL; echo", "the answer of graft-h5-index is not an index"},
      {"REAL | tr p q", "the answer of graft-h5-index is not an index"},
  };
  for (const Fake& fake : fakes) {
    INFO(fake.script);
    std::string script = fake.script;
    if (const size_t at = script.find("REAL"); at != script.npos) script.replace(at, 4, real);
    write_bytes(scratch / "fake", "#!/bin/sh\n" + script + "\n");
    fs::permissions(scratch / "fake", fs::perms::owner_all);
    const auto start = std::chrono::steady_clock::now();
    CHECK_THAT(reason_with(scratch / "fake", scratch / "m.h5"), Contains(fake.reason));
    CHECK(std::chrono::steady_clock::now() - start < 20s);
  }
  CHECK_THAT(reason_with(scratch / "missing", scratch / "m.h5"),
             Contains("GRAFT_H5_INDEX names") && Contains("missing"));
  write_bytes(scratch / "text", "not a program");
  CHECK_THAT(reason_with(scratch / "text", scratch / "m.h5"),
             Contains("cannot start") && Contains("Permission denied"));
  CHECK(reason_with(real, scratch / "m.h5") == "(read)");
  CHECK(waitpid(-1, nullptr, WNOHANG) == -1);  // no child was left behind
}

TEST_CASE("the helper works under a hard limit of memory lower than its own") {
  const ScratchFolder scratch;
  write_sample(scratch / "m.h5");
  ChildReport* report = nullptr;
  const auto read = [&](ChildReport&) {
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE);  // with which root's helper could raise the limit
    io::guarded_index(io::File::open(scratch / "m.h5"), 10s);
  };
  CHECK(run_in_child(report, read, {.memory_bytes = 300'000'000, .cpu_seconds = 5}) == 0);
  CHECK(std::string(report->problem) == "");
}

TEST_CASE("the helper inherits the file and a pipe and nothing else") {
  const ScratchFolder scratch;
  write_sample(scratch / "m.h5");
  const int inherited = dup(1);  // without O_CLOEXEC
  write_bytes(scratch / "fake", "#!/bin/sh\nls -l /proc/$$/fd > " + (scratch / "fds").string() + "\nenv > " +
                                    (scratch / "env").string() + "\n");
  fs::permissions(scratch / "fake", fs::perms::owner_all);
  setenv("GRAFT_SECRET", "hidden", 1);
  reason_with(scratch / "fake", scratch / "m.h5");
  unsetenv("GRAFT_SECRET");
  close(inherited);
  const std::string fds = bytes_of(scratch / "fds");
  CHECK_THAT(fds,
             Contains("0 -> " + (scratch / "m.h5").string()) && Contains("1 -> pipe:") && Contains("2 -> /dev/null"));
  CHECK_THAT(fds, !Contains(" 3 -> ") && !Contains(fmt::format(" {} -> ", inherited)));
  CHECK_THAT(bytes_of(scratch / "env"), !Contains("hidden"));
}

TEST_CASE("an answer is checked field by field") {
  CHECK(why_not({entry("/a", 64, {4}, 16), entry("/b", 80, {4}, 16)}) == "(accepted)");
  CHECK(why_not({entry("/a", 984, {4}, 16)}) == "(accepted)");
  CHECK_THAT(why_not({entry("/a", 985, {4}, 16)}), Contains("m.h5: /a would lie at bytes 985"));
  CHECK_THAT(why_not({entry("/a", UINT64_MAX - 3, {4}, 16)}), Contains("would lie at"));
  CHECK_THAT(why_not({entry("/a", 0, {4}, 16)}), Contains("would lie at"));
  CHECK_THAT(why_not({entry("/a", 64, {4}, 16), entry("/b", 79, {4}, 16)}), Contains("/a and /b overlap"));
  CHECK_THAT(why_not({entry("/a", 64, {4}, 20)}), Contains("takes 20 bytes in the file, its shape needs 16"));
  CHECK_THAT(why_not({entry("/a", 64, {-4}, 16)}), Contains("impossible shape"));
  CHECK_THAT(why_not({entry("/a", 64, {int64_t{1} << 62, 4}, 0)}), Contains("impossible shape"));
  CHECK_THAT(why_not({entry("/a", 64, {INT64_MAX, INT64_MAX, 0}, 0)}), Contains("impossible shape"));
  CHECK_THAT(why_not({entry("/a", 64, {1, 1, 1, 1, 1, 1, 1}, 4)}), Contains("is not an index"));
  CHECK_THAT(why_not({entry("/b", 64, {4}, 16), entry("/a", 80, {4}, 16)}), Contains("is there twice"));
  CHECK_THAT(why_not({entry("/a", 64, {4}, 16), entry("/a", 80, {4}, 16)}), Contains("is there twice"));
  for (const char* name : {"", "/", "a", "/a/", "/a//b", "/a\nb", "/\x1b[31m"})
    CHECK_THAT(why_not({entry(name, 64, {4}, 16)}), Contains("is not the name of a data set"));
  CHECK_THAT(why_not({{.path = "/a", .shape = {4}, .offset = 64, .bytes = 16, .attributes = {}}}),
             Contains("no element type"));
  io::IndexEntry twice = entry("/a", 64, {4}, 16);
  twice.attributes = {{"xxh3", uint64_t{1}}, {"xxh3", uint64_t{2}}};
  CHECK_THAT(why_not({twice}), Contains("two attributes xxh3"));
}

TEST_CASE("an answer that ends anywhere too early is refused, and a refusal carries no control characters") {
  io::IndexEntry e = entry("/parameters/w", 64, {2, 2}, 16);
  e.attributes = {{"axes", std::string("OI")}, {"xxh3", uint64_t{5}}};
  const std::string whole = io::encode_index({.attributes = {{"architecture", std::string("x")}}, .entries = {e}});
  CHECK_NOTHROW(io::decode_answer(whole, 1000, "m.h5"));
  for (size_t bytes = 0; bytes < whole.size(); ++bytes)
    CHECK_THROWS_AS(io::decode_answer(whole.substr(0, bytes), 1000, "m.h5"), Error);
  const std::string body = whole.substr(28);
  CHECK(answer_with(body) == whole);
  for (size_t bytes = 0; bytes < body.size(); ++bytes)
    CHECK_THROWS_AS(io::decode_answer(answer_with(body.substr(0, bytes)), 1000, "m.h5"), Error);
  std::string many = body;
  many.replace(0, 4, "\xff\xff\xff\xff");  // attributes
  CHECK_THROWS_AS(io::decode_answer(answer_with(many), 1000, "m.h5"), Error);
  CHECK_THROWS_WITH(io::decode_answer(io::encode_refusal("bad \x1b[2J\n"), 1000, "m.h5"), "m.h5: bad ?[2J?");
}
