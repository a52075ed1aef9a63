// Administration of a store by commands: a name and JSON in, JSON out. The same whether the command comes
// through the admin socket or from a command line that has opened the store itself.
//
//   db.create    {name}                           a database
//   db.list      {}                               {databases: [a database...]}
//   db.rename    {name, newName}                  a database
//   db.delete    {name, now?}                     a database
//   db.undelete  {name}                           a database; name may be an id
//   db.purge     {name?}                          {purged: how many}; name may be an id
//   token.create {databases? or all?, readOnly?, label?}   a token, with its secret as `token`
//   token.list   {}                               {tokens: [a token...]}
//   token.revoke {id}                             a token
//   dump         {database?, at?, prefix?}        the lines of a dump; {database, versionstamp, time,
//                                                 entries, deletions}; `prefix` is the text of a key as JSON
//   load.batch   {database?, lines, firstLine?}   {entries, deletions, transactions, versionstamp?, header,
//                                                 end?: {entries, deletions}}; see server/dump/load.h
//   pitr.list    {database?, start?, end?, limit?}  a line for each point, "<versionstamp>\t<time>"; {points}
//   pitr.info    {database?}                      what can be read, and what it costs
//   pitr.diff    {database?, from, to, prefix?}   a line with both moments, one for each key; counts
//   pitr.rewind  {database?, moment, prefix?, queues?, dryRun?}   what was changed
//   pitr.checkout {database?, moment or "latest"}
//   pitr.fork    {database?, moment, newName}     the new database
//   db.retention {database?, retention?, historyMaxBytes?}   without: as the server is told
//   compact      {database?}                      sizes before and after
//   import.sqlite {file, database?}               what was taken (transfer_commands.cc)
//   export.sqlite {file, database?, at?}          what was written; at: a versionstamp
//   stats        {database?}                      what is in it (report_commands.cc)
//   backup.status {database?}                     {served, databases: [how each is backed up...]}
//   backup.enable {database?, target?}            {database, where...}, once every right that is needed was
//   tried backup.disable {database?}                    {database} backup.hash  {database?, at} {database,
//   id, ranges: [{key, entries, hash}...]} pitr.sync    {}                               of a server that
//   follows a backup: how it stands now promote      {}                               of a server that
//   follows a backup: {versionstamp, time,
//                                                 generation, epoch}
//
// a database: {id, name, state, url, createdAt, deletedAt?, purgeAfter?}; state is creating, ready, deleted
// or purging. a token: {id, label, databases ("all" or [{id, name?}...]), readOnly, createdAt}. Times are RFC
// 3339.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/status.h"
#include "server/host/host.h"
#include "tools/line_sink.h"

namespace tidemark::tools {

class BackupDriver;
class Replica;

// What there is besides the store while it is being served. All may be null, and must outlive the Admin.
struct AdminParts {
  BackupDriver* backups = nullptr;
  Replica* replica = nullptr;
};

// Any thread; blocks on the disk.
class Admin {
 public:
  // `base_url`: what clients reach the server by, without a slash at the end; empty if the store is not being
  // served: then URLs are paths. `host` must outlive it.
  Admin(host::Host& host, std::string base_url, const AdminParts& parts = {})
      : host_(host), base_url_(std::move(base_url)), parts_(parts) {}

  // `arguments` and the result are the text of JSON objects. Errors are sentences for people:
  // kInvalidArgument and kNotFound for what the caller may mend, others for what failed. Some commands give
  // lines before their answer.
  Result<std::string> run(std::string_view command, std::string_view arguments, LineSink& lines);

 private:
  host::Host& host_;
  const std::string base_url_;
  const AdminParts parts_;
};

}  // namespace tidemark::tools
