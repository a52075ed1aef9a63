#include "tools/http_handler.h"

#include <memory>
#include <string>
#include <utility>

namespace tidemark::tools {
namespace {

class ResponderCarrier final : public connect::Carrier {
 public:
  explicit ResponderCarrier(const http::Responder& responder) : responder_(responder) {}
  void reserve(uint64_t bytes) override { responder_.reserve(bytes); }
  std::function<void()> waker() override { return responder_.waker(); }

 private:
  const http::Responder& responder_;
};

class PiecesAsBody final : public http::BodySource {
 public:
  explicit PiecesAsBody(std::shared_ptr<connect::PieceSource> pieces) : pieces_(std::move(pieces)) {}
  Next next(std::string& piece) override {
    switch (pieces_->next(piece)) {
      case connect::PieceSource::Next::kPiece:
        return Next::kPiece;
      case connect::PieceSource::Next::kNothing:
        return Next::kNothing;
      case connect::PieceSource::Next::kEnd:
        break;
    }
    return Next::kEnd;
  }

 private:
  std::shared_ptr<connect::PieceSource> pieces_;
};

}  // namespace

void HttpHandler::handle(const http::Request& request, http::Responder responder) {
  const int64_t begun_us = parts_.clock->monotonic_us();
  if (parts_.pages->handle(request, responder, OperatorPages::Access::kWithToken)) return;
  const CallKind kind = call_kind(request.method, request.path);
  ResponderCarrier carrier(responder);
  connect::Call call;
  call.method = request.method;
  call.path = request.path;
  call.authorization = request.authorization;
  call.host = request.host;
  call.database_id = request.database_id;
  call.protocol_version = request.protocol_version;
  call.secure = request.secure;
  call.body = request.body;
  call.carrier = &carrier;
  parts_.service->handle(call, [this, responder, kind, begun_us](connect::Answer answer) {
    finish(kind, begun_us, answer.status);
    http::Response response{answer.status, std::move(answer.content_type), std::move(answer.body)};
    if (answer.source) {
      response.source = std::make_shared<PiecesAsBody>(std::move(answer.source));
      response.keep_alive = answer.keep_alive;
    }
    responder.respond(std::move(response));
  });
}

void HttpHandler::finish(CallKind kind, int64_t begun_us, int status) {
  const int64_t took_us = parts_.clock->monotonic_us() - begun_us;
  parts_.metrics->count(kind, status, took_us);
  if (parts_.request_log) {
    parts_.request_log(LogLevel::kDebug, std::string(to_string(kind)) + " answered with " +
                                             std::to_string(status) + " after " + std::to_string(took_us) +
                                             " us");
  }
}

}  // namespace tidemark::tools
