#include "tools/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/error.h"

namespace graft::tools {

namespace {

struct Screen {
  std::string status;
  bool closed = false;
};
Screen& screen() {
  static Screen instance;
  return instance;
}

void erase_status() {
  if (!screen().status.empty()) std::fputs("\r\x1b[K", stderr);
}
void draw_status() {
  if (!screen().status.empty()) std::fprintf(stderr, "\r%s\x1b[K", screen().status.c_str());
  std::fflush(stderr);
}

void check_written(bool ok) {
  if (ok || screen().closed) return;
  screen().closed = true;  // also after an error: there is no second chance
  if (errno != EPIPE) fail("cannot write to standard output: {}", std::strerror(errno));
}

}  // namespace

void write_output(std::string_view text) {
  if (screen().closed) return;
  erase_status();
  check_written(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
  if (!screen().status.empty()) flush_output();  // in order with the line below
  draw_status();
}

void write_note(std::string_view text) {
  std::fflush(stdout);
  erase_status();
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  draw_status();
}

bool output_closed() { return screen().closed; }

void flush_output() {
  if (!screen().closed) check_written(std::fflush(stdout) == 0);
}

bool error_is_terminal() { return isatty(STDERR_FILENO) != 0; }

void set_status_line(std::string_view text) {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  if (text.empty()) erase_status();
  screen().status = text.substr(0, known ? size.ws_col - 1u : 79u);  // a line that wraps could not be erased
  draw_status();
}

}  // namespace graft::tools
