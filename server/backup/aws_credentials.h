// Credentials and region as the tools of AWS take them: from the environment, else from the shared files.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "engine/io/clock.h"
#include "engine/io/file_system.h"

namespace tidemark::backup {

// What a variable of the environment says; nothing if it is not set. Only the program itself reads it.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;  // empty: none is needed
  bool operator==(const Credentials&) const = default;
};

// Any thread.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  virtual Credentials get() = 0;
  // A store has refused these. Whether get() now gives others, so that it makes sense to ask again.
  virtual Result<bool> renew(const Credentials& refused) = 0;
};

// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or else the profile AWS_PROFILE ("default")
// in AWS_SHARED_CREDENTIALS_FILE ("~/.aws/credentials") or, as a section "profile NAME", in AWS_CONFIG_FILE
// ("~/.aws/config"). What is set but empty counts as not set. Those of a file are read again when a store has
// refused them, at most once a second. kDenied if there are none, or if a file makes no sense: a sentence
// that says where they were looked for. `files` and `clock` must outlive it.
Result<std::unique_ptr<CredentialsProvider>> aws_credentials(const Environment& environment,
                                                             FileSystem& files, Clock& clock);
// AWS_REGION, AWS_DEFAULT_REGION, or that of the profile in AWS_CONFIG_FILE; nothing if none is said.
Result<std::optional<std::string>> aws_region(const Environment& environment, FileSystem& files);

}  // namespace tidemark::backup
