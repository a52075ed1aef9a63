// Batch by batch: lines are read, given to the store as a `load.batch`, which looks at them, and when they
// are durable the mark moves behind them. So a mark is never ahead of what was loaded; what comes behind it
// may have been, and is loaded once more, to the same effect. With --all a batch ends where the next dump
// begins.
#include "tools/load_command.h"

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "server/dump/load.h"
#include "tools/answer.h"
#include "tools/command_options.h"
#include "tools/load_mark.h"
#include "tools/store_access.h"
#include "tools/terminal.h"

namespace tidemark::tools {
namespace {

namespace json = boost::json;
using SteadyTime = std::chrono::steady_clock::time_point;

// A batch is one request to a server, whose text must not grow beyond what it takes.
constexpr size_t kMaxBatchBytes = size_t{16} << 20;
constexpr uint64_t kMaxBatchLines = 10'000;
constexpr size_t kReadBytes = size_t{256} << 10;
constexpr std::chrono::milliseconds kMarkPause{200};

// The lines of a file or of stdin.
class Lines {
 public:
  static Result<Lines> open(const std::string& path) {
    Lines lines;
    if (path == "-") {
      lines.file_.reset(stdin);
      return lines;
    }
    lines.file_.reset(std::fopen(path.c_str(), "rbe"));
    std::error_code error;
    if (lines.file_ == nullptr)
      return fail(ErrorCode::kIo, path + ": " + std::generic_category().message(errno));
    const uint64_t size = std::filesystem::file_size(path, error);
    if (!error) lines.size_ = size;
    return lines;
  }

  // Of a file; nothing if that cannot be known.
  std::optional<uint64_t> size() const { return size_; }
  // Where the next line begins.
  uint64_t offset() const { return offset_; }

  Status seek(uint64_t offset) {
    if (std::fseek(file_.get(), static_cast<long>(offset), SEEK_SET) != 0) return failure();
    offset_ = offset;
    return {};
  }

  // The next line without its end; nothing when there is none.
  Result<std::optional<std::string>> next() {
    for (;;) {
      const size_t end = buffer_.find('\n', looked_at_);
      if (end != buffer_.npos || (at_end_ && looked_at_ < buffer_.size())) return take(end);
      if (at_end_) return std::nullopt;
      if (buffer_.size() - begin_ > kMaxBatchBytes) {
        return fail(ErrorCode::kInvalidArgument,
                    "it is longer than " + std::to_string(kMaxBatchBytes) + " bytes");
      }
      TM_TRY(read());
    }
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const {
      if (file != stdin) std::fclose(file);
    }
  };

  std::string take(size_t end) {
    const size_t size = std::min(end, buffer_.size()) - begin_;
    std::string line = buffer_.substr(begin_, size);
    begin_ = looked_at_ = std::min(begin_ + size + 1, buffer_.size());
    offset_ += size + (end != buffer_.npos ? 1 : 0);
    return line;
  }

  Status read() {
    buffer_.erase(0, begin_);
    begin_ = 0;
    looked_at_ = buffer_.size();
    buffer_.resize(looked_at_ + kReadBytes);
    const size_t got = std::fread(buffer_.data() + looked_at_, 1, kReadBytes, file_.get());
    buffer_.resize(looked_at_ + got);
    if (std::ferror(file_.get()) != 0) return failure();
    at_end_ = got == 0;
    // The last line may have no end.
    if (at_end_) looked_at_ = begin_;
    return {};
  }

  static Status failure() {
    return fail(ErrorCode::kIo, "it cannot be read: " + std::generic_category().message(errno));
  }

  std::unique_ptr<std::FILE, Close> file_;
  std::optional<uint64_t> size_;
  std::string buffer_;
  size_t begin_ = 0;      // in it, of what was not taken
  size_t looked_at_ = 0;  // in it, up to where there is no line end
  uint64_t offset_ = 0;
  bool at_end_ = false;
};

// The name of a database, if the line begins the dump of one.
std::optional<std::string> database_begun_by(const std::string& line) {
  if (line.find("\"tidemark\"") == line.npos) return std::nullopt;
  const auto parsed = dump::parse_line(line);
  if (!parsed || parsed->kind != dump::Line::Kind::kHeader) return std::nullopt;
  return parsed->database;
}

class Loader {
 public:
  Loader(const LoadArguments& arguments, Lines lines)
      : arguments_(arguments),
        lines_(std::move(lines)),
        store_(data_dir_of(arguments.data_dir), arguments.all) {
    if (arguments.file != "-") mark_path_ = load_mark_path(arguments.file);
    state_.all = arguments.all;
    if (!state_.all) state_.database = arguments.database;
  }

  Result<std::string> run() {
    TM_TRY(begin());
    for (bool more = true; more;) {
      Result<bool> loaded = load_some();
      if (!loaded) return broken_off(loaded.error());
      more = *loaded;
    }
    TM_TRY(store_.close());
    progress_.clear();
    if (!mark_path_.empty()) TM_TRY(remove_load_mark(mark_path_));
    TM_TRY(check_whole());
    finish_database();
    return answer();
  }

 private:
  Status begin() {
    if (arguments_.resume && mark_path_.empty()) {
      return fail(ErrorCode::kInvalidArgument, "--resume needs a file: how far stdin came is not kept");
    }
    if (mark_path_.empty()) return {};
    TM_ASSIGN(const std::optional<LoadMark> mark, read_load_mark(mark_path_));
    if (!arguments_.resume) {
      if (!mark) return {};
      return fail(ErrorCode::kInvalidArgument,
                  mark_path_ + " says that an earlier load was broken off behind line " +
                      std::to_string(mark->lines) + ": go on with --resume, or remove it to begin anew");
    }
    if (!mark)
      return fail(ErrorCode::kInvalidArgument, "there is no " + mark_path_ + ", so nothing to resume");
    if (mark->all != arguments_.all || (!mark->all && mark->database != arguments_.database)) {
      return fail(ErrorCode::kInvalidArgument,
                  mark_path_ + " is of a load " +
                      (mark->all ? "with --all" : "into the database '" + mark->database + "'"));
    }
    TM_ASSIGN(const uint64_t before, hash_before(arguments_.file, mark->offset));
    if (mark->before != before) {
      return fail(ErrorCode::kInvalidArgument, arguments_.file + " is not as it was before line " +
                                                   std::to_string(mark->lines + 1) +
                                                   ", where its load was broken off");
    }
    state_ = *mark;
    resumed_at_ = mark->lines + 1;
    return lines_.seek(mark->offset);
  }

  // One batch. False if there was none any more.
  Result<bool> load_some() {
    json::array batch;
    size_t bytes = 0;
    uint64_t end = lines_.offset();
    bool begins = state_.lines == 0 && !arguments_.all;
    while (batch.size() < arguments_.batch && bytes < kMaxBatchBytes) {
      const uint64_t number = state_.lines + batch.size() + 1;
      Result<std::optional<std::string>> line =
          held_back_ ? std::exchange(held_back_, std::nullopt) : lines_.next();
      if (!line) return fail_within("line " + std::to_string(number), line.error());
      if (!*line) break;
      if (const auto name = arguments_.all ? database_begun_by(**line) : std::nullopt) {
        if (!batch.empty()) {
          held_back_ = std::move(**line);
          break;
        }
        TM_TRY(begin_database(*name, number));
        begins = true;
      } else if (!dump::is_blank(**line) && (state_.end || state_.database.empty())) {
        const char* const why = !state_.end ? "no dump of a database has begun, as it must with --all"
                                : database_begun_by(**line)
                                    ? dump::kAnotherDump
                                    : "there is more behind the last line of the dump";
        return fail(ErrorCode::kInvalidArgument, "line " + std::to_string(number) + ": " + why);
      }
      bytes += (*line)->size();
      end = lines_.offset();
      batch.emplace_back(std::move(**line));
    }
    if (batch.empty()) return false;
    const uint64_t count = batch.size();
    if (state_.database.empty()) {  // nothing but empty lines yet
      state_.lines += count;
      state_.offset = end;
      return true;
    }
    json::object request = {
        {"database", state_.database}, {"firstLine", state_.lines + 1}, {"begins", begins}};
    request["lines"] = std::move(batch);
    NoLines no_lines;
    TM_ASSIGN(const std::string answer, store_.run("load.batch", json::serialize(request), no_lines));
    TM_TRY(take(answer));
    state_.lines += count;
    state_.offset = end;
    show();
    const SteadyTime now = std::chrono::steady_clock::now();
    if (!mark_path_.empty() && now - marked_at_ >= kMarkPause) {
      TM_TRY(mark());
      marked_at_ = now;
    }
    return true;
  }

  // With --all. What is not there is made.
  Status begin_database(const std::string& name, uint64_t line) {
    TM_TRY(check_whole());
    finish_database();
    if (name.empty())
      return fail(ErrorCode::kInvalidArgument, "line " + std::to_string(line) + ": it names no database");
    NoLines no_lines;
    if (!databases_) {
      TM_ASSIGN(const std::vector<std::string> names, database_names(store_));
      databases_.emplace(names.begin(), names.end());
    }
    if (databases_->insert(name).second) {
      TM_ASSIGN(const std::string made,
                store_.run("db.create", json::serialize(json::object{{"name", name}}), no_lines));
    }
    state_.database = name;
    state_.counts = {};
    state_.header = state_.end = false;
    promised_.reset();
    return {};
  }

  // Behind its last line.
  void finish_database() {
    if (state_.database.empty()) return;
    json::object out = {{"database", state_.database},
                        {"lines", state_.lines - std::exchange(lines_before_, state_.lines)},
                        {"entries", state_.counts.entries},
                        {"deletions", state_.counts.deletions}};
    out["transactions"] = std::exchange(transactions_, 0);
    if (!versionstamp_.empty()) out["versionstamp"] = std::exchange(versionstamp_, {});
    finished_.push_back(std::move(out));
  }

  Status mark() {
    TM_ASSIGN(state_.before, hash_before(arguments_.file, state_.offset));
    return write_load_mark(mark_path_, state_);
  }

  Status take(const std::string& answer) {
    TM_ASSIGN(const json::object batch, parse_answer(answer));
    state_.counts.entries += number_in(batch, "entries");
    state_.counts.deletions += number_in(batch, "deletions");
    transactions_ += number_in(batch, "transactions");
    if (batch.contains("versionstamp")) versionstamp_ = text_in(batch, "versionstamp");
    state_.header |= flag_in(batch, "header");
    if (batch.contains("end")) {
      const json::object& end = object_in(batch, "end");
      state_.end = true;
      promised_ = {number_in(end, "entries"), number_in(end, "deletions")};
    }
    return {};
  }

  void show() {
    std::string text = "loaded " + std::to_string(state_.lines) + " lines";
    const uint64_t size = lines_.size().value_or(0);
    if (size != 0) text += " (" + std::to_string(state_.offset * 100 / size) + " %)";
    progress_.show(text);
  }

  // Whether the dump was, as its first and last line say.
  Status check_whole() const {
    const auto had = [&](const dump::Counts& counts) {
      return std::to_string(counts.entries) + " entries and " + std::to_string(counts.deletions) +
             " deletions";
    };
    if (state_.header && !state_.end) {
      return fail(ErrorCode::kIo, "the dump is cut off: its last line is missing; the " + had(state_.counts) +
                                      " that it has were loaded");
    }
    if (promised_ && state_.header && *promised_ != state_.counts) {
      return fail(ErrorCode::kIo, "the dump is not whole: its last line speaks of " + had(*promised_) +
                                      ", but the " + had(state_.counts) + " that it has were loaded");
    }
    return {};
  }

  std::unexpected<Error> broken_off(const Error& why) {
    progress_.clear();
    std::string where = "; nothing was loaded";
    if (state_.lines > 0) {
      where = "; the " + std::to_string(state_.lines) + " lines before were loaded";
      if (mark_path_.empty()) {
        where += ", go on with line " + std::to_string(state_.lines + 1);
      } else if (mark()) {
        where += ", go on with --resume";
      }
    }
    return fail(why.code, why.message + where);
  }

  std::string answer() const {
    if (arguments_.json) {
      json::object out;
      if (arguments_.all)
        out["databases"] = json::array(finished_.begin(), finished_.end());
      else
        out = finished_.front();
      if (resumed_at_) out["resumedAtLine"] = *resumed_at_;
      return json::serialize(out) + "\n";
    }
    std::string out;
    for (const json::object& database : finished_) {
      out += "loaded " + std::to_string(number_in(database, "entries")) + " entries";
      const uint64_t deletions = number_in(database, "deletions");
      if (deletions != 0) out += " and " + std::to_string(deletions) + " deletions";
      out += " into the database '" + text_in(database, "database") + "'\n";
    }
    return out.empty() ? "there was nothing to load\n" : out;
  }

  const LoadArguments& arguments_;
  Lines lines_;
  StoreAccess store_;
  ProgressLine progress_;
  std::string mark_path_;  // empty: of stdin there is none
  LoadMark state_;
  SteadyTime marked_at_;
  std::optional<uint64_t> resumed_at_;
  std::optional<dump::Counts> promised_;
  uint64_t lines_before_ = 0;                       // the database at hand
  std::optional<std::string> held_back_;            // a line that was read, for the next batch
  std::optional<std::set<std::string>> databases_;  // of the store; looked up when first needed
  std::vector<json::object> finished_;              // what was loaded, of each database
  uint64_t transactions_ = 0;
  std::string versionstamp_;
};

}  // namespace

void add_load_command(CLI::App& app, LoadArguments& arguments) {
  CLI::App* const load =
      app.add_subcommand("load", "Load a dump, or lines of JSON with a key and a value, into a database");
  load->add_option("FILE", arguments.file, "What to load; default: stdin");
  add_data_dir(*load, arguments.data_dir);
  CLI::Option* const database =
      load->add_option("--database", arguments.database, "Into which; it must be there")
          ->type_name("NAME")
          ->capture_default_str();
  load->add_flag("--all", arguments.all,
                 "A dump of all databases, into those that it names; new ones are made")
      ->excludes(database);
  load->add_option("--batch", arguments.batch, "Lines that are written at a time, all or none")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, kMaxBatchLines))
      ->capture_default_str();
  load->add_flag("--resume", arguments.resume, "Go on where an earlier load of the file was broken off");
  add_json(*load, arguments.json);
  load->callback([&arguments] { arguments.chosen = true; });
}

Result<std::string> run_load_command(const LoadArguments& arguments) {
  TM_ASSIGN(Lines lines, Lines::open(arguments.file));
  return Loader(arguments, std::move(lines)).run();
}

}  // namespace tidemark::tools
