// A whole server but for its network: a host with one database on files in memory, and the service that
// answers calls from it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/connect/service.h"
#include "server/connect/wire.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/store.h"

namespace tidemark::fuzz {

inline constexpr char kAccessToken[] = "the token of the fuzzer";

// All entries of a database as the engine has them: values and versionstamps by key.
using Content = std::map<std::string, std::pair<std::string, Versionstamp>>;

class Server {
 public:
  // With the entries that every server begins with.
  Server();
  ~Server();

  // Makes a call that the database's own token lets in, and runs all that it sets off.
  connect::Answer post(std::string_view path, std::string_view body);
  connect::Answer answer(connect::Call call);
  // With headers that let it in.
  connect::Call call(std::string_view path, std::string_view body) const;

  Content content() const;
  Database& database() { return host_->find(host::kDefaultDatabaseName)->database(); }
  const kv::Limits& limits() const { return host_->limits(); }
  int64_t now_ms() { return machine_.clock.wall_ms(); }
  Machine& machine() { return machine_; }
  // How often a source of an answer was said to have news.
  int wakes() const { return wakes_; }

 private:
  class Carrier;

  Machine machine_;
  std::unique_ptr<host::Host> host_;
  std::unique_ptr<connect::Service> service_;
  std::string database_id_, authorization_;
  int wakes_ = 0;
};

// What an answer may be that refuses a call: nothing that would make a client try it for ever, and a
// sentence.
void check_refusal(const connect::Answer& answer);

// Keys that requests made from an input name, among them those that every server begins with.
std::string some_key(Input& input);
// Values of all encodings: 1 V8, 2 LE64, 3 bytes; mostly of the form that their encoding wants.
std::string some_value(Input& input, int encoding);

}  // namespace tidemark::fuzz
