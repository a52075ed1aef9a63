#include "bench/net_database.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <fstream>

#include "bench/machine.h"

namespace tidemark::bench {

std::string read_token(const std::string& path) {
  std::ifstream file(path);
  std::string token;
  if (!(file >> token)) {
    die("cannot read a token from " + path);
  }
  return token;
}

Database open_database(H2Client& client, const std::string& token) {
  const H2Answer answer =
      client.post_and_wait("/", {{"authorization", "Bearer " + token}, {"content-type", "application/json"}},
                           R"({"supportedVersions":[1,2,3]})");
  if (answer.status != 200) {
    die("metadata exchange: status " + std::to_string(answer.status) + ": " + answer.body);
  }
  boost::system::error_code error;
  const boost::json::value metadata = boost::json::parse(answer.body, error);
  require(!error && metadata.is_object(), "metadata exchange: the answer is not JSON");
  const auto text = [&](const char* pointer) -> std::string {
    boost::system::error_code missing;
    const boost::json::value* found = metadata.find_pointer(pointer, missing);
    if (found == nullptr || !found->is_string()) {
      die(std::string("metadata exchange: the answer lacks ") + pointer);
    }
    return found->as_string().c_str();
  };
  Database database;
  database.endpoint = text("/endpoints/0/url");
  if (const size_t scheme = database.endpoint.find("://"); scheme != std::string::npos) {
    const size_t slash = database.endpoint.find('/', scheme + 3);
    database.endpoint = slash == std::string::npos ? "" : database.endpoint.substr(slash);
  }
  database.headers = {{"authorization", "Bearer " + text("/token")},
                      {"x-denokv-database-id", text("/databaseId")},
                      {"x-denokv-version", "3"}};
  return database;
}

}  // namespace tidemark::bench
