#include "tools/moment_text.h"

#include <chrono>
#include <ctime>
#include <optional>

#include "engine/base/time_text.h"
#include "engine/base/versionstamp.h"
#include "tools/parse.h"

namespace tidemark::tools {
namespace {

constexpr std::string_view kForms =
    "a versionstamp of 20 hex digits, a time as 2026-11-21T14:31:00Z or 2026-11-21 14:31, 'yesterday 14:31', "
    "'15m ago' or 'now'";

std::unexpected<Error> refuse(std::string what) {
  return fail(ErrorCode::kInvalidArgument, std::move(what));
}

std::optional<int> take_number(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

struct Clockface {
  int hour = 0, minute = 0, second = 0, millisecond = 0;
};

// "14:31", "14:31:05", "14:31:05.25"
std::optional<Clockface> parse_clock(std::string_view text) {
  Clockface clock;
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ":")) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  clock.hour = *hour;
  clock.minute = *minute;
  if (take(text, ":")) {
    const auto second = take_number(text, 2);
    if (!second || *second > 59) return std::nullopt;
    clock.second = *second;
    if (take(text, ".")) {
      if (text.empty() || text.size() > 3) return std::nullopt;
      const size_t digits = text.size();
      const auto fraction = take_number(text, digits);
      if (!fraction) return std::nullopt;
      clock.millisecond = *fraction * (digits == 1 ? 100 : digits == 2 ? 10 : 1);
    }
  }
  if (!text.empty()) return std::nullopt;
  return clock;
}

std::tm civil(std::chrono::year_month_day day, const Clockface& clock) {
  std::tm out{};
  out.tm_year = static_cast<int>(day.year()) - 1900;
  out.tm_mon = static_cast<int>(static_cast<unsigned>(day.month())) - 1;
  out.tm_mday = static_cast<int>(static_cast<unsigned>(day.day()));
  out.tm_hour = clock.hour;
  out.tm_min = clock.minute;
  out.tm_sec = clock.second;
  return out;
}

// When clocks here show that, if they do, with summer time in force or not.
std::optional<std::time_t> instant(const std::tm& wanted, int summer_time) {
  std::tm tried = wanted;
  tried.tm_isdst = summer_time;
  const std::time_t time = std::mktime(&tried);
  std::tm shown{};
  if (time == -1 || localtime_r(&time, &shown) == nullptr) return std::nullopt;
  const bool same = shown.tm_year == wanted.tm_year && shown.tm_mon == wanted.tm_mon &&
                    shown.tm_mday == wanted.tm_mday && shown.tm_hour == wanted.tm_hour &&
                    shown.tm_min == wanted.tm_min && shown.tm_sec == wanted.tm_sec;
  if (!same) return std::nullopt;
  return time;
}

Result<std::string> local(std::string_view text, std::chrono::year_month_day day, const Clockface& clock) {
  const std::tm wanted = civil(day, clock);
  const auto winter = instant(wanted, 0), summer = instant(wanted, 1);
  const auto show = [&](std::time_t time) { return format_time(int64_t{time} * 1000 + clock.millisecond); };
  if (winter && summer && *winter != *summer)
    return refuse("the time '" + std::string(text) + "' was twice here, when clocks were put back: say " +
                  show(std::min(*winter, *summer)) + " or " + show(std::max(*winter, *summer)));
  if (!winter && !summer)
    return refuse("the time '" + std::string(text) + "' never was here: clocks were put forward over it");
  return show(winter ? *winter : *summer);
}

// The calendar day here.
std::chrono::year_month_day today(int64_t now_ms) {
  const std::time_t time = now_ms / 1000;
  std::tm shown{};
  localtime_r(&time, &shown);
  return std::chrono::year_month_day{std::chrono::year(shown.tm_year + 1900),
                                     std::chrono::month(static_cast<unsigned>(shown.tm_mon) + 1),
                                     std::chrono::day(static_cast<unsigned>(shown.tm_mday))};
}

}  // namespace

Result<std::string> everywhere_moment(std::string_view text, int64_t now_ms) {
  if (Versionstamp::from_hex(text) || parse_time(text)) return std::string(text);
  if (text == "now") return format_time(now_ms);
  const auto wrong = [&] {
    return refuse("'" + std::string(text) + "' is no moment: it must be " + std::string(kForms));
  };
  std::string_view rest = text;
  if (rest.ends_with(" ago")) {
    rest.remove_suffix(4);
    const Result<int64_t> ago = parse_duration_ms(rest);
    if (!ago) return refuse("'" + std::string(text) + "' is no moment: before 'ago', " + ago.error().message);
    return format_time(now_ms - *ago);
  }
  for (const auto& [word, days_back] : {std::pair("today ", 0), std::pair("yesterday ", 1)}) {
    if (!take(rest, word)) continue;
    const auto clock = parse_clock(rest);
    if (!clock) return wrong();
    return local(text, std::chrono::sys_days(today(now_ms)) - std::chrono::days(days_back), *clock);
  }
  const auto year = take_number(rest, 4);
  if (!year || !take(rest, "-")) return wrong();
  const auto month = take_number(rest, 2);
  if (!month || !take(rest, "-")) return wrong();
  const auto day = take_number(rest, 2);
  if (!day || (!take(rest, " ") && !take(rest, "T"))) return wrong();
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return refuse("'" + std::string(text) + "' is no moment: there is no such day");
  const auto clock = parse_clock(rest);
  if (!clock) return wrong();
  return local(text, date, *clock);
}

}  // namespace tidemark::tools
