#include "server/backup/index.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "engine/base/hex.h"
#include "engine/base/time_text.h"
#include "engine/io/entropy.h"

namespace tidemark::backup {
namespace {

namespace json = boost::json;

constexpr int64_t kFormat = 1;

// Takes members of an object; what is missing or of another type is noted, and read as nothing.
class Members {
 public:
  // Of nothing if it is null. The value must outlive this.
  explicit Members(const json::value* value)
      : object_(value == nullptr ? nullptr : value->if_object()), ok_(object_ != nullptr) {}

  std::string text(std::string_view name) {
    const json::value* value = member(name);
    if (value == nullptr || !value->is_string()) return ok_ = false, std::string();
    return std::string(value->get_string());
  }
  int64_t time(std::string_view name, bool may_lack = false) {
    if (may_lack && ok_ && !object_->contains(name)) return 0;
    const std::optional<int64_t> ms = parse_time(text(name));
    ok_ = ok_ && ms.has_value();
    return ms.value_or(0);
  }
  Versionstamp stamp(std::string_view name) {
    const std::optional<Versionstamp> stamp = Versionstamp::from_hex(text(name));
    ok_ = ok_ && stamp.has_value();
    return stamp.value_or(Versionstamp());
  }
  bool flag(std::string_view name) {
    const json::value* value = member(name);
    return value != nullptr && value->is_bool() && value->get_bool();
  }
  int64_t number(std::string_view name) {
    const json::value* value = member(name);
    if (value == nullptr || !value->is_int64() || value->get_int64() < 0) return ok_ = false, 0;
    return value->get_int64();
  }
  const json::value* member(std::string_view name) const {
    return object_ == nullptr ? nullptr : object_->if_contains(name);
  }
  bool ok() const { return ok_; }

 private:
  const json::object* object_;
  bool ok_;
};

json::object to_json(const Generation& generation) {
  json::object out{{"id", generation.id},
                   {"began", format_time(generation.began_ms)},
                   {"snapshot", generation.snapshot.hex()},
                   {"continues", generation.continues},
                   {"complete", generation.complete},
                   {"ranges", generation.ranges},
                   {"reason", generation.reason}};
  json::array sessions;
  for (const WriterSession& one : generation.sessions)
    sessions.push_back(json::object{{"id", one.id}, {"after", one.after.hex()}});
  out["sessions"] = std::move(sessions);
  if (generation.ended_ms != 0) out["ended"] = format_time(generation.ended_ms);
  if (generation.pruned) out["pruned"] = true;
  return out;
}

std::optional<Generation> to_generation(const json::value& value) {
  Members members(&value);
  Generation out;
  out.id = members.text("id");
  out.began_ms = members.time("began");
  out.snapshot = members.stamp("snapshot");
  out.continues = members.flag("continues");
  out.complete = members.flag("complete");
  out.ranges = static_cast<uint64_t>(members.number("ranges"));
  out.ended_ms = members.time("ended", true);
  out.pruned = members.flag("pruned");
  out.reason = members.text("reason");
  const json::value* sessions = members.member("sessions");
  if (sessions == nullptr || !sessions->is_array()) return std::nullopt;
  for (const json::value& one : sessions->get_array()) {
    Members session(&one);
    out.sessions.push_back({session.text("id"), session.stamp("after")});
    if (!session.ok()) return std::nullopt;
  }
  if (!members.ok() || out.id.empty()) return std::nullopt;
  return out;
}

}  // namespace

const Generation* Index::newest_complete() const {
  const auto readable = [](const Generation& one) { return one.complete && !one.pruned; };
  const auto found = std::find_if(generations.rbegin(), generations.rend(), readable);
  return found == generations.rend() ? nullptr : &*found;
}

const Generation* Index::find(std::string_view id) const {
  const auto found = std::ranges::find(generations, id, &Generation::id);
  return found == generations.end() ? nullptr : &*found;
}

const Generation* Index::next_of(std::string_view id) const {
  const Generation* const one = find(id);
  return one == nullptr || one == &generations.back() ? nullptr : one + 1;
}

bool Index::reaches_the_end() const {
  for (auto one = generations.rbegin(); one != generations.rend(); ++one) {
    if (one->complete) return !one->pruned;
    if (!one->continues) return false;
  }
  return false;
}

std::string next_generation_id(const Index& index) {
  uint64_t number = 1;
  if (!index.generations.empty()) {
    unsigned long last = 0;
    if (std::sscanf(index.generations.back().id.c_str(), "%lu", &last) == 1) number = last + 1;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%04lu-", static_cast<unsigned long>(number));
  return text + to_hex(random_bytes(4));
}

std::string encode(const Index& index) {
  json::array generations;
  for (const Generation& one : index.generations) generations.push_back(to_json(one));
  const Generation* newest = index.newest_complete();
  const json::object out{{"format", kFormat},
                         {"database", index.database},
                         {"name", index.name},
                         {"writer",
                          {{"store", index.writer.store},
                           {"session", index.writer.session},
                           {"since", format_time(index.writer.since_ms)}}},
                         {"newest", newest != nullptr ? json::value(newest->id) : json::value()},
                         {"generations", std::move(generations)}};
  return json::serialize(out) + "\n";
}

Result<Index> decode_index(std::string_view bytes) {
  json::error_code error;
  const json::value value = json::parse({bytes.data(), bytes.size()}, error);
  if (error) return fail(ErrorCode::kCorruption, "it is not JSON");
  Members members(&value);
  const int64_t format = members.number("format");
  if (members.ok() && format > kFormat)
    return fail(ErrorCode::kNewerFormat, "it was written by a newer version of this program (format " +
                                             std::to_string(format) +
                                             ", known here: " + std::to_string(kFormat) + ")");
  Index out;
  out.database = members.text("database");
  out.name = members.text("name");
  Members writer(members.member("writer"));
  out.writer = {writer.text("store"), writer.text("session"), writer.time("since")};
  const json::value* generations = members.member("generations");
  if (!members.ok() || !writer.ok() || format < 1 || generations == nullptr || !generations->is_array())
    return fail(ErrorCode::kCorruption, "it lacks what such an object must say");
  for (const json::value& one : generations->get_array()) {
    std::optional<Generation> generation = to_generation(one);
    if (!generation) return fail(ErrorCode::kCorruption, "what it says of a generation makes no sense");
    out.generations.push_back(std::move(*generation));
  }
  return out;
}

}  // namespace tidemark::backup
