// Where a backup is, as options of commands say it: those of denokv, or a URL.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "engine/database.h"
#include "server/backup/object_store.h"
#include "server/backup/target.h"

namespace tidemark::tools {

// What was written.
struct BackupLocation {
  std::string url;
  std::string s3_bucket;
  std::string s3_prefix;
  std::string s3_endpoint;
};

// Adds --s3-bucket, --s3-prefix and --s3-endpoint. `location` must outlive the command.
void add_s3_options(CLI::App& command, BackupLocation& location);
// What the environment names (DENO_KV_S3_BUCKET and so on) where the options say nothing.
BackupLocation with_environment(BackupLocation location);
// Nothing if it names none. kInvalidArgument with a sentence; `url_option` is what the URL was given with.
Result<std::optional<backup::Target>> parse_location(const BackupLocation& location, const char* url_option);
// With the credentials of the environment.
Result<std::shared_ptr<backup::ObjectStore>> open_object_store(Engine& engine, const backup::Target& target,
                                                               const LogSink& log);

}  // namespace tidemark::tools
