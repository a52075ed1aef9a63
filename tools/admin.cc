#include "tools/admin.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <vector>

#include "server/connect/metadata.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 8;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

// Takes the arguments one by one; finish() refuses what is left over. After the first error it gives nothing
// more.
class Arguments {
 public:
  static Result<Arguments> parse(std::string_view text) {
    json::parse_options options;
    options.max_depth = kMaxDepth;
    json::error_code error;
    json::value value = json::parse({text.data(), text.size()}, error, {}, options);
    if (error) return refuse("the arguments are not JSON: " + error.message());
    json::object* object = value.if_object();
    if (object == nullptr) return refuse("the arguments are not a JSON object");
    return Arguments(std::move(*object));
  }

  std::optional<std::string> string(std::string_view name) {
    const std::optional<json::value> value = take(name);
    if (!value) return std::nullopt;
    if (const json::string* text = value->if_string()) return std::string(*text);
    wrong(name, "a string");
    return std::nullopt;
  }
  std::string required_string(std::string_view name) {
    const std::optional<std::string> text = string(name);
    if (!text && status_) status_ = refuse("the argument '" + std::string(name) + "' is missing");
    return text.value_or("");
  }
  bool flag(std::string_view name) {
    const std::optional<json::value> value = take(name);
    if (!value) return false;
    if (const bool* flag = value->if_bool()) return *flag;
    wrong(name, "true or false");
    return false;
  }
  std::vector<std::string> strings(std::string_view name) {
    std::vector<std::string> out;
    const std::optional<json::value> value = take(name);
    if (!value) return out;
    const json::array* array = value->if_array();
    const auto is_string = [](const json::value& one) { return one.is_string(); };
    if (array == nullptr || !std::ranges::all_of(*array, is_string)) {
      wrong(name, "an array of strings");
      return out;
    }
    for (const json::value& one : *array) out.emplace_back(*one.if_string());
    return out;
  }

  Status finish() {
    if (status_ && !object_.empty()) {
      return refuse("there is no argument '" + std::string(object_.begin()->key()) + "'");
    }
    return std::move(status_);
  }

 private:
  explicit Arguments(json::object object) : object_(std::move(object)) {}

  std::optional<json::value> take(std::string_view name) {
    const auto place = object_.find(json::string_view(name.data(), name.size()));
    if (place == object_.end()) return std::nullopt;
    json::value value = std::move(place->value());
    object_.erase(place);
    return value;
  }
  void wrong(std::string_view name, const char* what) {
    if (status_) status_ = refuse("the argument '" + std::string(name) + "' is not " + what);
  }

  json::object object_;
  Status status_;
};

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

Answer create_database(host::Host& host, const std::string& base_url, Arguments& arguments) {
  const std::string name = arguments.required_string("name");
  TM_TRY(arguments.finish());
  return database_answer(host.create_database(name), base_url);
}

Answer list_databases(host::Host& host, const std::string& base_url, Arguments& arguments) {
  TM_TRY(arguments.finish());
  json::array databases;
  for (const host::DatabaseRecord& record : host.databases()) {
    databases.push_back(describe(record, base_url));
  }
  return json::object{{"databases", std::move(databases)}};
}

Answer rename_database(host::Host& host, const std::string& base_url, Arguments& arguments) {
  const std::string name = arguments.required_string("name");
  const std::string new_name = arguments.required_string("newName");
  TM_TRY(arguments.finish());
  return database_answer(host.rename_database(name, new_name), base_url);
}

Answer delete_database(host::Host& host, const std::string& base_url, Arguments& arguments) {
  const std::string name = arguments.required_string("name");
  const bool now = arguments.flag("now");
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::DatabaseRecord record, host.delete_database(name));
  json::object out = describe(record, base_url);
  if (now) {
    TM_TRY(host.purge_database(record.id.text()));
    out["state"] = "removed";
    out.erase("purgeAfter");
  }
  return out;
}

Answer undelete_database(host::Host& host, const std::string& base_url, Arguments& arguments) {
  const std::string name = arguments.required_string("name");
  TM_TRY(arguments.finish());
  return database_answer(host.undelete_database(name), base_url);
}

Answer purge_databases(host::Host& host, const std::string&, Arguments& arguments) {
  const std::optional<std::string> name = arguments.string("name");
  TM_TRY(arguments.finish());
  size_t purged = 1;
  if (name) {
    TM_TRY(host.purge_database(*name));
  } else {
    TM_ASSIGN(purged, host.purge_deleted(INT64_MAX));
  }
  return json::object{{"purged", purged}};
}

Answer create_token(host::Host& host, const std::string&, Arguments& arguments) {
  host::TokenRequest request;
  request.databases = arguments.strings("databases");
  request.all_databases = arguments.flag("all");
  if (arguments.flag("readOnly")) request.rights = host::Rights::kReadOnly;
  request.label = arguments.string("label").value_or("");
  TM_TRY(arguments.finish());
  TM_ASSIGN(const host::NewToken made, host.create_token(request));
  json::object out = describe(made.record, host.databases());
  out["token"] = made.secret;
  return out;
}

Answer list_tokens(host::Host& host, const std::string&, Arguments& arguments) {
  TM_TRY(arguments.finish());
  const std::vector<host::DatabaseRecord> databases = host.databases();
  json::array tokens;
  for (const host::TokenRecord& record : host.tokens()) tokens.push_back(describe(record, databases));
  return json::object{{"tokens", std::move(tokens)}};
}

Answer revoke_token(host::Host& host, const std::string&, Arguments& arguments) {
  const std::string text = arguments.required_string("id");
  TM_TRY(arguments.finish());
  const std::optional<host::TokenId> id = host::TokenId::from_text(text);
  if (!id) return refuse("that is no id of a token: it has 16 hex digits (see tidemark token list)");
  TM_ASSIGN(const host::TokenRecord revoked, host.revoke_token(*id));
  return describe(revoked, host.databases());
}

struct Command {
  std::string_view name;
  Answer (*run)(host::Host&, const std::string& base_url, Arguments&);
};

constexpr std::array<Command, 9> kCommands = {{{"db.create", create_database},
                                               {"db.list", list_databases},
                                               {"db.rename", rename_database},
                                               {"db.delete", delete_database},
                                               {"db.undelete", undelete_database},
                                               {"db.purge", purge_databases},
                                               {"token.create", create_token},
                                               {"token.list", list_tokens},
                                               {"token.revoke", revoke_token}}};

}  // namespace

Result<std::string> Admin::run(std::string_view command, std::string_view arguments) {
  const auto place = std::ranges::find(kCommands, command, &Command::name);
  if (place == kCommands.end()) return fail(ErrorCode::kNotFound, "there is no such command");
  TM_ASSIGN(Arguments parsed, Arguments::parse(arguments));
  TM_ASSIGN(const json::object answer, place->run(host_, base_url_, parsed));
  return json::serialize(answer);
}

}  // namespace tidemark::tools
