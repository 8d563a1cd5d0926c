// Command lines as text, to be shown and pasted into a shell.
#pragma once
#include <string>
#include <vector>

namespace graft::tools {

std::string shell_quoted(const std::string& word);

// "graft train pets --lr 0.1", each argument quoted where a shell needs it.
std::string command_line(const std::vector<std::string>& arguments);

// The arguments without an option that takes one value, in any of its spellings: --lr X, --lr=X, -o X, -oX.
std::vector<std::string> without_option(const std::vector<std::string>& arguments,
                                        const std::vector<std::string>& names);

// The same with another value, at the end.
std::vector<std::string> with_option(const std::vector<std::string>& arguments, const std::vector<std::string>& names,
                                     const std::string& value);

}  // namespace graft::tools
