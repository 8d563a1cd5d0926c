#include "tools/class_names.h"

#include <set>

#include "core/error.h"
#include "io/file.h"
#include "io/text.h"

namespace graft::tools {

std::vector<std::string> read_class_names(const std::filesystem::path& path) {
  constexpr int64_t kMaxBytes = 16 << 20;
  const auto file = io::File::open(path);
  GRAFT_CHECK(file.size() <= kMaxBytes, "{}: {} bytes are too many for a list of class names", file.name(),
              file.size());
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  GRAFT_CHECK(!text.empty(), "{}: there is no class name in it; write one a line", file.name());

  std::vector<std::string> names;
  std::set<std::string> seen;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string name = text.substr(at, end - at);
    at = end + 1;
    if (!name.empty() && name.back() == '\r') name.pop_back();
    GRAFT_CHECK(!name.empty(), "{}: line {} is blank; every line names a class", file.name(), names.size() + 1);
    GRAFT_CHECK(io::is_printable_utf8(name), "{}: line {} is not plain UTF-8 text", file.name(), names.size() + 1);
    GRAFT_CHECK(seen.insert(name).second, "{}: line {}: '{}' is there twice", file.name(), names.size() + 1, name);
    names.push_back(std::move(name));
  }
  return names;
}

std::string class_name(const std::vector<std::string>& classes, int64_t index) {
  return classes.empty() ? fmt::format("class {}", index) : classes.at(static_cast<size_t>(index));
}

}  // namespace graft::tools
