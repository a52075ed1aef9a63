#include "tools/backup_location.h"

#include <cstdlib>
#include <utility>

#include "engine/base/coding.h"
#include "engine/io/entropy.h"

namespace tidemark::tools {
namespace {

std::optional<std::string> from_environment(std::string_view name) {
  const char* const value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

void add_s3_options(CLI::App& command, BackupLocation& location) {
  command.add_option("--s3-bucket", location.s3_bucket, "Bucket of the backup (or DENO_KV_S3_BUCKET)")
      ->type_name("BUCKET");
  command
      .add_option("--s3-prefix", location.s3_prefix,
                  "What keys in the bucket begin with, with a slash at its end (or DENO_KV_S3_PREFIX)")
      ->type_name("PREFIX/");
  command
      .add_option("--s3-endpoint", location.s3_endpoint,
                  "Of a service that is not Amazon's (or DENO_KV_S3_ENDPOINT)")
      ->type_name("URL");
}

BackupLocation with_environment(BackupLocation location) {
  if (!location.url.empty() || !location.s3_bucket.empty()) return location;
  const auto fill = [](std::string& value, const char* name) {
    if (value.empty()) value = from_environment(name).value_or("");
  };
  fill(location.s3_bucket, "DENO_KV_S3_BUCKET");
  fill(location.s3_prefix, "DENO_KV_S3_PREFIX");
  fill(location.s3_endpoint, "DENO_KV_S3_ENDPOINT");
  return location;
}

Result<std::optional<backup::Target>> parse_location(const BackupLocation& location, const char* url_option) {
  const bool s3 = !location.s3_bucket.empty() || !location.s3_prefix.empty() || !location.s3_endpoint.empty();
  if (!location.url.empty() && s3)
    return fail(ErrorCode::kInvalidArgument,
                std::string(url_option) + " and the --s3 options exclude each other: give one of them");
  if (!location.url.empty()) {
    TM_ASSIGN(backup::Target target, backup::parse_target(location.url));
    return target;
  }
  if (!s3) return std::nullopt;
  if (location.s3_bucket.empty())
    return fail(ErrorCode::kInvalidArgument, "--s3-bucket is missing: the bucket of the backup");
  if (!location.s3_prefix.empty() && !location.s3_prefix.ends_with('/')) {
    return fail(ErrorCode::kInvalidArgument,
                "--s3-prefix must end in a slash: '" + location.s3_prefix + "/'");
  }
  // The URL's own characters are written as %XX there.
  backup::Target target;
  target.kind = backup::Target::Kind::kS3;
  target.bucket = location.s3_bucket;
  target.prefix = location.s3_prefix;
  target.endpoint = location.s3_endpoint;
  TM_ASSIGN(target, backup::parse_target(backup::target_url(target)));
  return target;
}

Result<std::shared_ptr<backup::ObjectStore>> open_object_store(Engine& engine, const backup::Target& target,
                                                               const LogSink& log) {
  backup::StoreContext context{engine.file_system(), engine.clock()};
  context.environment = from_environment;
  context.retry.seed = load_le64(random_bytes(8).data());
  context.log = log;
  TM_ASSIGN(std::unique_ptr<backup::ObjectStore> store, backup::make_object_store(target, context));
  return std::shared_ptr<backup::ObjectStore>(std::move(store));
}

}  // namespace tidemark::tools
