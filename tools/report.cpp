#include "tools/report.h"

#include <algorithm>
#include <cmath>

#include "tools/output.h"

namespace graft::tools {

void add_report_options(CLI::App& app, ReportOptions& o) {
  app.add_flag("--json", o.json, "Answers as JSON, one object a line");
  app.add_flag("-q,--quiet", o.quiet, "No progress");
}

void print_json(const Json& json) { write_output(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"); }

std::string with_commas(int64_t number) {
  std::string text = std::to_string(number);
  const int64_t first = number < 0 ? 1 : 0;
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > first; at -= 3)
    text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

std::string as_bytes_text(int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) value /= 1000, ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string as_percent(double fraction) { return fmt::format("{:.1f} %", 100 * fraction); }

std::string as_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  const auto s = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string counted(int64_t n, std::string_view singular, std::string_view plural) {
  if (n == 1) return fmt::format("1 {}", singular);
  return plural.empty() ? fmt::format("{} {}s", with_commas(n), singular)
                        : fmt::format("{} {}", with_commas(n), plural);
}

std::string describe(const io::Preprocessing& p) {
  const char* how = p.interpolation == io::Interpolation::bicubic ? "bicubic" : "bilinear";
  std::string text = p.resize ? fmt::format("short side to {} ({}), ", p.resize, how) : "";
  text += p.crop ? fmt::format("centre {} x {}, ", p.crop, p.crop) : "the whole photo, ";
  return text + fmt::format("minus ({:.4g}, {:.4g}, {:.4g}), over ({:.4g}, {:.4g}, {:.4g})", p.mean[0], p.mean[1],
                            p.mean[2], p.std[0], p.std[1], p.std[2]);
}

namespace {

bool looks_like_number(std::string_view cell) {
  return cell.empty() || cell == "-" || (cell.front() >= '0' && cell.front() <= '9');
}

// Characters, not bytes: continuation bytes of UTF-8 take no place.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string Table::text() const {
  const size_t columns = rows_[0].size();
  std::vector<size_t> width(columns);
  std::vector<bool> right(columns, true);
  for (size_t r = 0; r < rows_.size(); ++r)
    for (size_t c = 0; c < rows_[r].size(); ++c) {
      width[c] = std::max(width[c], width_of(rows_[r][c]));
      if (r > 0 && !looks_like_number(rows_[r][c])) right[c] = false;
    }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string blank(width[c] - width_of(row[c]), ' ');
      line += (c ? "  " : "") + (right[c] ? blank + row[c] : row[c] + blank);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

void SkippedPhotos::add(const io::SkippedFile& file) {
  ++count_;
  // Most reasons begin with the file's whole path, which says more.
  const bool named = file.reason.find(file.file) != std::string::npos;
  note("skipped {}", named ? file.reason : fmt::format("{}: {}", file.file, file.reason));
}

}  // namespace graft::tools
