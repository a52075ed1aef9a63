// A Unix socket's path has at most 107 bytes, and data folders may lie deeper. So both sides open the folder
// and name the socket by /proc/self/fd/<its descriptor>/admin.sock.
//
// Whoever serves holds the store's lock, so a socket that is there when it starts belongs to nobody.
#include "tools/admin_socket.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

namespace tidemark::tools {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Protocol = asio::local::stream_protocol;
using Stream = beast::basic_stream<Protocol>;

constexpr char kTargetPrefix[] = "/v1/";
constexpr char kJson[] = "application/json";
constexpr uint64_t kMaxBodyBytes = uint64_t{1} << 20;
constexpr std::chrono::seconds kExchangeTimeout{30};
// A command may wait for a large folder to be removed.
constexpr std::chrono::minutes kAnswerTimeout{10};
constexpr std::chrono::minutes kMaintenancePause{1};
constexpr std::chrono::milliseconds kAcceptRetryPause{100};

std::unexpected<Error> socket_failure(const std::string& data_dir, const std::string& why) {
  return fail(ErrorCode::kIo, "the admin socket " + data_dir + "/" + kAdminSocketName + ": " + why);
}

class Folder {
 public:
  explicit Folder(const std::string& path)
      : fd_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), error_(fd_ < 0 ? errno : 0) {}
  ~Folder() {
    if (fd_ >= 0) ::close(fd_);
  }
  Folder(const Folder&) = delete;
  bool is_open() const { return fd_ >= 0; }
  std::string why_not() const { return std::generic_category().message(error_); }
  std::string socket_path() const { return "/proc/self/fd/" + std::to_string(fd_) + "/" + kAdminSocketName; }
  void remove_socket() const { ::unlinkat(fd_, kAdminSocketName, 0); }

 private:
  const int fd_;
  const int error_;
};

http::status status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return http::status::bad_request;
    case ErrorCode::kNotFound:
      return http::status::not_found;
    case ErrorCode::kLocked:
      return http::status::conflict;
    default:
      return http::status::internal_server_error;
  }
}

ErrorCode code_named(std::string_view name) {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(ErrorCode::kShutdown); ++i) {
    if (to_string(static_cast<ErrorCode>(i)) == name) return static_cast<ErrorCode>(i);
  }
  return ErrorCode::kIo;
}

http::response<http::string_body> respond(Admin& admin, const http::request<http::string_body>& request) {
  const std::string_view target(request.target().data(), request.target().size());
  Result<std::string> answer = fail(ErrorCode::kNotFound, "there is no such command");
  if (request.method() == http::verb::post && target.starts_with(kTargetPrefix)) {
    answer = admin.run(target.substr(sizeof kTargetPrefix - 1), request.body());
  }
  http::response<http::string_body> response;
  response.version(11);
  response.keep_alive(false);
  response.set(http::field::content_type, kJson);
  if (answer) {
    response.body() = std::move(*answer);
  } else {
    response.result(status_of(answer.error().code));
    const std::string_view code = to_string(answer.error().code);
    response.body() = boost::json::serialize(boost::json::object{
        {"code", boost::json::string_view(code.data(), code.size())}, {"message", answer.error().message}});
  }
  response.prepare_payload();
  return response;
}

// One connection: one request, one answer.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Protocol::socket socket, Admin& admin) : stream_(std::move(socket)), admin_(admin) {
    parser_.body_limit(kMaxBodyBytes);
  }

  void run() {
    stream_.expires_after(kExchangeTimeout);
    http::async_read(stream_, buffer_, parser_, [self = shared_from_this()](error_code error, size_t) {
      if (!error) self->answer();
    });
  }

 private:
  void answer() {
    response_ = respond(admin_, parser_.get());
    stream_.expires_after(kExchangeTimeout);
    http::async_write(stream_, response_, [self = shared_from_this()](error_code, size_t) {});
  }

  Stream stream_;
  Admin& admin_;
  beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

struct AdminServer::Impl {
  Impl(host::Host& given, const std::string& data_dir, std::string base_url, LogSink sink)
      : host(given),
        admin(given, std::move(base_url)),
        log(std::move(sink)),
        folder(data_dir),
        acceptor(context),
        accept_pause(context),
        maintenance(context) {}

  Status listen(const std::string& data_dir) {
    if (!folder.is_open()) return socket_failure(data_dir, folder.why_not());
    folder.remove_socket();
    error_code error;
    acceptor.open(Protocol(), error);
    // Linux gives the file that bind() makes the mode that the socket has.
    if (!error && ::fchmod(acceptor.native_handle(), 0600) != 0) {
      error.assign(errno, boost::system::system_category());
    }
    if (!error) acceptor.bind(Protocol::endpoint(folder.socket_path()), error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return socket_failure(data_dir, error.message());
    return {};
  }

  void accept() {
    acceptor.async_accept([this](error_code error, Protocol::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        std::make_shared<Session>(std::move(socket), admin)->run();
        return accept();
      }
      // Out of descriptors, say.
      accept_pause.expires_after(kAcceptRetryPause);
      accept_pause.async_wait([this](error_code ended) {
        if (!ended) accept();
      });
    });
  }

  void maintain_later() {
    maintenance.expires_after(kMaintenancePause);
    maintenance.async_wait([this](error_code ended) {
      if (ended) return;
      host.maintain();
      maintain_later();
    });
  }

  host::Host& host;
  Admin admin;
  const LogSink log;
  const Folder folder;
  asio::io_context context{1};
  Protocol::acceptor acceptor;
  asio::steady_timer accept_pause;
  asio::steady_timer maintenance;
  std::thread thread;
};

Result<std::unique_ptr<AdminServer>> AdminServer::start(host::Host& host, const std::string& data_dir,
                                                        std::string base_url, LogSink log) {
  auto impl = std::make_unique<Impl>(host, data_dir, std::move(base_url), std::move(log));
  TM_TRY(impl->listen(data_dir));
  impl->accept();
  impl->maintain_later();
  impl->thread = std::thread([context = &impl->context] { context->run(); });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() {
  impl_->folder.remove_socket();
  impl_->context.stop();
  impl_->thread.join();
}

Result<std::string> ask_admin_server(const std::string& data_dir, std::string_view command,
                                     std::string_view arguments) {
  const Folder folder(data_dir);
  if (!folder.is_open()) return socket_failure(data_dir, folder.why_not());
  asio::io_context context{1};
  Stream stream(context);
  error_code error;
  stream.socket().connect(Protocol::endpoint(folder.socket_path()), error);
  if (error == boost::system::errc::no_such_file_or_directory ||
      error == boost::system::errc::connection_refused) {
    return fail(ErrorCode::kWouldBlock, "nobody serves the admin socket of " + data_dir);
  }
  if (error) return socket_failure(data_dir, error.message());

  http::request<http::string_body> request;
  request.method(http::verb::post);
  request.target(kTargetPrefix + std::string(command));
  request.version(11);
  request.set(http::field::host, "localhost");
  request.set(http::field::content_type, kJson);
  request.keep_alive(false);
  request.body() = arguments;
  request.prepare_payload();
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  stream.expires_after(kAnswerTimeout);
  http::async_write(stream, request, [&](error_code written, size_t) {
    error = written;
    if (error) return;
    http::async_read(stream, buffer, parser, [&](error_code read, size_t) { error = read; });
  });
  context.run();
  if (error) {
    return socket_failure(data_dir, "the server gave no answer (" + error.message() +
                                        "), so the command may or may not have been done");
  }
  http::response<http::string_body> response = parser.release();
  if (response.result() == http::status::ok) return std::move(response.body());
  const boost::json::value body = boost::json::parse(response.body(), error);
  const boost::json::object* object = error ? nullptr : body.if_object();
  const auto field = [object](const char* name) -> std::string {
    const boost::json::value* value = object == nullptr ? nullptr : object->if_contains(name);
    const boost::json::string* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? "" : std::string(*text);
  };
  const std::string message = field("message");
  if (message.empty()) return socket_failure(data_dir, "the server's answer makes no sense");
  return fail(code_named(field("code")), message);
}

}  // namespace tidemark::tools
