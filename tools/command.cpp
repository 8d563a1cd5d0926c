#include "tools/command.h"

#include <exception>
#include <new>

#include "models/near_names.h"
#include "tools/output.h"

namespace graft::tools {

namespace {

// The subcommand that was asked for, with all in between.
const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() ? path_of(*app.get_parent()) + " " + app.get_name() : app.get_name();
}

// "--tpo": what was meant?
std::string explain_unknown(const CLI::App& command, const std::string& argument) {
  const bool is_option = argument.starts_with('-');
  const std::string given = argument.substr(0, argument.find('='));
  std::vector<std::string> known;
  if (is_option)
    for (const CLI::Option* option : command.get_options())
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  else
    for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(sub->get_name());
  const auto near = models::near_names(given, known, 1);
  const char* what = is_option ? "option" : known.empty() ? "argument" : "command";
  return fmt::format("there is no {} {}{}", what, given,
                     near.empty() ? "" : fmt::format("; did you mean {}?", near[0]));
}

// The parser's own words, put as what to do.
std::string explain(const CLI::ParseError& error) {
  const std::string text = error.what();
  const auto before = [&](const char* mark) { return text.substr(0, text.find(mark)); };
  const auto after = [&](const char* mark) { return text.substr(text.find(mark) + std::string_view(mark).size()); };
  if (dynamic_cast<const CLI::ExcludesError*>(&error) && text.find(" excludes ") != text.npos)
    return fmt::format("{} and {} do not go together: give one of them", before(" excludes "), after(" excludes "));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) && text.ends_with(" missing"))  // "--lr: 1 required N missing"
    return fmt::format("{} needs a value behind it", before(":"));
  return text;
}

int report_wrong_use(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost(app);
  std::string message = explain(error);
  // Whatever else is wrong, a word that was not understood comes first: it is often the reason.
  const auto remaining = app.remaining(true);
  for (const std::string& argument : remaining)
    if (argument.starts_with('-') || dynamic_cast<const CLI::ExtrasError*>(&error)) {
      message = explain_unknown(command, argument);
      break;
    }
  note("graft: {}", message);
  note("see {} --help", path_of(command));
  return kWrongUse;
}

int run(const CommandLine& line) {
  try {
    const int code = line.run();
    set_status_line("");
    flush_output();
    return code;
  } catch (const UsageError& e) {
    set_status_line("");
    note("graft: {}", e.what());
    note("see {} --help", path_of(innermost(line.app)));
    return kWrongUse;
  } catch (const Error& e) {
    set_status_line("");
    note("graft: {}", e.what());
  } catch (const std::bad_alloc&) {
    set_status_line("");
    note("graft: there is not enough memory; a smaller --batch needs less");
  } catch (const std::exception& e) {  // InternalError, and what nobody thought of
    set_status_line("");
    note("graft: this is a defect of graft, not of what you gave it: {}", e.what());
  }
  return kFailed;
}

}  // namespace

CLI::App& add_subcommand(CLI::App& parent, const char* name, const char* description, const char* examples) {
  CLI::App& app = *parent.add_subcommand(name, description);
  std::string footer = "Examples:\n  ";
  for (const char* c = examples; *c; ++c) {
    footer += *c;
    if (*c == '\n') footer += "  ";
  }
  app.footer(footer);
  return app;
}

int run_command_line(CommandLine& line, int argc, const char* const* argv) {
  line.arguments.assign(argv + 1, argv + argc);
  try {
    try {
      line.app.parse(argc, argv);
    } catch (const CLI::Success& help) {  // --help, --version
      const bool version = dynamic_cast<const CLI::CallForVersion*>(&help) != nullptr;
      write_output(version ? std::string(help.what()) + "\n" : line.app.help());
      flush_output();
      return kDone;
    } catch (const CLI::ParseError& error) {
      return report_wrong_use(line.app, error);
    }
    if (!line.run && !line.app.get_subcommands().empty()) {  // `graft bench`
      const CLI::App& command = innermost(line.app);
      std::vector<std::string> known;
      for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; }))
        known.push_back(sub->get_name());
      note("graft: {} needs a command: {}", command.get_name(), fmt::join(known, ", "));
      note("see {} --help", path_of(command));
      return kWrongUse;
    }
    if (!line.run) {
      write_output(line.app.help());
      flush_output();
      return kDone;
    }
  } catch (const std::exception& e) {
    note("graft: {}", e.what());
    return kFailed;
  }
  return run(line);
}

}  // namespace graft::tools
