#include "tools/help.h"

#include <sstream>
#include <vector>

#include "core/error.h"

namespace graft::tools {

namespace {

constexpr size_t kColumns = 80, kTextColumn = 26, kCommandColumn = 14;

// `label`, and the text beside it from `at` on; below it, where the label is too long.
std::string entry(const std::string& label, const std::string& text, size_t at = kTextColumn) {
  std::string out = "  " + label;
  size_t column = out.size();
  if (column + 2 > at) {
    out += "\n";
    column = 0;
  }
  std::istringstream words(text);
  bool first = true;
  for (std::string word; words >> word; first = false) {
    if (!first && column + 1 + word.size() > kColumns) {
      out += "\n";
      column = 0;
      first = true;
    }
    if (first) {
      out += std::string(at - column, ' ');
      column = at;
    } else {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

bool takes_many(const CLI::Option& o) { return o.get_expected_max() >= CLI::detail::expected_max_vector_size; }

// "-o, --output OUT.h5", "--freeze PATTERN...", "DIR"
std::string label_of(const CLI::Option& o) {
  std::string label;
  if (o.get_positional()) {
    label = o.get_name(true, false);
  } else {
    for (const std::string& name : o.get_snames()) label += (label.empty() ? "-" : ", -") + name;
    for (const std::string& name : o.get_lnames()) label += (label.empty() ? "--" : ", --") + name;
    if (o.get_type_size() != 0) label += " " + o.get_type_name();
  }
  return label + (takes_many(o) ? "..." : "");
}

std::string text_of(const CLI::Option& o) {
  std::string text = o.get_description();
  if (!o.get_default_str().empty()) text += fmt::format(" (default: {})", o.get_default_str());
  return text;
}

// graft features MODEL.h5 DIR -o OUT.h5 [OPTIONS]
std::string usage(const CLI::App& app, const std::string& name) {
  std::string text = "Usage: " + name;
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) return text + " COMMAND\n";
  for (const CLI::Option* o : app.get_options())
    if (o->get_positional()) text += " " + label_of(*o);
  for (const CLI::Option* o : app.get_options())
    if (!o->get_positional() && o->get_required()) {
      const std::string shortest = o->get_snames().empty() ? "--" + o->get_lnames()[0] : "-" + o->get_snames()[0];
      text += fmt::format(" {} {}", shortest, o->get_type_name());
    }
  return text + " [OPTIONS]\n";
}

}  // namespace

std::string Help::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const {
  std::string text = app->get_description() + "\n\n" + usage(*app, name);

  const auto commands = app->get_subcommands([](const CLI::App*) { return true; });
  if (!commands.empty()) text += "\nCommands:\n";
  for (const CLI::App* command : commands)
    text += entry(command->get_name(), command->get_description(), kCommandColumn);

  std::string arguments;
  for (const CLI::Option* o : app->get_options())
    if (o->get_positional()) arguments += entry(label_of(*o), text_of(*o));
  if (!arguments.empty()) text += "\nArguments:\n" + arguments;

  for (const std::string& group : app->get_groups()) {
    std::string options;
    for (const CLI::Option* o : app->get_options())
      if (!o->get_positional() && o->get_group() == group) options += entry(label_of(*o), text_of(*o));
    if (!options.empty()) text += "\n" + group + ":\n" + options;
  }
  return text + "\n" + app->get_footer() + "\n";
}

}  // namespace graft::tools
