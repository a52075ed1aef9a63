// Metadata exchange, and who is let in, through the whole handler.
//
// First byte even: the parts are the body, the path and the Host header of a metadata exchange that bears the
// right token. Odd: they are body, path, method, authorization, database id and version of any call.
// Whoever has no right is refused; no call is answered by a fault.
#include "server/connect/metadata.h"

#include <boost/json.hpp>

#include "tests/fuzz/server.h"

namespace tidemark::fuzz {
namespace {

// Exactly the fields of the protocol.
void check_metadata(std::string_view body) {
  boost::json::error_code error;
  const boost::json::value json = boost::json::parse({body.data(), body.size()}, error);
  TM_CHECK(!error && json.is_object());
  const boost::json::object& object = json.get_object();
  TM_CHECK(object.size() == 5);
  const int64_t version = object.at("version").as_int64();
  TM_CHECK(version >= 1 && version <= 3);
  TM_CHECK(object.at("databaseId").as_string().size() == 36 && !object.at("token").as_string().empty());
  TM_CHECK(object.at("expiresAt").as_string().ends_with('Z') &&
           object.at("endpoints").as_array().size() == 1);
}

void check_versions(std::string_view body) {
  const Exact exact(body);
  const auto versions = connect::parse_metadata_request(exact.view());
  if (!versions)
    TM_CHECK(versions.error().code == ErrorCode::kInvalidArgument && !versions.error().message.empty());
  else
    TM_CHECK(versions->size() <= body.size() + 1);
}

}  // namespace
}  // namespace tidemark::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tidemark::fuzz;
  // Without the right token nothing is changed: one server does for all.
  static auto* const server = new Server();
  static const std::string right_token = std::string("Bearer ") + kAccessToken;
  Input input(data, size);
  const bool exchange = input.u8() % 2 == 0;
  std::vector<std::string_view> parts = split(input.rest());
  parts.resize(6);
  check_versions(parts[0]);

  tidemark::connect::Call call;
  call.method = "POST";
  call.body = parts[0];
  call.path = parts[1].empty() ? "/" : parts[1];
  if (exchange) {
    call.authorization = right_token;
    call.host = parts[2];
  } else {
    call.method = parts[2];
    call.authorization = parts[3];
    call.database_id = parts[4];
    call.protocol_version = parts[5];
  }
  const tidemark::connect::Answer answer = server->answer(call);
  if (answer.status != 200) {
    check_refusal(answer);
    return 0;
  }
  TM_CHECK(answer.content_type == "application/json");
  // The fuzzer may write the token itself, which is no secret here.
  TM_CHECK(exchange || call.authorization.ends_with(kAccessToken));
  check_metadata(answer.body);
  return 0;
}
