// A Unix socket's path has at most 107 bytes, and data folders may lie deeper. So both sides open the folder
// and name the socket by /proc/self/fd/<its descriptor>/admin.sock.
//
// Whoever serves holds the store's lock, so a socket that is there when it starts belongs to nobody.
#include "tools/admin_socket.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

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
constexpr char kLines[] = "application/vnd.tidemark.lines";
// What the lines of such an answer begin with.
constexpr char kLineMark = ' ';
constexpr char kProgressMark = '%';
constexpr char kAnswerMark = '.';
constexpr char kErrorMark = '!';
constexpr size_t kLinesBytes = size_t{64} << 10;
constexpr std::chrono::milliseconds kLinesPause{50};
constexpr size_t kMaxSessions = 32;
constexpr uint64_t kMaxBodyBytes = uint64_t{64} << 20;
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

std::string error_json(const Error& error) {
  const std::string_view code = to_string(error.code);
  return boost::json::serialize(boost::json::object{
      {"code", boost::json::string_view(code.data(), code.size())}, {"message", error.message}});
}

// One connection: one request, one answer, on the thread that calls serve().
class Session {
 public:
  Session() : stream_(context_) { parser_.body_limit(kMaxBodyBytes); }

  Protocol::socket& socket() { return beast::get_lowest_layer(stream_).socket(); }

  void serve(Admin& admin, const std::atomic<bool>& stopping) {
    const error_code read = exchange([this](auto done) {
      http::async_read(stream_, buffer_, parser_, [done](error_code error, size_t) { done(error); });
    });
    if (read) return;
    const http::request<http::string_body>& request = parser_.get();
    const std::string_view target(request.target().data(), request.target().size());
    Lines lines(*this, stopping);
    Result<std::string> answer = fail(ErrorCode::kNotFound, "there is no such command");
    if (request.method() == http::verb::post && target.starts_with(kTargetPrefix))
      answer = admin.run(target.substr(sizeof kTargetPrefix - 1), request.body(), lines);
    if (lines.begun()) return lines.finish(answer);
    http::response<http::string_body> response;
    response.version(11);
    response.keep_alive(false);
    response.set(http::field::content_type, kJson);
    if (!answer) response.result(status_of(answer.error().code));
    response.body() = answer ? std::move(*answer) : error_json(answer.error());
    response.prepare_payload();
    exchange([&](auto done) {
      http::async_write(stream_, response, [done](error_code error, size_t) { done(error); });
    });
  }

 private:
  // Lines are gathered, but what has waited for a while is sent with the next one.
  class Lines final : public LineSink {
   public:
    Lines(Session& session, const std::atomic<bool>& stopping) : session_(session), stopping_(stopping) {}

    bool begun() const { return begun_; }
    Status line(std::string_view text) override { return put(kLineMark, text, false); }
    Status progress(std::string_view text) override { return put(kProgressMark, text, true); }
    void finish(const Result<std::string>& answer) {
      const Status put_last =
          answer ? put(kAnswerMark, *answer, true) : put(kErrorMark, error_json(answer.error()), true);
      if (put_last) (void)send(http::make_chunk_last()).has_value();
    }

   private:
    Status put(char mark, std::string_view text, bool now) {
      text_.push_back(mark);
      text_ += text;
      text_.push_back('\n');
      const auto time = std::chrono::steady_clock::now();
      if (!now && text_.size() < kLinesBytes && begun_ && time - sent_at_ < kLinesPause) return {};
      sent_at_ = time;
      if (stopping_.load(std::memory_order_relaxed) && mark != kErrorMark)
        return fail(ErrorCode::kShutdown, "the server is ending");
      if (!begun_) TM_TRY(begin());
      TM_TRY(send(http::make_chunk(asio::const_buffer(text_.data(), text_.size()))));
      text_.clear();
      return {};
    }

    Status begin() {
      begun_ = true;
      http::response<http::empty_body> response;
      response.version(11);
      response.keep_alive(false);
      response.set(http::field::content_type, kLines);
      response.chunked(true);
      http::response_serializer<http::empty_body> serializer(response);
      return told(session_.exchange([&](auto done) {
        http::async_write_header(session_.stream_, serializer,
                                 [done](error_code error, size_t) { done(error); });
      }));
    }

    template <class Buffers>
    Status send(const Buffers& buffers) {
      return told(session_.exchange([&](auto done) {
        asio::async_write(session_.stream_, buffers, [done](error_code error, size_t) { done(error); });
      }));
    }

    static Status told(error_code error) {
      if (!error) return {};
      return fail(ErrorCode::kShutdown, "whoever asked is gone: " + error.message());
    }

    Session& session_;
    const std::atomic<bool>& stopping_;
    std::string text_;
    std::chrono::steady_clock::time_point sent_at_;
    bool begun_ = false;
  };

  // Starts one operation, and waits for it.
  template <class Start>
  error_code exchange(Start&& start) {
    error_code result;
    stream_.expires_after(kExchangeTimeout);
    start([&result](error_code error) { result = error; });
    context_.restart();
    context_.run();
    return result;
  }

  asio::io_context context_{1};
  Stream stream_;
  beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
};

}  // namespace

struct AdminServer::Impl {
  Impl(host::Host& given, const std::string& data_dir, std::string base_url, const AdminParts& parts,
       LogSink sink)
      : host(given),
        admin(given, std::move(base_url), parts),
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
    const auto session = std::make_shared<Session>();
    acceptor.async_accept(session->socket(), [this, session](error_code error) {
      if (error == asio::error::operation_aborted) return;
      join_ended();
      if (!error && running.size() < kMaxSessions) {
        auto ended = std::make_shared<std::atomic<bool>>(false);
        running.push_back({std::thread([this, session, ended] {
                             session->serve(admin, stopping);
                             ended->store(true);
                           }),
                           ended});
        return accept();
      }
      // Too many, who may ask again; or out of descriptors, say.
      accept_pause.expires_after(kAcceptRetryPause);
      accept_pause.async_wait([this](error_code wait) {
        if (!wait) accept();
      });
    });
  }

  void join_ended() {
    std::erase_if(running, [](Running& one) {
      if (!one.ended->load()) return false;
      one.thread.join();
      return true;
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

  struct Running {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> ended;
  };

  host::Host& host;
  Admin admin;
  const LogSink log;
  const Folder folder;
  asio::io_context context{1};
  Protocol::acceptor acceptor;
  asio::steady_timer accept_pause;
  asio::steady_timer maintenance;
  std::atomic<bool> stopping{false};
  std::vector<Running> running;  // of the thread below
  std::thread thread;
};

Result<std::unique_ptr<AdminServer>> AdminServer::start(host::Host& host, const std::string& data_dir,
                                                        std::string base_url, const AdminParts& parts,
                                                        LogSink log) {
  auto impl = std::make_unique<Impl>(host, data_dir, std::move(base_url), parts, std::move(log));
  TM_TRY(impl->listen(data_dir));
  impl->accept();
  impl->maintain_later();
  impl->thread = std::thread([context = &impl->context] { context->run(); });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() {
  impl_->folder.remove_socket();
  impl_->stopping = true;
  impl_->context.stop();
  impl_->thread.join();
  for (Impl::Running& one : impl_->running) one.thread.join();
}

namespace {

// What error_json() made.
std::optional<Error> error_of(std::string_view text) {
  error_code error;
  const boost::json::value body = boost::json::parse({text.data(), text.size()}, error);
  const boost::json::object* object = error ? nullptr : body.if_object();
  const auto field = [object](const char* name) -> std::string {
    const boost::json::value* value = object == nullptr ? nullptr : object->if_contains(name);
    const boost::json::string* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? "" : std::string(*text);
  };
  std::string message = field("message");
  if (message.empty()) return std::nullopt;
  return Error{code_named(field("code")), std::move(message)};
}

// Takes the whole lines off `text`. Gives the command's outcome when it has come; an error if `lines` takes
// no more.
Result<std::optional<Result<std::string>>> take_lines(std::string& text, LineSink& lines) {
  size_t begin = 0;
  for (size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
    const std::string_view line(text.data() + begin, end - begin);
    const char mark = line.empty() ? '\0' : line.front();
    if (mark == kAnswerMark) return Result<std::string>(line.substr(1));
    if (mark == kErrorMark) {
      if (const std::optional<Error> error = error_of(line.substr(1)))
        return Result<std::string>(std::unexpected(*error));
    }
    if (mark == kLineMark) TM_TRY(lines.line(line.substr(1)));
    if (mark == kProgressMark) TM_TRY(lines.progress(line.substr(1)));
  }
  text.erase(0, begin);
  return std::nullopt;
}

}  // namespace

Result<std::string> ask_admin_server(const std::string& data_dir, std::string_view command,
                                     std::string_view arguments, LineSink& lines) {
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
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  const auto exchange = [&](auto&& start) {
    stream.expires_after(kAnswerTimeout);
    start([&error](error_code result, size_t) { error = result; });
    context.restart();
    context.run();
  };
  exchange([&](auto done) { http::async_write(stream, request, done); });
  if (!error) exchange([&](auto done) { http::async_read_header(stream, buffer, parser, done); });
  const bool in_lines = !error && parser.get()[http::field::content_type] == kLines;
  std::string body;  // of what has come: the part that is still to be looked at
  std::optional<Result<std::string>> answer;
  std::vector<char> piece(kLinesBytes);
  while (!error && !answer && !parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    exchange([&](auto done) { http::async_read_some(stream, buffer, parser, done); });
    if (error == http::error::need_buffer) error = {};
    body.append(piece.data(), piece.size() - parser.get().body().size);
    if (error || !in_lines) continue;
    TM_ASSIGN(answer, take_lines(body, lines));
  }
  if (error) {
    return socket_failure(data_dir, "the server gave no answer (" + error.message() +
                                        "), so the command may or may not have been done");
  }
  if (answer) return std::move(*answer);
  if (!in_lines && parser.get().result() == http::status::ok) return body;
  if (!in_lines) {
    if (const std::optional<Error> refused = error_of(body)) return std::unexpected(*refused);
  }
  return socket_failure(data_dir, "the server's answer makes no sense");
}

}  // namespace tidemark::tools
