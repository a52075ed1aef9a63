// Databases and access tokens of a store.
#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <optional>
#include <vector>

#include "server/connect/metadata.h"
#include "tools/admin_commands.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

const char* state_name(host::DatabaseState state) {
  switch (state) {
    case host::DatabaseState::kCreating:
      return "creating";
    case host::DatabaseState::kReady:
      return "ready";
    case host::DatabaseState::kDeleted:
      return "deleted";
    case host::DatabaseState::kPurging:
      break;
  }
  return "purging";
}

json::object describe(const host::DatabaseRecord& record, const std::string& base_url) {
  json::object out = {{"id", record.id.text()}, {"name", record.name}, {"state", state_name(record.state)}};
  out["url"] = base_url + "/db/" + record.name;
  out["createdAt"] = connect::format_time(record.created_at_ms);
  if (record.gone()) out["deletedAt"] = connect::format_time(record.deleted_at_ms);
  if (record.state == host::DatabaseState::kDeleted) {
    out["purgeAfter"] = connect::format_time(record.deleted_at_ms + host::Host::kKeepDeletedMs);
  }
  return out;
}

json::object describe(const host::TokenRecord& record, const std::vector<host::DatabaseRecord>& databases) {
  json::object out = {{"id", record.grant.token.text()}, {"label", record.label}};
  if (record.grant.all_databases) {
    out["databases"] = "all";
  } else {
    json::array opened;
    for (const host::Uuid& id : record.grant.databases) {
      json::object one = {{"id", id.text()}};
      const auto place = std::ranges::find(databases, id, &host::DatabaseRecord::id);
      if (place != databases.end()) one["name"] = place->name;
      opened.push_back(std::move(one));
    }
    out["databases"] = std::move(opened);
  }
  out["readOnly"] = record.grant.rights == host::Rights::kReadOnly;
  out["createdAt"] = connect::format_time(record.created_at_ms);
  return out;
}

using Answer = Result<json::object>;

// Of a command that gives a database.
Answer database_answer(const Result<host::DatabaseRecord>& record, const std::string& base_url) {
  if (!record) return std::unexpected(record.error());
  return describe(*record, base_url);
}

Answer create_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.required_string("name");
  TM_TRY(arguments.finish());
  return database_answer(context.host.create_database(name), context.base_url);
}

Answer list_databases(const AdminContext& context, CommandArguments& arguments) {
  TM_TRY(arguments.finish());
  json::array databases;
  for (const host::DatabaseRecord& record : context.host.databases()) {
    databases.push_back(describe(record, context.base_url));
  }
  return json::object{{"databases", std::move(databases)}};
}

Answer rename_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.required_string("name");
  const std::string new_name = arguments.required_string("newName");
  TM_TRY(arguments.finish());
  return database_answer(context.host.rename_database(name, new_name), context.base_url);
}

Answer delete_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.required_string("name");
  const bool now = arguments.flag("now");
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::DatabaseRecord record, context.host.delete_database(name));
  json::object out = describe(record, context.base_url);
  if (now) {
    TM_TRY(context.host.purge_database(record.id.text()));
    out["state"] = "removed";
    out.erase("purgeAfter");
  }
  return out;
}

Answer undelete_database(const AdminContext& context, CommandArguments& arguments) {
  const std::string name = arguments.required_string("name");
  TM_TRY(arguments.finish());
  return database_answer(context.host.undelete_database(name), context.base_url);
}

Answer purge_databases(const AdminContext& context, CommandArguments& arguments) {
  const std::optional<std::string> name = arguments.string("name");
  TM_TRY(arguments.finish());
  size_t purged = 1;
  if (name) {
    TM_TRY(context.host.purge_database(*name));
  } else {
    TM_ASSIGN(purged, context.host.purge_deleted(INT64_MAX));
  }
  return json::object{{"purged", purged}};
}

Answer create_token(const AdminContext& context, CommandArguments& arguments) {
  host::TokenRequest request;
  request.databases = arguments.strings("databases");
  request.all_databases = arguments.flag("all");
  if (arguments.flag("readOnly")) request.rights = host::Rights::kReadOnly;
  request.label = arguments.string("label").value_or("");
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::NewToken made, context.host.create_token(request));
  json::object out = describe(made.record, context.host.databases());
  out["token"] = made.secret;
  return out;
}

Answer list_tokens(const AdminContext& context, CommandArguments& arguments) {
  TM_TRY(arguments.finish());
  const std::vector<host::DatabaseRecord> databases = context.host.databases();
  json::array tokens;
  for (const host::TokenRecord& record : context.host.tokens()) tokens.push_back(describe(record, databases));
  return json::object{{"tokens", std::move(tokens)}};
}

Answer revoke_token(const AdminContext& context, CommandArguments& arguments) {
  const std::string text = arguments.required_string("id");
  TM_TRY(arguments.finish());
  const std::optional<host::TokenId> id = host::TokenId::from_text(text);
  if (!id) return refuse("that is no id of a token: it has 16 hex digits (see tidemark token list)");
  TM_ASSIGN(const host::TokenRecord revoked, context.host.revoke_token(*id));
  return describe(revoked, context.host.databases());
}

constexpr std::array<AdminCommand, 9> kCommands = {{{"db.create", create_database},
                                                    {"db.list", list_databases},
                                                    {"db.rename", rename_database},
                                                    {"db.delete", delete_database},
                                                    {"db.undelete", undelete_database},
                                                    {"db.purge", purge_databases},
                                                    {"token.create", create_token},
                                                    {"token.list", list_tokens},
                                                    {"token.revoke", revoke_token}}};

}  // namespace

std::span<const AdminCommand> store_commands() {
  return kCommands;
}

}  // namespace tidemark::tools
