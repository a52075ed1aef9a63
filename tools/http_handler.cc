#include "tools/http_handler.h"

#include <utility>

namespace tidemark::tools {

void HttpHandler::handle(const http::Request& request, http::Responder responder) {
  connect::Call call;
  call.method = request.method;
  call.path = request.path;
  call.authorization = request.authorization;
  call.host = request.host;
  call.database_id = request.database_id;
  call.protocol_version = request.protocol_version;
  call.secure = request.secure;
  call.body = request.body;
  call.reserve = [&responder](uint64_t bytes) { responder.reserve(bytes); };
  service_.handle(call, [responder](connect::Answer answer) {
    responder.respond({answer.status, std::move(answer.content_type), std::move(answer.body)});
  });
}

}  // namespace tidemark::tools
