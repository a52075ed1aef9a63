// One request to KV Connect and its answer, whatever carried them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tidemark::connect {

// Views are valid until Service::handle() returns. Headers that were not sent are empty.
struct Call {
  std::string_view method;
  std::string_view path;  // without query; starts with '/'
  std::string_view authorization;
  std::string_view host;              // Host or :authority
  std::string_view database_id;       // x-denokv-database-id, or version 1's x-transaction-domain-id
  std::string_view protocol_version;  // x-denokv-version
  bool secure = false;                // came over TLS
  std::string_view body;
  // Called at most once, before Service::handle() returns, if the answer comes later and may be large: at
  // most this many bytes. May be empty.
  std::function<void(uint64_t)> reserve;
};

struct Answer {
  int status = 200;
  std::string content_type;
  std::string body;
};

// Takes the answer, exactly once, on any thread; must not block.
using Done = std::move_only_function<void(Answer)>;

// A sentence for people, with the status that tells programs whether to try again.
Answer plain_text(int status, std::string sentence);

}  // namespace tidemark::connect
