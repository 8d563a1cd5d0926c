// A file that is cut, rewritten or replaced while it is open.
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "io/file.h"
#include "tests/io/torch/bytes.h"

using namespace graft;
using namespace graft::test;

namespace {

std::string weights_file(float value) {
  return legacy_file(dict(text("w") + tensor(storage(100'000), 0, {100'000}, {1})), 100'000,
                     floats(std::vector<float>(100'000, value)));
}

// The time of a file's last write has the grain of the kernel's clock.
void wait_for_clock() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

}  // namespace

TEST_CASE("a file that is cut while it is read is an error") {
  const TempFile temp(weights_file(1));
  const auto file = io::open_torch_file(temp.path());
  std::vector<float> out(100'000);
  file->read(0, 0, 50'000, out.data());
  std::filesystem::resize_file(temp.path(), 1000);
  CHECK_THROWS_WITH(file->read(0, 50'000, 50'000, out.data()), Catch::Contains("was cut while it was being read"));
  CHECK_THROWS_AS(file->read(0, 0, 1, out.data()), Error);
}

TEST_CASE("a file that is rewritten in place while it is read is an error, be it of the same size") {
  const TempFile temp(weights_file(1));
  const auto file = io::open_torch_file(temp.path());
  std::vector<float> out(100'000);
  file->read(0, 0, 10, out.data());
  wait_for_clock();
  temp.write(weights_file(2));
  CHECK_THROWS_WITH(file->read(0, 10, 10, out.data()), Catch::Contains("was changed while it was being read"));
}

TEST_CASE("a file that another replaces is read to its end as it was") {
  const TempFile temp(weights_file(1));
  const auto file = io::open_torch_file(temp.path());
  const auto beside = temp.path().parent_path() / "beside.pth";
  std::filesystem::copy(temp.path(), beside);
  std::filesystem::rename(beside, temp.path());
  CHECK(read_all(*file, "w") == std::vector<float>(100'000, 1.f));
}

TEST_CASE("a file is rewritten and cut again and again while it is loaded") {
  const TempFile temp;
  const std::string one = weights_file(1), two = weights_file(2);
  temp.write(one);
  std::jthread writer([&](std::stop_token stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      temp.write(i % 2 ? one : two);  // cuts it to nothing, then writes it
      std::this_thread::sleep_for(std::chrono::microseconds(300 * (i % 5)));
    }
  });
  int loaded = 0, refused = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  while (std::chrono::steady_clock::now() < until) (error_of(temp.path()).empty() ? loaded : refused)++;
  CHECK(refused > 0);
}

TEST_CASE("what is no file is an error") {
  const TempFile temp;
  CHECK_THROWS_WITH(io::File::open(temp.path().parent_path()), Catch::Contains("is a directory"));
  CHECK_THROWS_WITH(io::File::open("/nowhere/weights.pth"),
                    Catch::Contains("cannot open /nowhere/weights.pth: No such file"));
  const auto pipe = temp.path().parent_path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(io::File::open(pipe), Catch::Contains("is a pipe"));
}

TEST_CASE("a range outside the file is an error") {
  const TempFile temp("0123456789");
  const auto file = io::File::open(temp.path());
  std::byte out[11] = {};
  file.read_at(2, std::span(out).first(8));
  CHECK(out[0] == std::byte{'2'});
  file.read_at(10, {});
  CHECK_THROWS_AS(file.read_at(0, out), Error);
  CHECK_THROWS_AS(file.read_at(3, std::span(out).first(8)), Error);
  CHECK_THROWS_AS(file.read_at(-1, std::span(out).first(1)), Error);
  CHECK_THROWS_AS(file.read_at(INT64_MAX, std::span(out).first(2)), Error);
}
