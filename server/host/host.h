// A store: one data folder that holds databases, found by name and by id.
//
//   <data folder>/catalog/           what the store knows about itself (catalog.h); its lock guards all
//   <data folder>/databases/<uuid>/  one engine database each
//
// For now there is one database, named `default` and made with the store.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/log.h"
#include "engine/database.h"
#include "server/host/access_token.h"
#include "server/host/catalog.h"
#include "server/host/data_token.h"
#include "server/kv/store.h"

namespace tidemark::host {

struct HostOptions {
  std::string data_dir;
  std::string access_token;  // opens every database; at least kMinAccessTokenChars long
  DatabaseOptions database;  // of every database; create_if_missing is ignored
  kv::Limits limits;
  LogSink log;  // may be empty
};

// An open database. Whoever works on it holds a shared_ptr, and lets go before Host::close().
class HostedDatabase {
 public:
  HostedDatabase(Engine& engine, DatabaseRecord record, std::unique_ptr<Database> database,
                 const kv::Limits& limits)
      : record_(std::move(record)),
        id_text_(record_.id.text()),
        database_(std::move(database)),
        store_(engine, *database_, limits) {}

  // The id that clients see. The engine's own id names a line of history and is another one.
  const Uuid& id() const { return record_.id; }
  const std::string& id_text() const { return id_text_; }
  const std::string& name() const { return record_.name; }
  Database& database() { return *database_; }
  kv::Store& store() { return store_; }

 private:
  DatabaseRecord record_;
  std::string id_text_;
  std::unique_ptr<Database> database_;
  kv::Store store_;
};

// Any thread, but for open() and close().
class Host {
 public:
  // Opens the store, after recovery if need be; makes it if the folder is missing (its parent must exist) or
  // empty. Every error is one line that names the folder. kLocked: in use by another process;
  // kInvalidArgument: the folder holds something else; kNewerFormat; kCorruption; kNotFound: no parent, or a
  // database's folder is gone; kIo: the system refused (not writable, say). `engine` must outlive it.
  static Result<std::unique_ptr<Host>> open(Engine& engine, const HostOptions& options);

  Engine& engine() { return engine_; }
  // Of every database.
  const kv::Limits& limits() const { return limits_; }
  // Null if there is none.
  std::shared_ptr<HostedDatabase> find(std::string_view name) const;
  std::shared_ptr<HostedDatabase> find(const Uuid& id) const;

  // Those that are open now.
  std::vector<std::shared_ptr<HostedDatabase>> open_databases() const { return databases_; }

  // Whether this access token opens everything, as its operator's does. Takes as long as may_open().
  bool is_operator(std::string_view access_token) const { return access_token_.matches(access_token); }
  // Whether this access token opens the database. Takes the same time for every token of the same length.
  bool may_open(std::string_view access_token, const HostedDatabase& database) const;
  const DataTokens& data_tokens() const { return data_tokens_; }

  // To be called several times a second: begins what is due in the databases (expiry). Does not block.
  void poll();

  // Closes every database, then the catalog. REQUIRES: no other user of the host or its databases is left.
  // The first error, after everything was tried.
  Status close();

 private:
  Host(Engine& engine, const HostOptions& options, std::unique_ptr<Catalog> catalog);
  Status open_databases(const HostOptions& options);

  Engine& engine_;
  const kv::Limits limits_;
  std::unique_ptr<Catalog> catalog_;
  AccessToken access_token_;
  DataTokens data_tokens_;
  // Fixed after open(), hence without a lock; few, hence searched one by one.
  std::vector<std::shared_ptr<HostedDatabase>> databases_;
};

}  // namespace tidemark::host
