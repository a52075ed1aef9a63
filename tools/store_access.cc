// The store's lock decides: who gets it does the command itself; otherwise the holder is asked through its
// admin socket. It may be about to start or to end, or another command of this kind: then both are tried
// again for a while.
#include "tools/store_access.h"

#include <boost/json.hpp>
#include <cstdlib>

#include "engine/database.h"
#include "engine/io/clock.h"
#include "tools/admin.h"
#include "tools/admin_socket.h"
#include "tools/answer.h"
#include "tools/serve_command.h"
#include "tools/settings.h"

namespace tidemark::tools {
namespace {

constexpr int64_t kHolderWaitUs = 10'000'000;
constexpr int64_t kHolderPauseUs = 50'000;
constexpr uint64_t kBlockCacheBytes = uint64_t{8} << 20;

}  // namespace

std::string data_dir_of(const std::string& given) {
  if (!given.empty()) return given;
  const char* const from_environment = std::getenv(environment_name("data-dir").c_str());
  return from_environment != nullptr && *from_environment != 0 ? from_environment : ServeArguments().data_dir;
}

StoreAccess::StoreAccess(std::string data_dir, bool create_if_missing)
    : data_dir_(std::move(data_dir)), create_if_missing_(create_if_missing) {
  EngineOptions options;
  options.block_cache_bytes = kBlockCacheBytes;
  engine_ = Engine::create(options);
}

StoreAccess::~StoreAccess() {
  (void)close().has_value();
}

Result<std::string> StoreAccess::run(std::string_view command, std::string_view arguments, LineSink& lines) {
  host::HostOptions options;
  options.data_dir = data_dir_;
  options.create_if_missing = create_if_missing_;
  // How long history is kept is the server's to say: what is opened here for a moment loses nothing.
  options.database.retention = Retention::forever();
  options.open_at_start = 0;
  const int64_t deadline_us = engine_->clock().monotonic_us() + kHolderWaitUs;
  while (host_ == nullptr) {
    Result<std::unique_ptr<host::Host>> host = host::Host::open(*engine_, options);
    if (host) {
      host_ = std::move(*host);
      break;
    }
    if (host.error().code != ErrorCode::kLocked) return std::unexpected(std::move(host).error());
    Result<std::string> answer = ask_admin_server(data_dir_, command, arguments, lines);
    if (answer || answer.error().code != ErrorCode::kWouldBlock) return answer;
    if (engine_->clock().monotonic_us() >= deadline_us) {
      return fail(ErrorCode::kLocked, host.error().message + ", and its admin socket does not answer");
    }
    engine_->clock().sleep_us(kHolderPauseUs);
  }
  return Admin(*host_, "").run(command, arguments, lines);
}

Status StoreAccess::close() {
  if (host_ == nullptr) return {};
  const Status closed = host_->close();
  host_.reset();
  return closed;
}

Result<std::vector<std::string>> database_names(StoreAccess& store) {
  NoLines no_lines;
  TM_ASSIGN(const std::string answer, store.run("db.list", "{}", no_lines));
  TM_ASSIGN(const boost::json::object parsed, parse_answer(answer));
  std::vector<std::string> names;
  for (const boost::json::value& one : array_in(parsed, "databases")) {
    const boost::json::object* const database = one.if_object();
    if (database != nullptr && text_in(*database, "state") == "ready")
      names.push_back(text_in(*database, "name"));
  }
  return names;
}

}  // namespace tidemark::tools
