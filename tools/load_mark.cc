#include "tools/load_mark.h"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "engine/base/hash.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr char kSuffix[] = ".tidemark-load";
constexpr char kKind[] = "load mark";
constexpr uint64_t kKnownBytes = 4096;

std::optional<LoadMark> parse_mark(const std::string& text) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  const json::object* const object = error ? nullptr : value.if_object();
  if (object == nullptr) return std::nullopt;
  bool good = true;
  const auto member = [&](const char* name) -> const json::value& {
    static const json::value none;
    const json::value* const found = object->if_contains(name);
    good &= found != nullptr;
    return found == nullptr ? none : *found;
  };
  const auto text_of = [&](const char* name) -> std::string {
    const json::string* const found = member(name).if_string();
    good &= found != nullptr;
    return found == nullptr ? "" : std::string(*found);
  };
  const auto number_of = [&](const char* name) -> uint64_t {
    const int64_t* const found = member(name).if_int64();
    good &= found != nullptr && *found >= 0;
    return good ? static_cast<uint64_t>(*found) : 0;
  };
  const auto flag_of = [&](const char* name) {
    const bool* const found = member(name).if_bool();
    good &= found != nullptr;
    return good && *found;
  };
  good &= text_of("tidemark") == kKind;
  LoadMark mark;
  mark.all = flag_of("all");
  mark.database = text_of("database");
  mark.offset = number_of("offset");
  const std::string before = text_of("before");
  const auto [end, failed] = std::from_chars(before.data(), before.data() + before.size(), mark.before, 16);
  good &= failed == std::errc() && end == before.data() + before.size();
  mark.lines = number_of("lines");
  mark.counts.entries = number_of("entries");
  mark.counts.deletions = number_of("deletions");
  mark.header = flag_of("header");
  mark.end = flag_of("end");
  return good ? std::optional(mark) : std::nullopt;
}

}  // namespace

std::string load_mark_path(const std::string& file) {
  return file + kSuffix;
}

Result<uint64_t> hash_before(const std::string& path, uint64_t offset) {
  std::string bytes(std::min<uint64_t>(offset, kKnownBytes), '\0');
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset - bytes.size()));
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) return fail(ErrorCode::kIo, path + " cannot be read up to where its load was broken off");
  return xxh3(bytes);
}

Result<std::optional<LoadMark>> read_load_mark(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::optional<LoadMark> mark = file ? parse_mark(text) : std::nullopt;
  if (!mark) return fail(ErrorCode::kIo, path + " is no mark of a load that was broken off");
  return mark;
}

Status write_load_mark(const std::string& path, const LoadMark& mark) {
  char before[17];
  std::snprintf(before, sizeof before, "%016llx", static_cast<unsigned long long>(mark.before));
  const json::object object = {{"tidemark", kKind},
                               {"all", mark.all},
                               {"database", mark.database},
                               {"offset", static_cast<int64_t>(mark.offset)},
                               {"before", before},
                               {"lines", static_cast<int64_t>(mark.lines)},
                               {"entries", static_cast<int64_t>(mark.counts.entries)},
                               {"deletions", static_cast<int64_t>(mark.counts.deletions)},
                               {"header", mark.header},
                               {"end", mark.end}};
  const std::string unfinished = path + ".new";
  {
    std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
    file << json::serialize(object) << '\n';
    file.close();
    if (!file) return fail(ErrorCode::kIo, unfinished + " cannot be written");
  }
  std::error_code error;
  fs::rename(unfinished, path, error);
  if (error) return fail(ErrorCode::kIo, path + ": " + error.message());
  return {};
}

Status remove_load_mark(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) return fail(ErrorCode::kIo, path + ": " + error.message());
  return {};
}

}  // namespace tidemark::tools
