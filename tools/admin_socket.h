// The admin socket of a store that is being served: a Unix socket in the data folder, for its owner only.
//
// HTTP/1.1, one request per connection: POST /v1/<command of admin.h> with the arguments as JSON. 200 and
// JSON if the command succeeded; else a 4xx or 5xx and {"code", "message"}, the code one of
// to_string(ErrorCode). A command that gives lines is answered as they come, with 200 and the content type
// application/vnd.tidemark.lines; the first character of each line says what it is: ' ' a line of the
// command, '%' how far it is, at last '.' with the answer's JSON, or '!' with {"code", "message"}.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/log.h"
#include "engine/base/status.h"
#include "tools/admin.h"

namespace tidemark::tools {

inline constexpr char kAdminSocketName[] = "admin.sock";

// Serves the socket, and has the store maintained once a minute. One thread waits, and each command has one
// of its own.
class AdminServer {
 public:
  // Replaces a socket that an earlier server left behind. REQUIRES: `host` holds the store in `data_dir`, and
  // outlives it.
  static Result<std::unique_ptr<AdminServer>> start(host::Host& host, const std::string& data_dir,
                                                    std::string base_url, const AdminParts& parts,
                                                    LogSink log);
  // Finishes the commands under way (those that give lines give up), and removes the socket.
  ~AdminServer();

 private:
  struct Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Asks the server of the store in `data_dir`. kWouldBlock if nobody answers there; otherwise what Admin::run
// gives. When `lines` takes no more, the command is given up, with its error.
Result<std::string> ask_admin_server(const std::string& data_dir, std::string_view command,
                                     std::string_view arguments, LineSink& lines);

}  // namespace tidemark::tools
