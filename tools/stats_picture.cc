#include "tools/stats_picture.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <optional>
#include <vector>

#include "server/kv/json_text.h"
#include "tools/answer.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;

constexpr uint64_t kBarChars = 32;

std::string factor_in(const json::object& object, const char* name) {
  json::error_code error;
  const auto number = field(object, name).to_number<double>(error);
  if (error) return "not known";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", number);
  return text;
}

std::string human_ms(uint64_t ms) {
  constexpr std::pair<uint64_t, const char*> kUnits[] = {
      {86'400'000, " days"}, {3'600'000, " h"}, {60'000, " min"}, {1000, " s"}};
  for (const auto& [unit, name] : kUnits) {
    if (ms >= 2 * unit) return std::to_string(ms / unit) + name;
  }
  return std::to_string(ms) + " ms";
}

// Bars as long as their share of the largest.
struct Bars {
  struct Row {
    std::string label;
    uint64_t bytes;
    std::string remark;
  };

  std::string draw() const {
    size_t label_width = 0, size_width = 0;
    uint64_t most = 1;
    for (const Row& row : rows) {
      label_width = std::max(label_width, columns(row.label));
      size_width = std::max(size_width, human_bytes(row.bytes).size());
      most = std::max(most, row.bytes);
    }
    std::string out;
    for (const Row& row : rows) {
      const auto share = static_cast<double>(row.bytes) / static_cast<double>(most);
      auto length = static_cast<uint64_t>(share * static_cast<double>(kBarChars) + 0.5);
      if (length == 0 && row.bytes > 0) length = 1;
      const std::string size = human_bytes(row.bytes);
      out += "  " + row.label + std::string(label_width - columns(row.label) + 2, ' ') +
             std::string(size_width - size.size(), ' ') + size + "  ";
      for (uint64_t i = 0; i < length; ++i) out += "█";
      out += std::string(kBarChars - length + 1, ' ') + row.remark + "\n";
    }
    return out;
  }

  // Characters of UTF-8.
  static size_t columns(const std::string& text) {
    return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
  }

  std::vector<Row> rows;
};

// At most `max` characters.
std::string shortened(const std::string& text, size_t max) {
  if (Bars::columns(text) <= max) return text;
  std::string out;
  size_t taken = 0;
  for (const char c : text) {
    if ((c & 0xc0) != 0x80 && ++taken == max) break;
    out += c;
  }
  return out + "…";
}

std::string draw_levels(const json::object& answer) {
  Bars bars;
  const auto add = [&](const std::string& label, const json::object& level) {
    const uint64_t tombstones = number_in(level, "tombstones");
    bars.rows.push_back(
        {label, number_in(level, "bytes"),
         count_of(number_in(level, "segments"), "segment, ", "segments, ") +
             count_of(number_in(level, "entries"), "entry", "entries") +
             (tombstones == 0 ? "" : ", " + std::to_string(tombstones) + " of them deletions")});
  };
  for (const json::value& one : array_in(answer, "levels")) {
    const json::object* level = one.if_object();
    if (level != nullptr && number_in(*level, "segments") > 0)
      add("level " + std::to_string(number_in(*level, "level")), *level);
  }
  add("history", object_in(answer, "history"));
  if (number_in(object_in(answer, "shared"), "segments") > 0) add("shared", object_in(answer, "shared"));
  bars.rows.push_back(
      {"change files", number_in(answer, "changeFileBytes"), "which commit wrote which keys"});
  bars.rows.push_back({"newest log", number_in(answer, "logBytes"), ""});
  return bars.draw();
}

std::string first_part(const json::object& prefix) {
  const json::array& parts = array_in(prefix, "prefix");
  return parts.empty() ? "" : kv::to_json(parts.front());
}

std::string draw_prefixes(const json::object& answer) {
  const json::object& prefixes = object_in(answer, "prefixes");
  const json::array& largest = array_in(prefixes, "largest");
  if (largest.empty()) return "";
  constexpr size_t kMaxLabel = 30;
  Bars bars;
  for (const json::value& one : largest) {
    const json::object* prefix = one.if_object();
    if (prefix == nullptr) continue;
    bars.rows.push_back({shortened(first_part(*prefix), kMaxLabel), number_in(*prefix, "bytes"),
                         count_of(number_in(*prefix, "entries"), "entry", "entries")});
  }
  const uint64_t count = number_in(prefixes, "count");
  return "\nLargest first key parts (of " + std::to_string(count) +
         "), keys and values before compression\n" + bars.draw();
}

// `all`: what there is, in words.
std::string backlog(const json::object& part, const std::string& all) {
  std::string out = all;
  const uint64_t due = number_in(part, "due");
  out += ", " + std::to_string(due) + " due";
  if (due > 0) out += ", the oldest for " + human_ms(number_in(part, "lagMs"));
  return out;
}

// What keeping the past takes, and its share of the files.
std::string history_cost(const json::object& answer) {
  const uint64_t bytes =
      number_in(object_in(answer, "history"), "bytes") + number_in(answer, "changeFileBytes");
  const uint64_t all = number_in(answer, "diskBytes");
  const uint64_t percent = all == 0 ? 0 : bytes * 100 / all;
  return human_bytes(bytes) + " (" + std::to_string(percent) + " % of the files)";
}

}  // namespace

std::string stats_picture(const json::object& answer) {
  const json::object& head = object_in(answer, "head");
  const json::object& horizon = object_in(answer, "horizon");
  const json::object& entries = object_in(answer, "entries");
  const json::object& expiry = object_in(answer, "expiry");
  const json::object& queue = object_in(answer, "queue");
  const std::string time = text_in(head, "time");
  const uint64_t expired = number_in(answer, "entriesExpired");
  const json::value& age = field(horizon, "ageMs");
  std::vector<std::pair<std::string, std::string>> rows = {
      {"database", text_in(answer, "database")},
      {"head", text_in(head, "versionstamp") + (time.empty() ? "" : "  " + time)},
      {"horizon", text_in(horizon, "versionstamp") +
                      (age.is_null() ? "" : "  " + human_ms(number_in(horizon, "ageMs")) + " ago")},
      {"retention", text_in(answer, "retention")},
      {"entries", std::to_string(number_in(entries, "entries")) + ", " +
                      human_bytes(number_in(entries, "bytes")) +
                      (expired == 0 ? "" : " (" + std::to_string(expired) + " of them expired)")},
      {"on disk", human_bytes(number_in(answer, "diskBytes"))},
      {"in memory", human_bytes(number_in(answer, "memtableBytes")) + " not in segments yet"},
      {"versions per key", factor_in(answer, "versionsPerKey")},
      {"cost of history", history_cost(answer)},
      {"views", count_of(number_in(answer, "views"), "moment of the past is being looked at",
                         "moments of the past are being looked at")},
      {"space amplification", factor_in(answer, "spaceAmplification")},
      {"write amplification", factor_in(answer, "writeAmplification")},
      {"expiry",
       backlog(expiry, count_of(number_in(expiry, "indexEntries"), "index entry", "index entries"))},
      {"queue", backlog(queue, count_of(number_in(queue, "messages"), "message", "messages"))}};
  if (const uint64_t unreadable = number_in(object_in(answer, "unreadableKeys"), "entries"))
    rows.emplace_back("foreign keys", std::to_string(unreadable) + " that are none of Deno KV's");
  size_t width = 0;
  for (const auto& [name, text] : rows) width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, text] : rows) {
    if (!text.empty()) out += name + std::string(width - name.size() + 2, ' ') + text + "\n";
  }
  return out + "\nFiles\n" + draw_levels(answer) + draw_prefixes(answer);
}

}  // namespace tidemark::tools
