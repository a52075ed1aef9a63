#include "tests/fuzz/server.h"

#include "server/kv/stored_value.h"
#include "server/kv/v8_number.h"

namespace tidemark::fuzz {
namespace {

constexpr char kData[] = "data";

host::HostOptions host_options() {
  host::HostOptions options;
  options.data_dir = kData;
  options.access_token = kAccessToken;
  options.database.memtable_bytes = 16 << 10;
  // So that limits can be met by small inputs.
  options.limits.max_write_key_bytes = 64;
  options.limits.max_read_key_bytes = 65;
  options.limits.max_value_bytes = 256;
  options.limits.max_transaction_bytes = 1024;
  options.limits.max_checks = 4;
  options.limits.max_mutations = 8;
  options.limits.max_read_ranges = 4;
  options.limits.max_read_entries = 64;
  return options;
}

std::unique_ptr<host::Host> open_host(Machine& machine) {
  auto host = host::Host::open(*machine.engine, host_options());
  TM_CHECK(host.has_value());
  machine.executor.run();
  return std::move(*host);
}

void close_host(Machine& machine, std::unique_ptr<host::Host>& host) {
  machine.executor.run_beside([&] { TM_CHECK(host->close().has_value()); });
  host.reset();
}

// Numbers, BigInts, text, LE64s and bytes; one that has expired, one that will.
void fill(kv::Store& store, PumpedExecutor& executor, int64_t now_ms) {
  struct Write final : kv::WriteRequest {
    using kv::WriteRequest::WriteRequest;
    void answer(const CommitOutcome& outcome) override { TM_CHECK(outcome.status && outcome.committed); }
  };
  const auto set = [&](std::string key, const std::string& data, kv::Encoding encoding,
                       int64_t expire_at_ms) {
    kv::AtomicWrite write;
    write.mutations.push_back({kv::MutationType::kSet, key,
                               kv::Mutation::Value{data, static_cast<int32_t>(encoding)}, expire_at_ms});
    auto plan = store.plan(write);
    TM_CHECK(plan.has_value());
    Write request(std::move(*plan));
    store.submit(request);
    executor.run();
  };
  using kv::Encoding;
  set("a", kv::encode_v8_number(1.5), Encoding::kV8, 0);
  set("b", kv::encode_v8_number(kv::BigIntView{true, "\x01\x02\x03"}), Encoding::kV8, 0);
  set("c", "\xff\x0f\"\x02hi", Encoding::kV8, 0);
  set("d", std::string("\xfe\xff\xff\xff\xff\xff\xff\xff", 8), Encoding::kLe64, 0);
  set("e", "bytes", Encoding::kBytes, 0);
  set("f", "gone", Encoding::kBytes, now_ms - 1);
  set("g", "going", Encoding::kBytes, now_ms + 1'000'000);
  set("", "of no key", Encoding::kBytes, 0);
}

const MemoryFileSystem& seed_data() {
  static const auto* const files = [] {
    Machine machine{MemoryFileSystem()};
    auto host = open_host(machine);
    fill(host->find(host::kDefaultDatabaseName)->store(), machine.executor, machine.clock.wall_ms());
    close_host(machine, host);
    return new MemoryFileSystem(machine.files);
  }();
  return *files;
}

}  // namespace

class Server::Carrier final : public connect::Carrier {
 public:
  explicit Carrier(int& wakes) : wakes_(wakes) {}
  void reserve(uint64_t bytes) override {
    TM_CHECK(std::exchange(reserved_, true) == false && bytes < uint64_t{1} << 30);
  }
  std::function<void()> waker() override {
    return [&wakes = wakes_] { ++wakes; };
  }

 private:
  int& wakes_;
  bool reserved_ = false;
};

Server::Server() : machine_(seed_data()), host_(open_host(machine_)) {
  service_ = std::make_unique<connect::Service>(*host_, connect::ServiceOptions());
  const host::Uuid id = *host_->id_of(host::kDefaultDatabaseName);
  database_id_ = id.text();
  authorization_ = "Bearer " + host_->issue(*host_->authenticate(kAccessToken), id).token;
}

Server::~Server() {
  TM_CHECK(service_->wait_until_idle(0) == 0);
  service_.reset();
  close_host(machine_, host_);
}

connect::Call Server::call(std::string_view path, std::string_view body) const {
  connect::Call call;
  call.method = "POST";
  call.path = path;
  call.authorization = authorization_;
  call.database_id = database_id_;
  call.protocol_version = "3";
  call.body = body;
  return call;
}

connect::Answer Server::post(std::string_view path, std::string_view body) {
  return answer(call(path, body));
}

connect::Answer Server::answer(connect::Call call) {
  Carrier carrier(wakes_);
  call.carrier = &carrier;
  std::optional<connect::Answer> answer;
  {
    // Gone when handle() returns, as promised to it.
    const Exact body(call.body);
    call.body = body.view();
    service_->handle(call, [&](connect::Answer given) {
      TM_CHECK(!answer.has_value());
      answer = std::move(given);
    });
  }
  machine_.executor.run();
  TM_CHECK(answer.has_value());
  return std::move(*answer);
}

Content Server::content() const {
  Content content;
  const auto view = host_->find(host::kDefaultDatabaseName)->database().read();
  const auto cursor = view->scan({});
  while (true) {
    const auto more = cursor->next();
    TM_CHECK(more.has_value());
    if (!*more) return content;
    content.emplace(cursor->key(), std::pair(std::string(cursor->value()), cursor->versionstamp()));
  }
}

void check_refusal(const connect::Answer& answer) {
  TM_CHECK(answer.status >= 400 && answer.status <= 499);
  TM_CHECK(answer.content_type.starts_with("text/plain") && !answer.body.empty() && answer.source == nullptr);
}

std::string some_key(Input& input) {
  const uint8_t form = input.u8();
  if (form < 16) return std::string(1, static_cast<char>('a' + form));
  if (form < 32) return {};
  if (form < 40) return std::string(58 + form % 10, 'k');  // about as long as allowed
  return std::string(input.bytes(form % 8));
}

std::string some_value(Input& input, int encoding) {
  const uint8_t form = input.u8();
  if (form >= 224) return std::string(input.text());
  if (form >= 216) return std::string(252 + form % 8, 'v');
  if (encoding == 2) return std::string(input.bytes(8)).append(8, '\0').substr(0, 8);
  if (encoding != 1) return std::string(input.bytes(form % 16));
  switch (form % 4) {
    case 0:
      return kv::encode_v8_number(std::bit_cast<double>(input.u64()));
    case 1:
      return kv::encode_v8_number(static_cast<double>(static_cast<int8_t>(input.u8())));
    case 2:
      return kv::encode_v8_number(kv::BigIntView{form % 8 == 2, input.bytes(form / 8)});
    default:
      return "\xff\x0f\"" + std::string(1, static_cast<char>(form % 16)) +
             std::string(input.bytes(form % 16));
  }
}

}  // namespace tidemark::fuzz
