// What the command line gave stands in the options already. The other places are gone through from the
// highest to the lowest, and each fills in only what is still missing, by handing CLI11 the text as if it had
// been written on the command line. So one set of parsers and sentences serves all three.
#include "tools/settings.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>

#include "engine/io/file_system.h"
#include "engine/io/posix_file_system.h"

namespace tidemark::tools {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;
constexpr size_t kValueColumns = 44;

struct OwnName {
  std::string_view setting;
  const char* environment;
};
// Known from denokv.
constexpr std::array<OwnName, 4> kOwnNames = {{{"access-token", "DENO_KV_ACCESS_TOKEN"},
                                               {"s3-bucket", "DENO_KV_S3_BUCKET"},
                                               {"s3-prefix", "DENO_KV_S3_PREFIX"},
                                               {"s3-endpoint", "DENO_KV_S3_ENDPOINT"}}};

// Names the file, and is not in it.
constexpr char kConfig[] = "config";

// Options that ask for something else than serving.
constexpr std::array<std::string_view, 2> kActions = {"help", "check-config"};

std::string name_of(const CLI::Option& option) {
  return option.get_lnames().empty() ? std::string() : option.get_lnames().front();
}

bool is_switch(const CLI::Option& option) {
  return option.get_expected_min() == 0;
}

std::string toml_string(const std::string& text) {
  std::ostringstream out;
  const toml::value<std::string> value(text);
  // On one line, in double quotes.
  out << toml::toml_formatter(value, toml::format_flags::none);
  return out.str();
}

std::string place_in(const std::string& path, const toml::source_region& region) {
  return path + ":" + std::to_string(region.begin.line) + ": ";
}

// The value as the command line would have it, or what it should have been.
Result<std::string> text_of(const CLI::Option& option, const toml::node& node) {
  const auto must_be = [](const char* what) { return fail(ErrorCode::kInvalidArgument, what); };
  if (is_switch(option)) {
    if (const auto value = node.value_exact<bool>()) return std::string(*value ? "true" : "false");
    return must_be("must be true or false");
  }
  const std::string& type = option.get_type_name();
  const bool is_count = type == kCountType;
  if (is_count || type == kSizeType) {
    if (const auto value = node.value_exact<int64_t>()) return std::to_string(*value);
    if (is_count) return must_be("must be a whole number");
  }
  if (const auto value = node.value_exact<std::string>()) return *value;
  return must_be(type == kSizeType ? "must be a whole number of bytes or a string like \"64MiB\""
                                   : "must be a string, in quotes");
}

}  // namespace

std::string environment_name(std::string_view setting) {
  const auto own = std::ranges::find(kOwnNames, setting, &OwnName::setting);
  if (own != kOwnNames.end()) return own->environment;
  std::string name = "TIDEMARK_";
  for (const char c : setting) name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return name;
}

std::vector<std::string> setting_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    std::string name = name_of(*option);
    if (!name.empty() && std::ranges::find(kActions, name) == kActions.end())
      names.push_back(std::move(name));
  }
  return names;
}

Settings::Settings(CLI::App& command) : command_(command) {
  for (const std::string& name : setting_names(command)) places_[name] = {Origin::kDefault, "--" + name};
  take_flags();
  take_environment();
  const CLI::Option* const file = command.get_option_no_throw(std::string("--") + kConfig);
  if (file != nullptr && file->count() > 0) take_file(file->results().back());
}

void Settings::take_flags() {
  const CLI::App* const parent = command_.get_parent();
  for (auto& [name, place] : places_) {
    CLI::Option& option = *command_.get_option("--" + name);
    const CLI::Option* const before = parent ? parent->get_option_no_throw("--" + name) : nullptr;
    if (option.count() > 0) {
      place.origin = Origin::kFlag;
    } else if (before != nullptr && before->count() > 0) {
      set(option, name, before->results().back(), {Origin::kFlag, "--" + name});
    }
  }
}

void Settings::take_environment() {
  for (const auto& [name, place] : places_) {
    if (place.origin != Origin::kDefault) continue;
    const std::string variable = environment_name(name);
    const char* const value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0')
      set(*command_.get_option("--" + name), name, value, {Origin::kEnvironment, variable});
  }
}

void Settings::take_file(const std::string& path) {
  const Result<std::string> bytes = read_file(posix_file_system(), path, kMaxFileBytes);
  if (!bytes) return refuse(kConfig, {ErrorCode::kInvalidArgument, bytes.error().message});
  toml::table table;
  try {
    table = toml::parse(*bytes, path);
  } catch (const toml::parse_error& error) {
    return refuse(place_in(path, error.source()) + std::string(error.description()));
  }
  // As they stand in the file; a table goes through its keys by name.
  std::map<toml::source_index, std::pair<const toml::key*, const toml::node*>> by_line;
  for (const auto& [key, node] : table) by_line[key.source().begin.line] = {&key, &node};
  for (const auto& [line, entry] : by_line) {
    const toml::node& node = *entry.second;
    take_entry(place_in(path, entry.first->source()), std::string(entry.first->str()),
               [&node](const CLI::Option& option) { return text_of(option, node); });
  }
}

void Settings::take_entry(const std::string& place, const std::string& name,
                          const std::function<Result<std::string>(const CLI::Option&)>& text) {
  const auto known = places_.find(name);
  if (known == places_.end()) return refuse(place + "there is no setting '" + name + "'");
  if (name == kConfig) return refuse(place + name + " cannot be set in the file itself");
  CLI::Option& option = *command_.get_option("--" + name);
  const Result<std::string> value = text(option);
  if (!value) return refuse(place + name + " " + value.error().message);
  if (known->second.origin == Origin::kDefault && !value->empty())
    set(option, name, *value, {Origin::kFile, place + name});
}

void Settings::set(CLI::Option& option, const std::string& name, const std::string& text, Place place) {
  places_[name] = std::move(place);
  try {
    option.add_result(text);
    option.run_callback();
  } catch (const CLI::ParseError&) {
    refuse(name,
           {ErrorCode::kInvalidArgument, is_switch(option) ? "must be true or false" : "is not a value"});
  }
}

Origin Settings::origin(std::string_view setting) const {
  return places_.find(setting)->second.origin;
}

std::string Settings::label(std::string_view setting) const {
  return places_.find(setting)->second.label;
}

void Settings::refuse(std::string_view setting, const Error& reason) {
  problems_.push_back({reason.code, label(setting) + ": " + reason.message});
}

std::string Settings::describe() const {
  std::string out;
  for (const std::string& name : setting_names(command_)) {
    const CLI::Option& option = *command_.get_option("--" + name);
    const Place& place = places_.find(name)->second;
    const bool given = place.origin != Origin::kDefault;
    const std::string text = given ? option.results().back() : option.get_default_str();
    std::string line;
    if (option.get_type_name() == kSecretType) {
      line = std::string("# ") + name + (given ? " is given and not shown" : " is not set");
    } else if (is_switch(option)) {
      line = name + " = " + (option.as<bool>() ? "true" : "false");
    } else if (text.empty()) {
      line = "# " + name + " is not set";
    } else {
      line = (name == kConfig ? "# " : "") + name + " = " +
             (option.get_type_name() == kCountType ? text : toml_string(text));
    }
    line.resize(std::max(line.size() + 2, kValueColumns), ' ');
    switch (place.origin) {
      case Origin::kDefault:
        line += "# default";
        break;
      case Origin::kFile:
        line += "# file " + place.label.substr(0, place.label.rfind(": "));
        break;
      case Origin::kEnvironment:
        line += "# environment " + place.label;
        break;
      case Origin::kFlag:
        line += "# flag " + place.label;
        break;
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace tidemark::tools
