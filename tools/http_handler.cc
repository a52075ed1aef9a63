#include "tools/http_handler.h"

#include <memory>
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
  uint64_t bytes_in_making() const override { return pieces_->bytes_in_making(); }

 private:
  std::shared_ptr<connect::PieceSource> pieces_;
};

}  // namespace

void HttpHandler::handle(const http::Request& request, http::Responder responder) {
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
  service_.handle(call, [responder](connect::Answer answer) {
    http::Response response{answer.status, std::move(answer.content_type), std::move(answer.body)};
    if (answer.source) {
      response.source = std::make_shared<PiecesAsBody>(std::move(answer.source));
      response.keep_alive = answer.keep_alive;
    }
    responder.respond(std::move(response));
  });
}

}  // namespace tidemark::tools
