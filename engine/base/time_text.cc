#include "engine/base/time_text.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace tidemark {
namespace {

namespace chrono = std::chrono;

constexpr std::string_view kDigits = "0123456789";
constexpr size_t kMaxFraction = 9;

// Takes a text apart from its front; after the first mismatch it gives nothing more.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  int number(size_t digits) {
    const std::string_view taken = text_.substr(0, digits);
    if (!ok_ || taken.size() < digits || taken.find_first_not_of(kDigits) != taken.npos) return fail();
    int out = 0;
    std::from_chars(taken.data(), taken.data() + digits, out);
    text_.remove_prefix(digits);
    return out;
  }
  // The character that is there, if it is one of these; 0 otherwise, which is no mismatch.
  char maybe(std::string_view characters) {
    if (!ok_ || text_.empty() || characters.find(text_.front()) == characters.npos) return 0;
    const char found = text_.front();
    text_.remove_prefix(1);
    return found;
  }
  char one_of(std::string_view characters) {
    const char found = maybe(characters);
    if (found == 0) fail();
    return found;
  }
  size_t digits_ahead() const { return std::min(text_.find_first_not_of(kDigits), text_.size()); }
  bool done() const { return ok_ && text_.empty(); }

 private:
  int fail() {
    ok_ = false;
    return 0;
  }

  std::string_view text_;
  bool ok_ = true;
};

}  // namespace

std::string format_time(int64_t unix_ms) {
  using chrono::milliseconds;
  const chrono::sys_time<milliseconds> time{milliseconds(unix_ms)};
  const auto day = chrono::floor<chrono::days>(time);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss<milliseconds> clock(time - day);
  char out[64];
  const int size =
      std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                    static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return std::string(out, static_cast<size_t>(size));
}

std::optional<int64_t> parse_time(std::string_view text) {
  Scanner scanner(text);
  const int year = scanner.number(4);
  scanner.one_of("-");
  const int month = scanner.number(2);
  scanner.one_of("-");
  const int day = scanner.number(2);
  scanner.one_of("Tt ");
  const int hour = scanner.number(2);
  scanner.one_of(":");
  const int minute = scanner.number(2);
  scanner.one_of(":");
  const int second = scanner.number(2);
  int ms = 0;
  if (scanner.maybe(".") != 0) {
    const size_t digits = scanner.digits_ahead();
    if (digits == 0 || digits > kMaxFraction) return std::nullopt;
    for (size_t i = 0; i < std::max<size_t>(digits, 3); ++i) {
      const int digit = i < digits ? scanner.number(1) : 0;
      if (i < 3) ms = ms * 10 + digit;
    }
  }
  int offset_minutes = 0;
  const char zone = scanner.one_of("Zz+-");
  if (zone == '+' || zone == '-') {
    const int hours = scanner.number(2);
    scanner.one_of(":");
    const int minutes = scanner.number(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset_minutes = (hours * 60 + minutes) * (zone == '-' ? -1 : 1);
  }
  const chrono::year_month_day date{chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  if (!scanner.done() || !date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  const auto time = chrono::sys_days(date) + chrono::hours(hour) + chrono::minutes(minute - offset_minutes) +
                    chrono::seconds(second) + chrono::milliseconds(ms);
  return time.time_since_epoch().count();
}

}  // namespace tidemark
