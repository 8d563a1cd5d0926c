// What the program says. Answers go to standard output; notes, warnings and the progress bar to standard error.
//
// When whoever reads the output goes away (`graft … | head`), what is printed after that is dropped and output_closed()
// says so; a full disk is an Error. For one thread.
#pragma once
#include <fmt/format.h>

#include <string_view>

namespace graft::tools {

void write_output(std::string_view text);  // as it is
void write_note(std::string_view text);    // a line on standard error; ends the line itself

template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  write_output(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void note(fmt::format_string<Args...> format, Args&&... args) {
  write_note(fmt::format(format, std::forward<Args>(args)...));
}

bool output_closed();
void flush_output();  // throws Error when the output cannot be written

// The last line of the terminal, drawn again below whatever is printed; "" takes it away. Only where standard error is
// a terminal.
void set_status_line(std::string_view text);
bool error_is_terminal();

}  // namespace graft::tools
