#include "tools/serve_command.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/hex.h"
#include "engine/io/file_system.h"
#include "engine/io/posix_file_system.h"
#include "server/http/tls_context.h"
#include "tools/parse.h"

namespace tidemark::tools {
namespace {

constexpr uint64_t kMaxTokenFileBytes = 4096;
// What a single write may bring: it is held in memory a few times over, and lies in one record of the log.
constexpr uint64_t kMaxTransactionBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxChecks = 65'535;
constexpr uint64_t kMaxOpenDatabases = 1'000'000;

constexpr char kFooter[] =
    "Every setting can also stand in the environment (--addr as TIDEMARK_ADDR; the access token as "
    "DENO_KV_ACCESS_TOKEN) and in the --config file (addr = \"...\"). Flags go before the environment, and "
    "that before the file.";

void add_data_dir(CLI::App& app, ServeArguments& arguments) {
  app.add_option("--data-dir", arguments.data_dir, "Folder of the store; made if missing")
      ->type_name("DIR")
      ->capture_default_str();
  app.add_option("--sqlite-path", arguments.sqlite_path, "Of denokv: says how to move in")->type_name("FILE");
}

Result<std::string> find_access_token(const ServeArguments& arguments, const Settings& settings) {
  const Origin file = settings.origin("access-token-file");
  const Origin token = settings.origin("access-token");
  // The store may have tokens of its own.
  if (file == Origin::kDefault && token == Origin::kDefault) return std::string();
  if (file == token) {
    return fail(ErrorCode::kInvalidArgument, settings.label("access-token") + " and " +
                                                 settings.label("access-token-file") +
                                                 " exclude each other: give one of them");
  }
  if (token > file) {
    const Result<std::string> good = parse_access_token(arguments.access_token);
    if (!good) return fail_within(settings.label("access-token"), good.error());
    return good;
  }
  const Result<std::string> text =
      read_file(posix_file_system(), arguments.access_token_file, kMaxTokenFileBytes);
  if (!text) return fail_within(settings.label("access-token-file"), text.error());
  const Result<std::string> good = parse_access_token(*text);
  if (!good) return fail_within(settings.label("access-token-file"), good.error());
  return good;
}

void check_limits(const ServeArguments& arguments, Settings& settings, kv::Limits& limits) {
  settings.take("max-transaction-size",
                parse_bytes_between(arguments.max_transaction_size, 1, kMaxTransactionBytes),
                limits.max_transaction_bytes);
  const size_t known = settings.problems().size();
  settings.take("max-value-size", parse_bytes_between(arguments.max_value_size, 1, kMaxTransactionBytes),
                limits.max_value_bytes);
  settings.take("max-checks", parse_count(arguments.max_checks, 0, kMaxChecks), limits.max_checks);
  if (settings.problems().size() == known && limits.max_value_bytes > limits.max_transaction_bytes) {
    settings.refuse(settings.label("max-value-size") + ": values of " + arguments.max_value_size +
                    " do not fit in a transaction of --max-transaction-size " +
                    arguments.max_transaction_size);
  }
}

Result<host::SigningKey> read_signing_key(const std::string& path) {
  TM_ASSIGN(std::string text, read_file(posix_file_system(), path, kMaxTokenFileBytes));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  host::SigningKey key{};
  const std::optional<std::string> bytes = from_hex(text);
  if (!bytes || bytes->size() != key.size())
    return fail(ErrorCode::kInvalidArgument,
                path + " does not hold 64 hex digits: make one with 'openssl rand -hex 32'");
  std::ranges::copy(*bytes, key.begin());
  return key;
}

void check_replicas(const ServeArguments& arguments, Settings& settings, ServeOptions& options) {
  std::string_view left = arguments.advertise_replica;
  while (!left.empty()) {
    const size_t comma = std::min(left.find(','), left.size());
    std::string url;
    settings.take("advertise-replica", parse_public_url(left.substr(0, comma)), url);
    options.replica_urls.push_back(std::move(url));
    left.remove_prefix(std::min(comma + 1, left.size()));
  }
  if (arguments.signing_key_file.empty()) return;
  host::SigningKey key{};
  settings.take("signing-key-file", read_signing_key(arguments.signing_key_file), key);
  options.signing_key = key;
}

void check_backup(const ServeArguments& arguments, Settings& settings, ServeOptions& options) {
  const auto take_us = [&](const char* setting, const std::string& text, int64_t& us) {
    int64_t ms = us / 1000;
    settings.take(setting, parse_duration_ms(text), ms);
    us = ms * 1000;
  };
  take_us("backup-interval", arguments.backup_interval, options.shipper.interval_us);
  settings.take("backup-generation-age", parse_duration_ms(arguments.backup_generation_age),
                options.shipper.generation_age_ms);
  settings.take("backup-keep", parse_duration_ms(arguments.backup_keep), options.shipper.keep_ms);
  take_us("sync-interval", arguments.sync_interval, options.sync_interval_us);
  if (arguments.durability != "synced" && arguments.durability != "backup")
    settings.refuse("durability", {ErrorCode::kInvalidArgument,
                                   "must be synced or backup, not '" + arguments.durability + "'"});
  options.gated = options.shipper.immediate = arguments.durability == "backup";
  const bool syncs = arguments.sync_from_s3 || !arguments.sync_from.empty();
  const bool backs_up = arguments.backup_to_s3 || !arguments.backup.url.empty();
  if (syncs && backs_up)
    return settings.refuse(
        "a replica writes no backup: --sync-from-s3 and --backup-to-s3 exclude each other");
  if (options.gated && !backs_up)
    return settings.refuse("--durability backup needs --backup-to or --backup-to-s3 beside it");
  const bool from_s3 = arguments.sync_from_s3 || arguments.backup_to_s3;
  if (!from_s3 && !arguments.backup.s3_bucket.empty() && !syncs && !backs_up)
    return settings.refuse("--s3-bucket needs --backup-to-s3 or --sync-from-s3 beside it");
  BackupLocation location;
  if (from_s3) location = arguments.backup;
  location.url = syncs ? arguments.sync_from : arguments.backup.url;
  auto target = parse_location(location, syncs ? "--sync-from" : "--backup-to");
  if (!target)
    settings.refuse(target.error());
  else if (from_s3 && !*target)
    settings.refuse(std::string(syncs ? "--sync-from-s3" : "--backup-to-s3") +
                    " needs --s3-bucket beside it");
  else
    (syncs ? options.sync_target : options.backup_target) = std::move(*target);
  options.read_only = options.read_only || syncs;
}

}  // namespace

CLI::App* add_serve_command(CLI::App& app, ServeArguments& arguments) {
  add_data_dir(app, arguments);
  CLI::App* serve =
      app.add_subcommand("serve", "Serve a store over KV Connect (HTTP/1.1 and HTTP/2 on one port)");
  serve->footer(kFooter);
  add_data_dir(*serve, arguments);
  const auto add = [serve](const char* name, std::string& value, const char* type, const char* description) {
    serve->add_option(name, value, description)->type_name(type)->capture_default_str();
  };
  add("--config", arguments.config, "FILE", "TOML file with settings, named as here without the dashes");
  serve->add_flag("--check-config", arguments.check_config,
                  "Check all settings, print them with where each comes from, and leave");
  add("--addr", arguments.address, "HOST:PORT", "Address to listen on; port 0 picks a free one");
  add("--access-token-file", arguments.access_token_file, "FILE",
      "File that holds the access token (at least 12 characters)");
  add("--access-token", arguments.access_token, kSecretType,
      "The access token itself. Others can see command lines: better the file, or the environment");
  add("--history-retention", arguments.history_retention, "DURATION",
      "How long old versions stay readable: a duration like 12h or 7d, 'forever' or 'none'");
  add("--history-max-bytes", arguments.history_max_bytes, kSizeType,
      "Ceiling on the history's size; the oldest goes first. Default: no ceiling");
  add("--max-disk-bytes", arguments.max_disk_bytes, kSizeType,
      "Of all databases: beyond it history is trimmed, then writes are refused. Default: no limit");
  add("--max-open-databases", arguments.max_open_databases, kCountType,
      "Beyond it, databases that nobody uses are closed at once and not after five minutes");
  add("--block-cache-bytes", arguments.block_cache_bytes, kSizeType, "Memory for blocks read from disk");
  add("--max-value-size", arguments.max_value_size, kSizeType, "Largest value; at most a transaction");
  add("--max-transaction-size", arguments.max_transaction_size, kSizeType,
      "Keys and values of one atomic write together; at most 64MiB");
  add("--max-checks", arguments.max_checks, kCountType, "Checks in one atomic write; at most 65535");
  serve->add_flag("--read-only", arguments.read_only, "Refuse writes; reads and watches work");
  add("--backup-to", arguments.backup.url, "URL",
      "Back all databases up to s3://BUCKET/PREFIX/[?endpoint=URL&region=REGION] or file:///PATH/, each "
      "below "
      "its id");
  serve->add_flag("--backup-to-s3", arguments.backup_to_s3,
                  "The same, to the bucket that the --s3 options name");
  add_s3_options(*serve, arguments.backup);
  add("--durability", arguments.durability, "WHEN",
      "A commit is answered when it is on this disk ('synced'), or in the backup as well ('backup')");
  add("--backup-interval", arguments.backup_interval, "DURATION",
      "Between two writes of one database's log, as long as they are small");
  add("--backup-generation-age", arguments.backup_generation_age, "DURATION",
      "After which a backup begins anew with a snapshot, so that old parts of it can be removed");
  add("--backup-keep", arguments.backup_keep, "DURATION", "How far back a backup can be restored, at least");
  serve->add_flag("--sync-from-s3", arguments.sync_from_s3,
                  "Be a read-only replica of the backup that the --s3 options name, and follow it");
  add("--sync-from", arguments.sync_from, "URL", "The same, of the backup at this s3:// or file:// URL");
  add("--sync-interval", arguments.sync_interval, "DURATION", "Between two looks of a replica at the backup");
  add("--public-url", arguments.public_url, "URL",
      "What clients reach this server by, if it stands behind a proxy: https://kv.example.org");
  add("--advertise-replica", arguments.advertise_replica, "URL[,URL...]",
      "Replicas of this server, for clients that read with consistency \"eventual\"; they need the same "
      "access "
      "token and --signing-key-file");
  add("--signing-key-file", arguments.signing_key_file, "FILE",
      "Key that signs what clients get for their access token: 64 hex digits. Default: the store's own");
  add("--tls-cert", arguments.tls_cert, "FILE",
      "Serve HTTPS with this certificate: PEM, those between it and its root behind it. Read again on "
      "SIGHUP, with "
      "its key. Default: plain HTTP");
  add("--tls-key", arguments.tls_key, "FILE", "The certificate's key: PEM, without a passphrase");
  add("--metrics-addr", arguments.metrics_address, "HOST:PORT",
      "Where GET /metrics is answered without a token; 'off': nowhere");
  add("--log-format", arguments.log_format, "FORMAT", "Of the log on stderr: text or json");
  add("--log-level", arguments.log_level, "LEVEL",
      "Least level that is logged: debug, info, warning or error");
  add("--shutdown-timeout", arguments.shutdown_timeout, "DURATION",
      "How long SIGTERM and SIGINT wait for requests under way");
  add("--num-workers", arguments.num_workers, kCountType, "Of denokv: ignored");
  add("--atomic-write-batch-timeout-ms", arguments.atomic_write_batch_timeout_ms, kCountType,
      "Of denokv: ignored");
  return serve;
}

ServeOptions check_serve_arguments(const ServeArguments& arguments, Settings& settings) {
  ServeOptions options;
  if (!arguments.sqlite_path.empty()) {
    settings.refuse("sqlite-path",
                    {ErrorCode::kInvalidArgument,
                     "a SQLite file is not served; to move in, run tidemark import --from-sqlite FILE "
                     "--data-dir DIR once, then serve that --data-dir"});
    return options;
  }
  for (const char* ignored : {"num-workers", "atomic-write-batch-timeout-ms"}) {
    if (settings.origin(ignored) != Origin::kDefault)
      options.warnings.push_back(settings.label(ignored) + " has no effect here and is ignored");
  }

  options.data_dir = arguments.data_dir;
  if (options.data_dir.empty())
    settings.refuse("data-dir", {ErrorCode::kInvalidArgument, "the folder's name is empty"});
  settings.take("addr", parse_address(arguments.address), options.address);
  settings.take("history-retention", parse_retention(arguments.history_retention), options.retention);
  if (!arguments.history_max_bytes.empty())
    settings.take("history-max-bytes", parse_bytes(arguments.history_max_bytes), options.history_max_bytes);
  if (!arguments.max_disk_bytes.empty())
    settings.take("max-disk-bytes", parse_bytes(arguments.max_disk_bytes), options.max_disk_bytes);
  settings.take("max-open-databases", parse_count(arguments.max_open_databases, 1, kMaxOpenDatabases),
                options.max_open_databases);
  settings.take("block-cache-bytes", parse_bytes(arguments.block_cache_bytes), options.block_cache_bytes);
  check_limits(arguments, settings, options.limits);
  if (!arguments.public_url.empty())
    settings.take("public-url", parse_public_url(arguments.public_url), options.public_url);
  check_replicas(arguments, settings, options);
  if (arguments.tls_cert.empty() != arguments.tls_key.empty()) {
    const bool key = arguments.tls_cert.empty();
    settings.refuse(std::string(key ? "--tls-key" : "--tls-cert") + " needs " +
                    (key ? "--tls-cert" : "--tls-key") + " beside it");
  }
  options.tls_chain_path = arguments.tls_cert;
  options.tls_key_path = arguments.tls_key;
  options.read_only = arguments.read_only;
  check_backup(arguments, settings, options);
  if (arguments.metrics_address != "off")
    settings.take("metrics-addr", parse_address(arguments.metrics_address), options.metrics_address);
  options.metrics_address_is_default = settings.origin("metrics-addr") == Origin::kDefault;
  settings.take("log-format", parse_log_format(arguments.log_format), options.log_format);
  settings.take("log-level", parse_log_level(arguments.log_level), options.log_level);
  settings.take("shutdown-timeout", parse_duration_ms(arguments.shutdown_timeout),
                options.shutdown_timeout_ms);
  Result<std::string> token = find_access_token(arguments, settings);
  if (token)
    options.access_token = std::move(*token);
  else
    settings.refuse(token.error());
  return options;
}

int run_serve_command(CLI::App& serve_command, const ServeArguments& arguments) {
  Settings settings(serve_command);
  const ServeOptions options = check_serve_arguments(arguments, settings);
  // Told before the store is opened or made; the listener reads them again.
  if (settings.problems().empty() && !options.tls_chain_path.empty()) {
    const auto files = http::TlsContext::load(options.tls_chain_path, options.tls_key_path);
    if (!files) settings.refuse(files.error());
  }
  for (const Error& problem : settings.problems()) {
    std::fprintf(stderr, "tidemark: %s\n", problem.message.c_str());
  }
  if (!settings.problems().empty()) {
    const bool wrong = std::ranges::any_of(
        settings.problems(), [](const Error& e) { return e.code == ErrorCode::kInvalidArgument; });
    return arguments.check_config || wrong ? 2 : 1;
  }
  if (!arguments.check_config) return serve(options);
  for (const std::string& warning : options.warnings)
    std::fprintf(stderr, "tidemark: warning: %s\n", warning.c_str());
  std::fputs(settings.describe().c_str(), stdout);
  return 0;
}

}  // namespace tidemark::tools
