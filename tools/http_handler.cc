#include "tools/http_handler.h"

#include <string>
#include <utility>

namespace tidemark::tools {

void HttpHandler::handle(const http::Request& request, http::Responder responder) {
  const int64_t begun_us = parts_.clock->monotonic_us();
  if (parts_.pages->handle(request, responder, OperatorPages::Access::kWithToken)) return;
  const CallKind kind = call_kind(request.method, request.path);
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
  parts_.service->handle(call, [this, responder, kind, begun_us](connect::Answer answer) {
    finish(kind, begun_us, answer.status);
    responder.respond({answer.status, std::move(answer.content_type), std::move(answer.body)});
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
