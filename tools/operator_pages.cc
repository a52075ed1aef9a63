#include "tools/operator_pages.h"

#include <memory>
#include <optional>
#include <string>

#include "server/connect/protocol.h"

namespace tidemark::tools {
namespace {

constexpr char kPlainText[] = "text/plain; charset=utf-8";
constexpr std::string_view kByDatabase = "/metrics/databases";
constexpr char kPrometheusText[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

bool OperatorPages::handle(const http::Request& request, const http::Responder& responder, Access access) {
  if (request.method != "GET") return false;
  if (request.path == "/healthz") {
    responder.respond({200, kPlainText, "ok"});
  } else if (request.path == "/readyz") {
    const std::string_view trouble = health_.trouble();
    responder.respond(
        {trouble.empty() ? 200 : 503, kPlainText, trouble.empty() ? "ok" : std::string(trouble)});
  } else if (request.path == "/metrics" || request.path == kByDatabase) {
    answer_metrics(request, responder, access);
  } else {
    return false;
  }
  return true;
}

// Gathering waits for locks and looks at files, so it leaves the network thread.
void OperatorPages::answer_metrics(const http::Request& request, const http::Responder& responder,
                                   Access access) {
  if (access == Access::kWithToken) {
    const std::optional<std::string_view> token = connect::bearer_token(request.authorization);
    if (!token) return responder.respond({401, kPlainText, connect::text::kMalformedAuthorization});
    const auto grant = host_.authenticate(*token);
    if (!grant || !grant->all_databases)
      return responder.respond({401, kPlainText, connect::text::kInvalidToken});
  }
  // Shared, since the executor copies its tasks.
  const auto ticket = std::make_shared<connect::InFlight::Ticket>(in_flight_);
  const bool by_database = request.path == kByDatabase;
  host_.engine().executor().post(Lane::kRead, [this, responder, ticket, by_database] {
    responder.respond({200, kPrometheusText, by_database ? metrics_.text_by_database() : metrics_.text()});
  });
}

void OperatorHandler::handle(const http::Request& request, http::Responder responder) {
  if (!pages_.handle(request, responder, OperatorPages::Access::kOpen))
    responder.respond({404, kPlainText, connect::text::kNotFound});
}

}  // namespace tidemark::tools
