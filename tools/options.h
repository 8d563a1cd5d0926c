// Options that say what they take: a placeholder, a range or a choice, and what stands without them. A value outside is
// wrong use, and the message names the option and what it takes.
//
//   add_number(app, "--batch", o.batch, {1, 65'536}, "Photos at a time");
//   add_choice<Layout>(app, "--layout", o.layout, {{"nhwc", Layout::nhwc}, …}, "Order of axes");
#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <type_traits>

#include "core/error.h"

namespace graft::tools {

struct Range {
  double low, high;
};

// "a whole number from 1 to 65,536"; ends nobody reaches are left out.
std::string describe(const Range& range, bool whole);

// For the help: what an option takes, and what stands without it.
CLI::Option* with_placeholder(CLI::Option* option, const char* placeholder, std::string standing = {});

template <typename Number>
auto within(Range range) {
  return [range](const std::string& text) {
    Number n{};
    const bool ok = CLI::detail::lexical_cast(text, n) && static_cast<double>(n) >= range.low &&
                    static_cast<double>(n) <= range.high;
    return ok ? std::string() : fmt::format("{} is not {}", text, describe(range, std::is_integral_v<Number>));
  };
}

template <typename Number>
CLI::Option* add_number(CLI::App& app, const char* name, std::optional<Number>& target, Range range,
                        const std::string& description) {
  auto* option = app.add_option_function<Number>(
      name, [&target](const Number& n) { target = n; }, description);
  option->check(within<Number>(range));
  return with_placeholder(option, "N");
}
template <typename Number>
CLI::Option* add_number(CLI::App& app, const char* name, Number& target, Range range, const std::string& description) {
  auto* option = app.add_option(name, target, description);
  option->check(within<Number>(range));
  return with_placeholder(option, "N", fmt::format("{}", target));
}

// One word of a few.
template <typename Value>
CLI::Option* add_choice(CLI::App& app, const char* name, Value& target,
                        const std::vector<std::pair<std::string, Value>>& choices, const std::string& description) {
  std::vector<std::string> words;
  std::string standing;
  for (const auto& [word, value] : choices) {
    words.push_back(word);
    if (value == target) standing = word;
  }
  const std::string known = fmt::format("{}", fmt::join(words, ", "));
  auto* option = app.add_option_function<std::string>(
      name,
      [&target, choices](const std::string& given) {
        for (const auto& [word, value] : choices)
          if (word == given) target = value;
      },
      fmt::format("{}: one of {}", description, known));
  option->check([words, known](const std::string& given) {
    const bool ok = std::find(words.begin(), words.end(), given) != words.end();
    return ok ? std::string() : fmt::format("{} is not one of {}", given, known);
  });
  return with_placeholder(option, "NAME", standing);
}

// What most commands take.
CLI::Option* add_model(CLI::App& app, std::filesystem::path& model);  // MODEL.h5
CLI::Option* add_patterns(CLI::App& app, const char* name, std::vector<std::string>& patterns, const char* what);
CLI::Option* add_batch(CLI::App& app, int64_t& batch, const char* of);

}  // namespace graft::tools
