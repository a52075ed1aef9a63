// Where a value may come from several places, the command line goes before the environment.
#include "tools/serve_command.h"

#include <cstdio>
#include <cstdlib>

#include "engine/io/file_system.h"
#include "engine/io/posix_file_system.h"
#include "tools/parse.h"

namespace tidemark::tools {
namespace {

constexpr uint64_t kMaxTokenFileBytes = 4096;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void add_data_dir(CLI::App& app, ServeArguments& arguments) {
  app.add_option("--data-dir", arguments.data_dir,
                 std::string("Folder of the store; made if missing. Also by ") + kDataDirVariable +
                     ". Default: " + kDefaultDataDir)
      ->type_name("DIR");
  app.add_option("--sqlite-path", arguments.sqlite_path, "Of denokv: says how to move in")->type_name("FILE");
}

// The value of `result`, or its error with the option's name before it.
template <class T>
Result<T> of_option(const char* option, Result<T> result) {
  if (!result) return fail(result.error().code, std::string(option) + ": " + result.error().message);
  return result;
}

Result<std::string> find_access_token(const ServeArguments& arguments) {
  if (!arguments.access_token_file.empty()) {
    const std::string& path = arguments.access_token_file;
    const Result<std::string> text = read_file(posix_file_system(), path, kMaxTokenFileBytes);
    if (!text) return fail_within("--access-token-file", text.error());
    return of_option("--access-token-file", parse_access_token(*text));
  }
  if (!arguments.access_token.empty()) {
    return of_option("--access-token", parse_access_token(arguments.access_token));
  }
  const std::string from_environment = environment(kAccessTokenVariable);
  if (from_environment.empty()) return std::string();  // the store may have tokens of its own
  return of_option(kAccessTokenVariable, parse_access_token(from_environment));
}

void warn_without_effect(const char* option, const std::string& value) {
  if (!value.empty())
    std::fprintf(stderr, "tidemark: warning: %s has no effect here and is ignored\n", option);
}

}  // namespace

CLI::App* add_serve_command(CLI::App& app, ServeArguments& arguments) {
  add_data_dir(app, arguments);
  CLI::App* serve =
      app.add_subcommand("serve", "Serve a store over KV Connect (HTTP/1.1 and HTTP/2 on one port)");
  add_data_dir(*serve, arguments);
  serve->add_option("--addr", arguments.address, "Address to listen on; port 0 picks a free one")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  CLI::Option* file = serve
                          ->add_option("--access-token-file", arguments.access_token_file,
                                       "File that holds the access token (at least 12 characters)")
                          ->type_name("FILE");
  serve
      ->add_option(
          "--access-token", arguments.access_token,
          std::string("The access token itself. Others can see command lines: better the file, or ") +
              kAccessTokenVariable)
      ->type_name("TOKEN")
      ->excludes(file);
  serve
      ->add_option("--history-retention", arguments.history_retention,
                   "How long old versions stay readable: a duration like 12h or 7d, 'forever' or 'none'")
      ->type_name("DURATION")
      ->capture_default_str();
  serve
      ->add_option("--history-max-bytes", arguments.history_max_bytes,
                   "Ceiling on the history's size; the oldest goes first. Default: no ceiling")
      ->type_name("SIZE");
  serve->add_option("--block-cache-bytes", arguments.block_cache_bytes, "Memory for blocks read from disk")
      ->type_name("SIZE")
      ->capture_default_str();
  serve
      ->add_option("--public-url", arguments.public_url,
                   "What clients reach this server by, if it stands behind a proxy")
      ->type_name("URL");
  serve
      ->add_option("--shutdown-timeout", arguments.shutdown_timeout,
                   "How long SIGTERM and SIGINT wait for requests under way")
      ->type_name("DURATION")
      ->capture_default_str();
  serve->add_option("--num-workers", arguments.num_workers, "Of denokv: ignored")->type_name("N");
  serve
      ->add_option("--atomic-write-batch-timeout-ms", arguments.atomic_write_batch_timeout_ms,
                   "Of denokv: ignored")
      ->type_name("N");
  return serve;
}

std::string data_dir_of(const std::string& given) {
  if (!given.empty()) return given;
  const std::string from_environment = environment(kDataDirVariable);
  return from_environment.empty() ? kDefaultDataDir : from_environment;
}

Result<ServeOptions> check_serve_arguments(const ServeArguments& arguments) {
  if (!arguments.sqlite_path.empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "--sqlite-path: this version cannot import denokv's SQLite file yet, and keeps its own data in "
        "--data-dir; to move in, serve an empty --data-dir beside your denokv and copy the entries with a "
        "Deno "
        "program (list() on the one, set() on the other)");
  }
  warn_without_effect("--num-workers", arguments.num_workers);
  warn_without_effect("--atomic-write-batch-timeout-ms", arguments.atomic_write_batch_timeout_ms);

  ServeOptions options;
  options.data_dir = data_dir_of(arguments.data_dir);
  TM_TRY(of_option("--addr", check_address(arguments.address)));
  options.address = arguments.address;
  TM_ASSIGN(options.retention,
            of_option("--history-retention", parse_retention(arguments.history_retention)));
  if (!arguments.history_max_bytes.empty()) {
    TM_ASSIGN(options.history_max_bytes,
              of_option("--history-max-bytes", parse_bytes(arguments.history_max_bytes)));
  }
  TM_ASSIGN(options.block_cache_bytes,
            of_option("--block-cache-bytes", parse_bytes(arguments.block_cache_bytes)));
  if (!arguments.public_url.empty()) {
    TM_ASSIGN(options.public_url, of_option("--public-url", parse_public_url(arguments.public_url)));
  }
  TM_ASSIGN(options.shutdown_timeout_ms,
            of_option("--shutdown-timeout", parse_duration_ms(arguments.shutdown_timeout)));
  TM_ASSIGN(options.access_token, find_access_token(arguments));
  return options;
}

}  // namespace tidemark::tools
