#include "io/dataset.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <set>

#include "core/error.h"
#include "io/text.h"
#include "tests/io/image/pixels.h"
#include "tests/support/test_data.h"

namespace graft::test {
namespace {

namespace fs = std::filesystem;

// Copies the small files named into `folder`.
void put(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) write_file(folder / name, file_bytes(image_data(name)));
}

template <typename Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
std::string open_error(const fs::path& folder) {
  return error_of([&] { io::open_dataset(folder); });
}

std::vector<std::string> names(const io::Dataset& dataset) {
  std::vector<std::string> out;
  for (const auto& sample : dataset.samples) out.push_back(sample.file.generic_string());
  return out;
}

TEST_CASE("a folder of class folders, sorted by bytes, hidden files passed over") {
  TemporaryFolder t;
  put(t.path / "cats", {"420.jpg", "rgb8.png"});
  put(t.path / "Zebras", {"gray.jpg"});
  put(t.path / "cats" / "b", {"444.jpg"});
  put(t.path / "cats" / "a" / "deep", {"422.jpg"});
  put(t.path / ".cache", {"gray.jpg"});
  write_file(t.path / "cats" / ".hidden.jpg", std::string("x"));
  write_file(t.path / "cats" / "moving.jpg", std::string("GIF89a..."));
  write_file(t.path / "README.md", std::string("about"));

  const auto folder = io::open_dataset(t.path);
  const auto& d = folder.train;
  CHECK_FALSE(folder.validation);
  CHECK(d.classes == std::vector<std::string>{"Zebras", "cats"});
  CHECK(names(d) == std::vector<std::string>{"Zebras/gray.jpg", "cats/420.jpg", "cats/rgb8.png", "cats/a/deep/422.jpg",
                                             "cats/b/444.jpg"});
  CHECK(d.counts() == std::vector<int64_t>{1, 4});
  REQUIRE(d.skipped.size() == 1);
  CHECK(d.skipped[0].file == "cats/moving.jpg");
  CHECK(d.skipped[0].reason == "a GIF image; JPEG and PNG are read");
}

TEST_CASE("train and a folder for validation, under any of its names") {
  for (const char* validation : {"val", "valid", "validation"}) {
    TemporaryFolder t;
    put(t.path / "train" / "a", {"420.jpg"});
    put(t.path / "train" / "b", {"422.jpg"});
    put(t.path / "train" / "c", {"422.jpg"});
    put(t.path / validation / "c", {"444.jpg"});
    put(t.path / "test" / "z", {"444.jpg"});
    const auto folder = io::open_dataset(t.path);
    REQUIRE(folder.validation);
    CHECK(folder.validation->classes == folder.train.classes);
    CHECK(folder.validation->counts() == std::vector<int64_t>{0, 0, 1});
    CHECK(folder.train.samples.size() == 3);

    put(t.path / validation / "dogs", {"444.jpg"});
    CHECK_THAT(open_error(t.path), Catch::Contains("dogs") && Catch::Contains("a, b, c"));
  }
}

TEST_CASE("a class may be called train") {
  TemporaryFolder t;
  put(t.path / "train", {"420.jpg"});
  put(t.path / "bus", {"422.jpg"});
  CHECK(io::open_dataset(t.path).train.classes == std::vector<std::string>{"bus", "train"});
}

TEST_CASE("two folders for validation are one too many") {
  TemporaryFolder t;
  for (const char* half : {"train", "val", "valid"}) put(t.path / half / "a", {"420.jpg"});
  CHECK_THAT(open_error(t.path), Catch::Contains("both val and valid"));
}

TEST_CASE("what is no data set is told why") {
  TemporaryFolder t;
  CHECK_THAT(open_error(t.path / "nowhere"), Catch::Contains("nowhere") && Catch::Contains("no such folder"));
  CHECK_THAT(open_error(t.path), Catch::Contains("no class folders") && Catch::Contains("empty"));
  put(t.path, {"420.jpg"});
  CHECK_THAT(open_error(t.path / "420.jpg"), Catch::Contains("is a file"));
  CHECK_THAT(open_error(t.path), Catch::Contains("no class folders (1 files"));

  put(t.path / "cats", {"420.jpg"});
  fs::create_directory(t.path / "dogs");
  CHECK_THAT(open_error(t.path),
             Catch::Contains("dogs") && Catch::Contains("no JPEG or PNG") && Catch::Contains("(it is empty)"));
  write_file(t.path / "dogs" / "rex.jpg", std::string("<html>404</html>"));
  CHECK_THAT(open_error(t.path), Catch::Contains("dogs/rex.jpg") && Catch::Contains("an HTML page"));
  put(t.path / "dogs", {"444.jpg"});
  CHECK(io::open_dataset(t.path).train.counts() == std::vector<int64_t>{1, 1});
}

TEST_CASE("a single class is a data set: whoever trains decides") {
  TemporaryFolder t;
  put(t.path / "cats", {"420.jpg"});
  CHECK(io::open_dataset(t.path).train.classes.size() == 1);
}

TEST_CASE("a trained model's classes give the labels") {
  TemporaryFolder t;
  put(t.path / "cats", {"420.jpg"});
  const std::vector<std::string> classes{"dogs", "cats"};
  const auto d = io::read_class_folders(t.path, &classes);
  CHECK(d.samples.at(0).label == 1);
  put(t.path / "birds", {"420.jpg"});
  CHECK_THAT(error_of([&] { io::read_class_folders(t.path, &classes); }), Catch::Contains("birds"));
}

TEST_CASE("links are followed, loops and pipes are not") {
  TemporaryFolder t;
  put(t.path / "cats", {"420.jpg"});
  put(t.path / "elsewhere" / "x", {"444.jpg"});
  fs::create_directory_symlink("../elsewhere/x", t.path / "cats" / "more");
  fs::create_directory_symlink("..", t.path / "cats" / "up");
  fs::create_symlink("itself", t.path / "cats" / "itself");
  fs::create_symlink("gone.jpg", t.path / "cats" / "dangling.jpg");
  REQUIRE(mkfifo((t.path / "cats" / "pipe.jpg").c_str(), 0600) == 0);
  const std::vector<std::string> classes{"cats"};
  fs::create_directory(t.path / "set");
  fs::create_directory_symlink("../cats", t.path / "set" / "cats");

  const auto d = io::read_class_folders(t.path / "set", &classes);
  CHECK(d.samples.size() == 2);  // cats/up/cats is cats itself, cats/up/elsewhere/x is cats/more
  CHECK(names(d).front() == "cats/420.jpg");
  std::set<std::string> skipped;
  bool loop = false;
  for (const auto& s : d.skipped) {
    skipped.insert(s.file);
    loop = loop || s.reason.find("searched already") != std::string::npos;
  }
  CHECK(loop);
  for (const char* name : {"cats/itself", "cats/dangling.jpg", "cats/pipe.jpg"}) CHECK(skipped.count(name) == 1);
}

TEST_CASE("names that are not UTF-8") {
  TemporaryFolder t;
  put(t.path / "cats", {"420.jpg"});
  fs::copy_file(image_data("444.jpg"), t.path / "cats" / "caf\xE9.jpg");
  write_file(t.path / "cats" / "bad\n\xFF.jpg", std::string("no"));
  const auto d = io::open_dataset(t.path).train;
  CHECK(d.samples.size() == 2);
  REQUIRE(d.skipped.size() == 1);
  CHECK(d.skipped[0].file == "cats/bad\\x0A\\xFF.jpg");
  put(t.path / "caf\xE9", {"420.jpg"});
  CHECK_THAT(open_error(t.path), Catch::Contains("caf\\xE9") && Catch::Contains("rename"));
}

TEST_CASE("printable text") {
  CHECK(io::is_printable_utf8("Käfer 蜂 🐝"));
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80", "a\tb", "\x7F",
                          "\xC2\x85", "\xE0\x9F\xBF", "\xFF"})
    CHECK_FALSE(io::is_printable_utf8(bad));
  CHECK(io::printable(std::string_view("ä\xE4z")) == "ä\\xE4z");
}

TEST_CASE("files and folders without classes") {
  TemporaryFolder t;
  put(t.path / "b", {"gray.jpg", "420.jpg"});
  put(t.path, {"rgb8.png"});
  const auto d = io::find_photos({t.path / "rgb8.png", t.path / "b", t.path / "missing.jpg"});
  REQUIRE(d.samples.size() == 3);
  CHECK(d.samples[0].file == t.path / "rgb8.png");
  CHECK(d.samples[1].file == t.path / "b/420.jpg");
  REQUIRE(d.skipped.size() == 1);
  CHECK(d.skipped[0].file == (t.path / "missing.jpg").string());
}

TEST_CASE("a stratified split: all, once, in proportion, by seed") {
  io::Dataset d{"x", {"a", "b", "c", "d"}, {}, {}};
  const int64_t counts[] = {100, 11, 2, 1};
  for (int64_t label = 0; label < 4; ++label)
    for (int64_t i = 0; i < counts[label]; ++i) d.samples.push_back({fmt::format("{}/{:03}", label, i), label});
  const auto [train, validation] = io::split_stratified(d, 0.2, 5);
  CHECK(validation.counts() == std::vector<int64_t>{20, 2, 1, 0});
  CHECK(train.counts() == std::vector<int64_t>{80, 9, 1, 1});
  auto all = names(train);
  const auto other = names(validation);
  CHECK(std::is_sorted(all.begin(), all.end()));
  CHECK(std::is_sorted(other.begin(), other.end()));
  all.insert(all.end(), other.begin(), other.end());
  std::sort(all.begin(), all.end());
  CHECK(all == names(d));

  CHECK(names(io::split_stratified(d, 0.2, 5).second) == other);
  CHECK(names(io::split_stratified(d, 0.2, 6).second) != other);
  CHECK(io::split_stratified(d, 0, 5).second.samples.empty());
  CHECK(io::split_stratified(d, 0.999, 5).first.counts() == std::vector<int64_t>{1, 1, 1, 1});
  CHECK_THROWS_AS(io::split_stratified(d, 1, 5), Error);
  CHECK_THROWS_AS(io::split_stratified(d, -0.1, 5), Error);
}

TEST_CASE("the content hash sees names and bytes, not the place") {
  const auto make = [](const fs::path& root) {
    put(root / "a", {"420.jpg", "444.jpg"});
    put(root / "b", {"422.jpg"});
  };
  const auto hash = [](const fs::path& root) { return io::content_hash(io::open_dataset(root).train); };
  TemporaryFolder one, two;
  make(one.path);
  make(two.path / "deeper");
  const std::string original = hash(one.path);
  CHECK(original.size() == 32);
  CHECK(hash(two.path / "deeper") == original);

  fs::rename(one.path / "a/444.jpg", one.path / "a/445.jpg");
  CHECK(hash(one.path) != original);
  fs::rename(one.path / "a/445.jpg", one.path / "a/444.jpg");
  CHECK(hash(one.path) == original);
  auto bytes = file_bytes(one.path / "b/422.jpg");
  bytes.back() ^= std::byte{1};
  write_file(one.path / "b/422.jpg", bytes);
  CHECK(hash(one.path) != original);
  make(one.path);
  fs::rename(one.path / "b", one.path / "c");
  CHECK(hash(one.path) != original);

  auto gone = io::open_dataset(one.path).train;  // a file that went since is not fatal
  fs::remove(one.path / "a/420.jpg");
  CHECK(io::content_hash(gone).size() == 32);
}

TEST_CASE("hymenoptera: 244 and 153 photos but for the GIF") {
  const auto root = need_data("hymenoptera");
  if (root.empty()) return;
  const auto folder = io::open_dataset(root);
  REQUIRE(folder.validation);
  CHECK(folder.train.classes == std::vector<std::string>{"ants", "bees"});
  CHECK(folder.train.samples.size() == 244);
  CHECK(folder.validation->samples.size() == 153);
  REQUIRE(folder.train.skipped.size() == 1);
  CHECK(folder.train.skipped[0].file == "ants/imageNotFound.gif");
}

}  // namespace
}  // namespace graft::test
