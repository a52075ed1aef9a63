// A store as `tidemark serve` holds it, with its admin socket.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/database.h"
#include "server/host/host.h"
#include "tools/admin_socket.h"

namespace tidemark::tools {

inline constexpr char kServedUrl[] = "http://kv.example.org:4512";

class Served {
 public:
  explicit Served(const std::string& data_dir, host::HostOptions options = {})
      : data_dir_(data_dir), engine_(Engine::create({}, {})) {
    options.data_dir = data_dir;
    options.access_token = "the token of the test";
    auto host = host::Host::open(*engine_, options);
    EXPECT_TRUE(host.has_value()) << host.error().message;
    if (host) host_ = std::move(*host);
  }
  void start() {
    auto server = AdminServer::start(*host_, data_dir_, kServedUrl, {}, {});
    ASSERT_TRUE(server.has_value()) << server.error().message;
    server_ = std::move(*server);
  }
  host::Host& host() { return *host_; }

 private:
  const std::string data_dir_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<host::Host> host_;
  std::unique_ptr<AdminServer> server_;
};

}  // namespace tidemark::tools
