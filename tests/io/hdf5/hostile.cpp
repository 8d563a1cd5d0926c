// Files made to be refused: each with a clear reason, through the guarded helper and in-process alike.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "core/error.h"
#include "tests/io/hdf5/limited_child.h"
#include "tests/io/hdf5/sample_file.h"
#include "tests/support/commit_seed.h"

using namespace graft;
using namespace graft::test;
using Catch::Matchers::Contains;

namespace {

struct HostileFile {
  const char* name;  // in hostile/, made by make_hostile.py
  const char* reason;
};

constexpr HostileFile kHostile[] = {
    {"external_link", "/parameters/w is a soft or external link"},
    {"soft_link", "/parameters/w is a soft or external link"},
    {"external_storage", "/parameters/w lies in another file"},
    {"virtual", "/parameters/w is stored chunked, compact or virtual"},
    {"chunked", "/parameters/w is stored chunked, compact or virtual"},
    {"filter", "/parameters/w is stored chunked, compact or virtual"},
    {"huge_shape", "its shape needs 2305843009213693952"},
    {"overflowing_shape", "claims an impossible shape [3, 4611686018427387904, 5]"},
    {"negative_shape", "/parameters/w is damaged"},
    {"outside", "it is cut short or damaged"},
    {"nested", "nested more than 8 deep"},
    {"cycle", "/parameters/again is another name"},
    {"two_names", "/parameters/w is another name"},
    {"named_type", "neither a group nor a data set"},
    {"compound", "an element type that graft does not read"},
    {"big_endian", "an element type that graft does not read"},
    {"variable_strings", "strings of variable length"},
    {"variable_attribute", "attribute axes is neither"},
    {"long_name", "a name of more than 1024 bytes"},
    {"control_name", "'/parameters/w?[2J' is not the name of a data set"},
    {"many_attributes", "more than 64 attributes"},
    {"seven_axes", "has 7 axes, at most 6 are read"},
    {"no_sum", "/parameters/w has no sum"},
    {"user_block", "not an HDF5 file"},
    {"foreign", "is HDF5, but not a file that graft wrote"},
};

std::string reason_of(const fs::path& path, io::Trust trust) {
  try {
    contents(io::GraftFile(path, trust));
  } catch (const Error& error) {
    return error.what();
  }
  return "(read)";
}

fs::path hostile(const std::string& name) {
  return fs::path(GRAFT_SOURCE_DIR) / "tests/io/hdf5/hostile" / (name + ".h5");
}

}  // namespace

TEST_CASE("hostile HDF5 files are refused with the reason") {
  for (const HostileFile& file : kHostile) {
    INFO(file.name);
    const std::string guarded = reason_of(hostile(file.name), io::Trust::guarded);
    CHECK_THAT(guarded, Contains(file.reason) && Contains(std::string(file.name) + ".h5"));
    CHECK(reason_of(hostile(file.name), io::Trust::in_process) == guarded);
  }
  CHECK_THAT(reason_of(hostile("wrong_sum"), io::Trust::guarded),
             Contains("the sum of parameters/w is wrong; convert or train it again"));
}

TEST_CASE("every file in hostile/ is in the table") {
  for (const auto& entry : fs::directory_iterator(hostile("x").parent_path())) {
    const std::string name = entry.path().stem().string();
    const bool known = name == "wrong_sum" || name == "old_format" ||
                       std::any_of(std::begin(kHostile), std::end(kHostile), [&](auto& h) { return name == h.name; });
    CHECK((known ? "" : name) == std::string());
  }
}

TEST_CASE("a file of HDF5's old format is an index like any other, and its sum is checked") {
  CHECK_THAT(reason_of(hostile("old_format"), io::Trust::guarded), Contains("the sum of parameters/w is wrong"));
}

TEST_CASE("what is not a file, or not HDF5, is said plainly") {
  const ScratchFolder scratch;
  write_bytes(scratch / "empty.h5", "");
  write_bytes(scratch / "text.h5", std::string(5000, 'x'));
  CHECK_THAT(reason_of(scratch / "missing.h5", io::Trust::guarded), Contains("missing.h5") && Contains("No such file"));
  CHECK_THAT(reason_of(scratch.path, io::Trust::guarded), Contains("directory"));
  CHECK_THAT(reason_of(scratch / "empty.h5", io::Trust::guarded),
             Contains("empty.h5: not an HDF5 file") && Contains("`graft convert`"));
  CHECK_THAT(reason_of(scratch / "text.h5", io::Trust::guarded), Contains("text.h5: not an HDF5 file"));
  // cut: nothing of the HDF5 library's own words
  write_bytes(scratch / "cut.h5", bytes_of(hostile("wrong_sum")).substr(0, 1000));
  CHECK_THAT(
      reason_of(scratch / "cut.h5", io::Trust::guarded),
      Contains("cut.h5: the HDF5 file is cut short or damaged: copy it again, or make it again") && !Contains("eof"));
}

TEST_CASE("a newer format is refused") {
  const ScratchFolder scratch;
  write_bytes(scratch / "new.h5", bytes_of(hostile("old_format")));
  std::string bytes = bytes_of(scratch / "new.h5");
  const size_t at = bytes.find("graft_format");
  REQUIRE(at != bytes.npos);
  const size_t value = bytes.find(std::string("\1\0\0\0\0\0\0\0", 8), at + 40);  // after the attribute's type and space
  REQUIRE(value != bytes.npos);
  bytes[value] = 9;
  write_bytes(scratch / "new.h5", bytes);
  CHECK_THAT(reason_of(scratch / "new.h5", io::Trust::guarded), Contains("has format 9, this graft reads format 1"));
}

TEST_CASE("more objects than any network has are refused before they are looked at") {
  const ScratchFolder scratch;
  {
    io::GraftFileWriter file(scratch / "many.h5");
    for (int i = 0; i < 65600; ++i) add(file, "training", fmt::format("x{}", i), {0}, "", std::vector<float>{});
    file.commit();
  }
  CHECK_THAT(reason_of(scratch / "many.h5", io::Trust::guarded), Contains("the file holds more than 65536 objects"));
}

TEST_CASE("a file that ends anywhere too early is refused") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  const std::string whole = bytes_of(scratch / "sample.h5");
  ChildReport* report = nullptr;
  const int status = run_in_child(report, [&](ChildReport& r) {
    for (size_t bytes = whole.size(); bytes-- > 0;) {
      std::snprintf(r.doing, sizeof r.doing, "%zu bytes", bytes);
      if (truncate((scratch / "sample.h5").c_str(), static_cast<off_t>(bytes)) != 0)
        throw std::runtime_error("truncate");
      if (reason_of(scratch / "sample.h5", io::Trust::in_process) == "(read)") throw std::runtime_error(r.doing);
      ++r.counts[0];
    }
  });
  INFO(report->doing);
  CHECK(std::string(report->problem) == "");
  CHECK(status == 0);
  CHECK(report->counts[0] == static_cast<long long>(whole.size()));

  for (size_t bytes = 0; bytes < whole.size(); bytes += 151) {
    write_bytes(scratch / "cut.h5", std::string_view(whole).substr(0, bytes));
    CHECK_THAT(reason_of(scratch / "cut.h5", io::Trust::guarded), Contains("cut.h5"));
  }
}

TEST_CASE("random damage that no checksum covers never reaches this process") {
  // The old format has none in its metadata: HDF5 itself meets the damage, and may crash on it, in the helper.
  const ScratchFolder scratch;
  const std::string original = bytes_of(hostile("old_format"));
  std::mt19937_64 random(commit_seed());
  INFO("commit " << commit());
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string bytes = original;
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      const uint64_t kind = random();
      bytes[random() % bytes.size()] = static_cast<char>(kind % 3 == 0 ? 0xff : kind % 3 == 1 ? 0 : random());
    }
    write_bytes(scratch / "damaged.h5", bytes);
    const std::string reason = reason_of(scratch / "damaged.h5", io::Trust::guarded);
    REQUIRE((reason == "(read)" || reason.find("damaged.h5") != reason.npos));  // read: a group was renamed
    refused += reason != "(read)" && reason.find("the sum of") == reason.npos;
  }
  CHECK(refused > 50);
}
