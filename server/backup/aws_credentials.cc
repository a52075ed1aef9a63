// The shared files are INI: "[section]", "name = value", comments behind # or ;, and indented lines, which
// belong to settings that do not matter here.
#include "server/backup/aws_credentials.h"

#include <algorithm>
#include <map>
#include <utility>

#include "engine/io/sync.h"
#include "server/backup/uri_text.h"

namespace tidemark::backup {
namespace {

constexpr uint64_t kFileMax = 1 << 20;
constexpr int64_t kReadAgainUs = 1'000'000;

using Section = std::map<std::string, std::string, std::less<>>;  // names in lower case

std::unexpected<Error> denied(std::string message) {
  return fail(ErrorCode::kDenied, std::move(message));
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// Neither keys nor regions have spaces in them.
std::string_view without_comment(std::string_view value) {
  for (size_t i = 1; i < value.size(); ++i)
    if ((value[i] == '#' || value[i] == ';') && (value[i - 1] == ' ' || value[i - 1] == '\t'))
      return trimmed(value.substr(0, i));
  return value;
}

// "profile  x" is "profile x".
std::string section_name(std::string_view inside) {
  inside = trimmed(inside);
  constexpr std::string_view kProfile = "profile";
  if (inside.starts_with(kProfile) && inside.size() > kProfile.size() &&
      (inside[kProfile.size()] == ' ' || inside[kProfile.size()] == '\t'))
    return "profile " + std::string(trimmed(inside.substr(kProfile.size())));
  return std::string(inside);
}

// All that the file says in sections of these names. Nothing if there are none, or no such file.
Result<std::optional<Section>> read_section(FileSystem& files, const std::string& path,
                                            std::initializer_list<std::string> names) {
  const Result<std::string> text = read_file(files, path, kFileMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!text) return denied(text.error().message);
  std::optional<Section> found;
  bool inside = false;  // one of those
  bool any_section = false;
  int number = 0;
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    const auto wrong = [&](const char* why) {
      return denied(path + ":" + std::to_string(number) + ": " + why);
    };
    const std::string_view content = trimmed(line);
    if (content.empty() || content[0] == '#' || content[0] == ';') continue;
    if (line[0] == ' ' || line[0] == '\t') continue;
    if (content[0] == '[') {
      const size_t close = content.find(']');
      if (close == content.npos) return wrong("a section's name should end with ]");
      const std::string name = section_name(content.substr(1, close - 1));
      inside = std::ranges::find(names, name) != names.end();
      any_section = true;
      if (inside && !found) found.emplace();
      continue;
    }
    const size_t equals = content.find('=');
    if (equals == content.npos || equals == 0) return wrong("this is neither [SECTION] nor NAME = VALUE");
    if (!any_section) return wrong("a value stands before the first [SECTION]");
    if (inside)
      (*found)[lower_case(trimmed(content.substr(0, equals)))] =
          without_comment(trimmed(content.substr(equals + 1)));
  }
  return found;
}

// What is said of it; empty if nothing is.
std::string value_of(const Section& section, std::string_view name) {
  const auto place = section.find(name);
  return place == section.end() ? std::string() : place->second;
}

std::string variable(const Environment& environment, std::string_view name) {
  return environment(name).value_or("");
}

struct Places {
  std::string profile;
  std::string credentials_file;
  std::string config_file;  // both empty if there is no home
};

Places places_of(const Environment& environment) {
  Places places{variable(environment, "AWS_PROFILE"), variable(environment, "AWS_SHARED_CREDENTIALS_FILE"),
                variable(environment, "AWS_CONFIG_FILE")};
  if (places.profile.empty()) places.profile = "default";
  const std::string home = variable(environment, "HOME");
  if (home.empty()) return places;
  if (places.credentials_file.empty()) places.credentials_file = home + "/.aws/credentials";
  if (places.config_file.empty()) places.config_file = home + "/.aws/config";
  return places;
}

Result<std::optional<Section>> read_config(const Places& places, FileSystem& files) {
  if (places.config_file.empty()) return std::nullopt;
  // "default" may be written either way.
  if (places.profile == "default")
    return read_section(files, places.config_file, {"default", "profile default"});
  return read_section(files, places.config_file, {"profile " + places.profile});
}

// Nothing if the section says nothing of credentials.
Result<std::optional<Credentials>> credentials_in(const Section& section, const std::string& where) {
  Credentials found{value_of(section, "aws_access_key_id"), value_of(section, "aws_secret_access_key"),
                    value_of(section, "aws_session_token")};
  if (found.access_key_id.empty() && found.secret_access_key.empty()) return std::nullopt;
  if (found.secret_access_key.empty())
    return denied(where + " has aws_access_key_id, but no aws_secret_access_key");
  if (found.access_key_id.empty())
    return denied(where + " has aws_secret_access_key, but no aws_access_key_id");
  return found;
}

Result<Credentials> read_shared_files(const Places& places, FileSystem& files) {
  std::string looked;
  std::string other_ways;
  const auto look = [&](const std::string& path,
                        const std::optional<Section>& section) -> Result<std::optional<Credentials>> {
    looked += (looked.empty() ? "" : " and ") + path;
    if (!section) return std::nullopt;
    for (const char* way : {"role_arn", "credential_process", "sso_session", "sso_account_id"})
      if (!value_of(*section, way).empty()) other_ways = way;
    return credentials_in(*section, path + ": the profile " + places.profile);
  };
  if (!places.credentials_file.empty()) {
    TM_ASSIGN(const auto section, read_section(files, places.credentials_file, {places.profile}));
    TM_ASSIGN(const auto found, look(places.credentials_file, section));
    if (found) return *found;
  }
  if (!places.config_file.empty()) {
    TM_ASSIGN(const auto section, read_config(places, files));
    TM_ASSIGN(const auto found, look(places.config_file, section));
    if (found) return *found;
  }
  std::string message = "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
  if (!looked.empty()) message += ", or give the profile " + places.profile + " an access key in " + looked;
  if (!other_ways.empty()) message += " (its " + other_ways + " is not supported)";
  return denied(std::move(message));
}

class FixedCredentials final : public CredentialsProvider {
 public:
  explicit FixedCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Credentials get() override { return credentials_; }
  Result<bool> renew(const Credentials&) override { return false; }

 private:
  const Credentials credentials_;
};

class SharedFileCredentials final : public CredentialsProvider {
 public:
  SharedFileCredentials(Places places, FileSystem& files, Clock& clock, Credentials credentials)
      : places_(std::move(places)),
        files_(files),
        clock_(clock),
        credentials_(std::move(credentials)),
        read_us_(clock.monotonic_us()) {}

  Credentials get() override {
    MutexLock lock(mutex_);
    return credentials_;
  }

  Result<bool> renew(const Credentials& refused) override {
    MutexLock lock(mutex_);
    if (credentials_ != refused) return true;  // another thread was faster
    const int64_t now_us = clock_.monotonic_us();
    if (now_us - read_us_ < kReadAgainUs) return false;
    read_us_ = now_us;
    TM_ASSIGN(credentials_, read_shared_files(places_, files_));
    return credentials_ != refused;
  }

 private:
  const Places places_;
  FileSystem& files_;
  Clock& clock_;
  Mutex mutex_;  // held while the file is read: others want to know what is in it, too
  Credentials credentials_ TM_GUARDED_BY(mutex_);
  int64_t read_us_ TM_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<CredentialsProvider>> aws_credentials(const Environment& environment,
                                                             FileSystem& files, Clock& clock) {
  Credentials direct{variable(environment, "AWS_ACCESS_KEY_ID"),
                     variable(environment, "AWS_SECRET_ACCESS_KEY"),
                     variable(environment, "AWS_SESSION_TOKEN")};
  const bool has_id = !direct.access_key_id.empty(), has_secret = !direct.secret_access_key.empty();
  if (has_id != has_secret)
    return denied(has_id ? "AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY"
                         : "AWS_SECRET_ACCESS_KEY is set, but not AWS_ACCESS_KEY_ID");
  if (has_id) return std::make_unique<FixedCredentials>(std::move(direct));
  Places places = places_of(environment);
  TM_ASSIGN(Credentials shared, read_shared_files(places, files));
  return std::make_unique<SharedFileCredentials>(std::move(places), files, clock, std::move(shared));
}

Result<std::optional<std::string>> aws_region(const Environment& environment, FileSystem& files) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"})
    if (std::string region = variable(environment, name); !region.empty()) return region;
  TM_ASSIGN(const std::optional<Section> section, read_config(places_of(environment), files));
  std::string region = section ? value_of(*section, "region") : std::string();
  if (region.empty()) return std::nullopt;
  return region;
}

}  // namespace tidemark::backup
