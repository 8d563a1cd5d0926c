#include "tools/command_text.h"

#include <algorithm>

namespace graft::tools {

std::string shell_quoted(const std::string& word) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string quoted = "'";
  for (char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string command_line(const std::vector<std::string>& arguments) {
  std::string text = "graft";
  for (const std::string& argument : arguments) text.append(1, ' ').append(shell_quoted(argument));
  return text;
}

std::vector<std::string> without_option(const std::vector<std::string>& arguments,
                                        const std::vector<std::string>& names) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool alone = std::find(names.begin(), names.end(), argument) != names.end();
    const bool joined = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return argument.starts_with(name.starts_with("--") ? name + "=" : name);
    });
    if (alone) ++i;  // its value
    if (!alone && !joined) rest.push_back(argument);
  }
  return rest;
}

std::vector<std::string> with_option(const std::vector<std::string>& arguments, const std::vector<std::string>& names,
                                     const std::string& value) {
  auto changed = without_option(arguments, names);
  changed.insert(changed.end(), {names.back(), value});
  return changed;
}

}  // namespace graft::tools
