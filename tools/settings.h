// Where the settings of a command come from: flags, before the environment, before a TOML file, before the
// defaults. Every option of the command is a setting and takes part by itself: `--block-cache-bytes` is
// TIDEMARK_BLOCK_CACHE_BYTES in the environment and `block-cache-bytes` in the file.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"

namespace tidemark::tools {

enum class Origin : uint8_t { kDefault, kFile, kEnvironment, kFlag };  // the higher goes first

// The type names of options that decide what the file may hold and what is shown.
inline constexpr char kSizeType[] = "SIZE";     // a string or a whole number
inline constexpr char kCountType[] = "N";       // a whole number
inline constexpr char kSecretType[] = "TOKEN";  // never shown

// "block-cache-bytes" > "TIDEMARK_BLOCK_CACHE_BYTES"; some have a name of their own.
std::string environment_name(std::string_view setting);

// The settings among the options of `command`, by name without dashes, in the order in which they were added.
std::vector<std::string> setting_names(const CLI::App& command);

class Settings {
 public:
  // Gives the options of `command`, which was parsed, the values of those places that go before their
  // defaults. What stands before the command (`--data-dir DIR serve`) counts as its flag. `command` must
  // outlive this.
  explicit Settings(CLI::App& command);

  Origin origin(std::string_view setting) const;
  // How an operator names it where it was given: "--addr", "TIDEMARK_ADDR" or "FILE:LINE: addr".
  std::string label(std::string_view setting) const;

  // Notes that a value will not do, for a reason that goes on from its name.
  void refuse(std::string_view setting, const Error& reason);
  // Notes what is wrong with several settings, or with none in particular.
  void refuse(Error problem) { problems_.push_back(std::move(problem)); }
  void refuse(std::string sentence) { refuse(Error{ErrorCode::kInvalidArgument, std::move(sentence)}); }
  // `value` of `result`, unless that is an error: then it is noted.
  template <class T, class V>
  void take(std::string_view setting, Result<T> result, V& value) {
    if (result)
      value = std::move(*result);
    else
      refuse(setting, result.error());
  }

  // In the order in which they were found; each message is one line.
  const std::vector<Error>& problems() const { return problems_; }

  // All settings that took effect, one line each with where it came from; can be read as a TOML file. Secrets
  // are left out.
  std::string describe() const;

 private:
  struct Place {
    Origin origin = Origin::kDefault;
    std::string label;
  };

  void take_flags();
  void take_environment();
  void take_file(const std::string& path);
  // `place`: "FILE:LINE: "; `text`: what the entry says, or why it says nothing.
  void take_entry(const std::string& place, const std::string& name,
                  const std::function<Result<std::string>(const CLI::Option&)>& text);
  void set(CLI::Option& option, const std::string& name, const std::string& text, Place place);

  CLI::App& command_;
  std::map<std::string, Place, std::less<>> places_;
  std::vector<Error> problems_;
};

}  // namespace tidemark::tools
