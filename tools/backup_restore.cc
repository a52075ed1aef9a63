// The folder that is being made holds the store, a scratch folder beside it, and a file that says what is
// being restored. A snapshot's objects are kept in the scratch folder until all of them are in the database;
// the log's commits are durable as they are taken. So what was read once need not be read again.
#include "tools/backup_restore.h"

#include <filesystem>

#include "server/host/host.h"

namespace tidemark::tools {
namespace {

constexpr char kAboutName[] = "restore.txt";
constexpr uint64_t kMaxAboutBytes = 64 << 10;
// One commit of a log may be as large as an object of it.
constexpr uint64_t kMaxTransactionBytes = backup::kMaxObjectBytes;

std::string moment_text(const std::optional<kv::MomentName>& at) {
  if (!at) return "newest";
  if (const auto* stamp = std::get_if<Versionstamp>(&*at)) return stamp->hex();
  return std::to_string(std::get<kv::TimeMs>(*at).ms) + " ms";
}

Status remove_all(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return fail(ErrorCode::kIo, path + " cannot be removed: " + error.message());
  return {};
}

Status check_destination(FileSystem& files, const std::string& to) {
  TM_ASSIGN(const bool there, files.exists(to));
  if (!there) return {};
  const auto names = files.list_dir(to);
  if (names && names->empty()) return {};
  return fail(ErrorCode::kInvalidArgument, to + " holds something already: name a folder that is not there");
}

// Whether an earlier try is gone on with.
Result<bool> prepare(FileSystem& files, const std::string& partial, const std::string& about) {
  TM_ASSIGN(const bool there, files.exists(partial));
  const std::string about_path = partial + "/" + kAboutName;
  if (there) {
    TM_ASSIGN(const bool known, files.exists(about_path));
    if (known) {
      TM_ASSIGN(const std::string before, read_file(files, about_path, kMaxAboutBytes));
      if (before == about) return true;
      return fail(
          ErrorCode::kInvalidArgument,
          partial + " holds another restore that did not end: remove it, or finish it (of " + before + ")");
    }
    const auto names = files.list_dir(partial);
    if (!names || !names->empty())
      return fail(ErrorCode::kInvalidArgument, partial + " holds something else: remove it");
  }
  TM_TRY(files.create_dir(partial));
  TM_TRY(files.create_dir(partial + "/scratch"));
  TM_TRY(files.create_dir(partial + "/store"));
  TM_TRY(write_file_atomically(files, about_path, about));
  TM_TRY(files.sync_dir(parent_dir(partial)));
  return false;
}

Result<Restored> fill(Engine& engine, backup::ObjectStore& store, const RestoreRequest& request,
                      const std::string& partial,
                      const std::function<void(const backup::FollowProgress&)>& progress) {
  host::HostOptions options;
  options.data_dir = partial + "/store";
  options.database.retention = Retention::forever();
  options.database.max_transaction_bytes = kMaxTransactionBytes;
  TM_ASSIGN(const std::unique_ptr<host::Host> host, host::Host::open(engine, options));
  if (request.database != host::kDefaultDatabaseName) {
    // Named at the beginning, unless that was done before.
    const auto named = host->rename_database(host::kDefaultDatabaseName, request.database);
    if (!named && named.error().code != ErrorCode::kNotFound) return std::unexpected(named.error());
  }
  Restored out;
  {
    TM_ASSIGN(const host::DatabaseRef hosted, host->open_and_wait(request.database));
    Database& database = hosted->database();
    backup::FollowerOptions follower_options;
    follower_options.scratch_folder = partial + "/scratch";
    follower_options.progress = progress;
    TM_ASSIGN(const auto follower,
              backup::Follower::open(engine, database, store, request.prefix, follower_options));
    TM_TRY(follower->begin(request.at));
    TM_TRY(follower->pull(request.at));
    out.commits = follower->progress().commits;
    out.bytes = follower->progress().bytes;
    out.torn_end = follower->torn_end();
    out.at = {database.head(), database.head_timestamp_ms()};
    TM_ASSIGN(out.horizon, database.last_commit(database.horizon(), INT64_MAX));
    out.horizon.stamp = database.horizon();
    out.reached = !request.at || follower->passed();
    if (!request.leave_following) TM_TRY(follower->detach());
  }
  TM_TRY(host->close());
  return out;
}

}  // namespace

Result<Restored> restore_backup(Engine& engine, backup::ObjectStore& store, const RestoreRequest& request,
                                const std::function<void(const backup::FollowProgress&)>& progress) {
  FileSystem& files = engine.file_system();
  std::string to = request.to;
  while (to.size() > 1 && to.ends_with('/')) to.pop_back();
  TM_TRY(check_destination(files, to));
  // Nothing is made where there is nothing to restore.
  TM_TRY(backup::Source::open(store, request.prefix));
  const std::string partial = to + ".partial";
  TM_ASSIGN(const bool resumed, prepare(files, partial,
                                        request.source + " as of " + moment_text(request.at) + ", as '" +
                                            request.database + "'"));
  Result<Restored> filled = fill(engine, store, request, partial, progress);
  if (!filled) {
    // What cannot be gone on with is not kept.
    const ErrorCode code = filled.error().code;
    const bool hopeless = code == ErrorCode::kBeyondHorizon || code == ErrorCode::kNotFound ||
                          code == ErrorCode::kConflict || code == ErrorCode::kInvalidArgument;
    if (hopeless && !resumed) (void)remove_all(partial).has_value();
    return std::unexpected(filled.error());
  }
  Restored out = *filled;
  out.resumed = resumed;
  TM_ASSIGN(const bool there, files.exists(to));
  if (there) TM_TRY(files.remove_dir(to));
  TM_TRY(files.rename(partial + "/store", to));
  TM_TRY(files.sync_dir(parent_dir(to)));
  TM_TRY(remove_all(partial));
  return out;
}

}  // namespace tidemark::tools
