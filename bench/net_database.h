// A database on a running server, as bench_net finds it.
#pragma once

#include <string>

#include "bench/h2_client.h"

namespace tidemark::bench {

struct Target {
  std::string host = "127.0.0.1";
  std::string port = "4512";
  std::string token_file;
};

struct Database {
  std::string endpoint;  // path, without a slash at its end
  H2Client::Headers headers;
};

// Errors end the process.
std::string read_token(const std::string& path);
// The metadata exchange.
Database open_database(H2Client& client, const std::string& token);

}  // namespace tidemark::bench
