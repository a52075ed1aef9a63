#include "server/dump/dump_line.h"

#include <algorithm>
#include <boost/json.hpp>

#include "engine/base/base64.h"
#include "engine/base/time_text.h"
#include "server/kv/json_text.h"
#include "server/kv/tuple_key.h"
#include "server/kv/v8_format.h"

namespace tidemark::dump {
namespace {

namespace json = boost::json;

// The line itself is one level more than what is in it.
constexpr size_t kMaxDepth = kv::v8::kMaxFormDepth + 1;

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

json::value time_form(int64_t ms) {
  return ms <= kLastTextMs ? json::value(format_time(ms)) : json::value(ms);
}

// The members of a line, each taken once; what nobody takes is refused.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}

  // Null if it is not there.
  const json::value* take(std::string_view name) {
    const json::value* const found = object_.if_contains(name);
    if (found != nullptr) ++taken_;
    return found;
  }
  // For members that are of no use here.
  void skip(std::string_view name) { take(name); }
  Status finish(std::initializer_list<std::string_view> known) const {
    if (taken_ == object_.size()) return {};
    for (const json::key_value_pair& member : object_) {
      if (std::ranges::find(known, std::string_view(member.key())) == known.end())
        return refuse("it has the member '" + std::string(member.key()).substr(0, 40) +
                      "', which means nothing there");
    }
    return refuse("it has members that do not go together");
  }

 private:
  const json::object& object_;
  size_t taken_ = 0;
};

Result<int64_t> parse_expiry(const json::value& form) {
  std::optional<int64_t> ms;
  if (const json::string* const text = form.if_string()) ms = parse_time(*text);
  if (const int64_t* const number = form.if_int64()) ms = *number;
  if (!ms) return refuse("its expireAt is neither a time nor a number of milliseconds");
  // In the past is legal: it is absent at once. So do Deno's clients put it.
  return std::max<int64_t>(*ms, 1);
}

Result<uint64_t> parse_count(const json::value* form) {
  if (form == nullptr) return 0;
  const int64_t* const number = form->if_int64();
  if (number == nullptr || *number < 0) return refuse("its counts are no numbers");
  return static_cast<uint64_t>(*number);
}

Result<Line> parse_mark(std::string_view mark, Members& members) {
  Line line;
  if (mark == "dump") {
    line.kind = Line::Kind::kHeader;
    const json::value* const format = members.take("format");
    const int64_t* const number = format == nullptr ? nullptr : format->if_int64();
    if (number == nullptr || *number < 1) return refuse("it begins a dump, but does not say of which format");
    if (*number > kFormat) {
      return fail(ErrorCode::kNewerFormat, "the dump is of format " + std::to_string(*number) +
                                               ", and this program reads up to " + std::to_string(kFormat));
    }
    if (const json::value* const database = members.take("database")) {
      if (!database->is_string()) return refuse("its database has no name");
      line.database = database->get_string();
    }
    for (const std::string_view name : {"versionstamp", "time", "prefix", "history"}) members.skip(name);
    TM_TRY(members.finish({"tidemark", "format", "database", "versionstamp", "time", "prefix", "history"}));
    return line;
  }
  if (mark != "end") return refuse("it says that it is neither the first nor the last line of a dump");
  line.kind = Line::Kind::kEnd;
  TM_ASSIGN(line.counts.entries, parse_count(members.take("entries")));
  TM_ASSIGN(line.counts.deletions, parse_count(members.take("deletions")));
  TM_TRY(members.finish({"tidemark", "entries", "deletions"}));
  return line;
}

Result<kv::OwnedValue> parse_value(const json::value& form, const json::value* version,
                                   const json::value* raw) {
  if (raw != nullptr) {
    const json::string* const text = raw->if_string();
    std::optional<std::string> bytes = text == nullptr ? std::nullopt : from_base64(*text);
    if (!bytes) return refuse("its raw is not base64");
    return kv::OwnedValue{kv::Encoding::kV8, std::move(*bytes)};
  }
  if (version == nullptr) return kv::value_from_form(form);
  const int64_t* const number = version->if_int64();
  if (number == nullptr || *number < 0 || *number > UINT32_MAX) return refuse("its v8 is no version");
  return kv::value_from_form(form, static_cast<uint32_t>(*number));
}

}  // namespace

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

std::string header_line(const Header& header) {
  json::object out;
  out.emplace("tidemark", "dump");
  out.emplace("format", kFormat);
  out.emplace("database", header.database);
  out.emplace("versionstamp", header.versionstamp.hex());
  out.emplace("time", time_form(header.time_ms));
  if (header.prefix) out.emplace("prefix", kv::key_form(*header.prefix));
  if (header.history) out.emplace("history", true);
  return kv::to_json(out);
}

std::string end_line(const Counts& counts) {
  json::object out;
  out.emplace("tidemark", "end");
  out.emplace("entries", static_cast<int64_t>(counts.entries));
  if (counts.deletions != 0) out.emplace("deletions", static_cast<int64_t>(counts.deletions));
  return kv::to_json(out);
}

void append_entry_line(std::string& out, std::string_view key, const kv::StoredValue* value,
                       Versionstamp versionstamp) {
  out += "{\"key\":";
  kv::append_json(out, kv::key_form(key));
  if (value != nullptr) {
    const kv::ValueForm form = kv::value_form(value->encoding, value->data);
    out += ",\"value\":";
    kv::append_json(out, form.form);
    if (!form.exact) {
      out += ",\"raw\":\"" + base64(value->data) + "\"";
    } else if (form.v8_version != kv::kWrittenV8Version) {
      out += ",\"v8\":" + std::to_string(form.v8_version);
    }
  }
  out += ",\"versionstamp\":\"" + versionstamp.hex() + "\"";
  if (value == nullptr) {
    out += ",\"deleted\":true";
  } else if (value->expire_at_ms != 0) {
    out += ",\"expireAt\":";
    kv::append_json(out, time_form(value->expire_at_ms));
  }
  out += "}";
}

Result<Line> parse_line(std::string_view text) {
  TM_ASSIGN(const json::value parsed, kv::parse_json(text, kMaxDepth));
  const json::object* const object = parsed.if_object();
  if (object == nullptr) return refuse("it is no JSON object");
  Members members(*object);
  if (const json::value* const mark = members.take("tidemark")) {
    const json::string* const what = mark->if_string();
    return parse_mark(what == nullptr ? std::string_view() : std::string_view(*what), members);
  }
  const json::value* const key = members.take("key");
  if (key == nullptr) return refuse("it has no key");
  Line line;
  TM_ASSIGN(line.key, kv::key_from_form(*key));
  members.skip("versionstamp");
  if (const json::value* const deleted = members.take("deleted")) {
    if (!deleted->is_bool() || !deleted->get_bool()) return refuse("its deleted is not true");
    line.kind = Line::Kind::kDeletion;
    TM_TRY(members.finish({"key", "versionstamp", "deleted", "value", "raw", "v8", "expireAt"}));
    return line;
  }
  const json::value* const value = members.take("value");
  const json::value* const raw = members.take("raw");
  const json::value* const version = members.take("v8");
  const json::value* const expiry = members.take("expireAt");
  TM_TRY(members.finish({"key", "value", "versionstamp", "raw", "v8", "expireAt"}));
  if (value == nullptr) return refuse("it has no value");
  TM_ASSIGN(line.value, parse_value(*value, version, raw));
  if (expiry != nullptr) {
    TM_ASSIGN(line.expire_at_ms, parse_expiry(*expiry));
  }
  return line;
}

}  // namespace tidemark::dump
