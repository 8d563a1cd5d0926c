// What several commands print: numbers for people, tables, JSON lines, and photos that were left out.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/dataset.h"
#include "io/image/preprocess.h"

namespace graft::tools {

using Json = nlohmann::ordered_json;

struct ReportOptions {
  bool json = false, quiet = false;
};
void add_report_options(CLI::App& app, ReportOptions& o);

void print_json(const Json& json);  // one line

std::string with_commas(int64_t number);                                                  // 25,557,032
std::string as_bytes_text(int64_t bytes);                                                 // 18.6 MB
std::string as_percent(double fraction);                                                  // 94.8 %
std::string as_duration(double seconds);                                                  // 3 s, 2:05, 1:02:45
std::string counted(int64_t n, std::string_view singular, std::string_view plural = {});  // 1 photo, 2 photos
std::string describe(const io::Preprocessing& preprocessing);

// Columns as wide as their widest cell; a column whose cells are all numbers is set to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// A photo that cannot be read is a line on standard error; the exit code says later that there were some.
class SkippedPhotos {
 public:
  void add(const io::SkippedFile& file);
  void add(const std::vector<io::SkippedFile>& files) {
    for (const auto& f : files) add(f);
  }
  int64_t count() const { return count_; }
  int exit_code() const { return count_ ? 1 : 0; }

 private:
  int64_t count_ = 0;
};

}  // namespace graft::tools
