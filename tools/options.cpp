#include "tools/options.h"

#include <cmath>

#include "tools/report.h"

namespace graft::tools {

std::string describe(const Range& range, bool whole) {
  constexpr double kEndless = 1e12;
  const auto number = [](double n) {
    return n == std::floor(n) ? with_commas(static_cast<int64_t>(n)) : fmt::format("{}", n);
  };
  const char* what = whole ? "a whole number" : "a number";
  return range.high < kEndless ? fmt::format("{} from {} to {}", what, number(range.low), number(range.high))
                               : fmt::format("{}, {} or more", what, number(range.low));
}

CLI::Option* with_placeholder(CLI::Option* option, const char* placeholder, std::string standing) {
  return option->type_name(placeholder)->default_str(std::move(standing));
}

CLI::Option* add_model(CLI::App& app, std::filesystem::path& model) {
  return app.add_option("MODEL.h5", model, "A model file, as convert and train write them")->required();
}

CLI::Option* add_patterns(CLI::App& app, const char* name, std::vector<std::string>& patterns, const char* what) {
  return with_placeholder(app.add_option(name, patterns, what), "PATTERN");
}

CLI::Option* add_batch(CLI::App& app, int64_t& batch, const char* of) {
  return add_number(app, "--batch", batch, {1, 65'536}, of);
}

}  // namespace graft::tools
