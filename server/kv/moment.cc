#include "server/kv/moment.h"

#include "engine/base/time_text.h"

namespace tidemark::kv {
namespace {

Result<std::string> range(const Database& database) {
  const Versionstamp horizon = database.horizon();
  const Moment head = head_moment(database);
  TM_ASSIGN(const CommitPoint oldest, database.last_commit(horizon, INT64_MAX));
  const std::string from =
      horizon == Versionstamp::min() ? "its beginning" : describe({horizon, oldest.timestamp_ms});
  return "the database can be read from " + from + " to " + describe(head);
}

Result<Moment> refuse(const Database& database, const std::string& what) {
  TM_ASSIGN(const std::string there_is, range(database));
  return fail(ErrorCode::kBeyondHorizon, what + "; " + there_is);
}

}  // namespace

std::optional<MomentName> parse_moment(std::string_view text) {
  if (const auto stamp = Versionstamp::from_hex(text)) return MomentName(*stamp);
  if (const auto ms = parse_time(text)) return MomentName(TimeMs{*ms});
  return std::nullopt;
}

std::string describe(const Moment& moment) {
  return format_time(moment.now_ms) + " (" + moment.stamp.hex() + ")";
}

Moment head_moment(const Database& database) {
  // The time last: a commit in between may only make it later than the stamp's.
  const Versionstamp stamp = database.head();
  return {stamp, database.head_timestamp_ms()};
}

Result<Moment> resolve(const Database& database, const MomentName& name, int64_t wall_ms) {
  const Moment head = head_moment(database);
  const auto* const time = std::get_if<TimeMs>(&name);
  const Versionstamp asked = time != nullptr ? Versionstamp::max() : std::get<Versionstamp>(name);
  if (time != nullptr && time->ms > std::max(wall_ms, head.now_ms))
    return refuse(database, "the time " + format_time(time->ms) + " has not come yet");
  if (time == nullptr && asked > head.stamp)
    return refuse(database, "there is no commit " + asked.hex() + " yet");

  TM_ASSIGN(CommitPoint found, database.last_commit(asked, time != nullptr ? time->ms : INT64_MAX));
  const Versionstamp horizon = database.horizon();
  if (found.stamp < horizon) {
    // The horizon need not be a commit: it shows the last one below it.
    TM_ASSIGN(const CommitPoint below, database.last_commit(horizon, INT64_MAX));
    const bool shown = below.stamp == found.stamp && below.stamp != Versionstamp::min() &&
                       (time != nullptr || asked >= horizon);
    if (!shown)
      return refuse(database, (time != nullptr ? format_time(time->ms) : asked.hex()) +
                                  " lies further back than history is kept");
    found.stamp = horizon;
  }
  return Moment{found.stamp, time != nullptr ? time->ms : found.timestamp_ms};
}

}  // namespace tidemark::kv
