// A call is routed, its token checked, its body parsed and checked against the limits, all on the network
// thread.
//
// A read runs there too, as long as what it needs is in memory and not much. When it says kWouldBlock, what
// it made is thrown away and all of it runs again on the read lane, where it may take its time: the second
// run sees one version of everything as well, only a newer one. Before that it says how large its answer may
// become, so that the caller can keep many such reads at once from filling the memory.
//
// A watch is a source of frames (watch_source.h).
// A database that is not open is opened first, on the read lane; the call, copied, waits for it.
//
// A write is laid out on the network thread and handed to the engine; its answer comes from the engine's
// thread.
#include "server/connect/service.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <optional>

#include "engine/base/hex.h"
#include "engine/base/mutant.h"
#include "server/connect/failure.h"
#include "server/connect/metadata.h"
#include "server/connect/watch_source.h"
#include "server/connect/wire.h"

namespace tidemark::connect {
namespace {

constexpr char kProtobuf[] = "application/x-protobuf";
constexpr char kOctetStream[] = "application/octet-stream";
constexpr int64_t kFaultLogPauseUs = 1'000'000;
// As long as a token of a view is good; each use begins it anew.
constexpr int64_t kViewLeaseUs = host::DataTokens::kViewLifetimeMs * 1000;
// Of a message around one entry, range, check or mutation: tags, lengths, enums, times. Generous.
constexpr uint64_t kFramingBytes = 64;

constexpr std::string_view kByName = "/db/";
constexpr std::string_view kById = "/databases/";
constexpr std::string_view kConnect = "/connect";

// What stands between `before` and `after` if that is one part of a path; else nothing.
std::optional<std::string_view> path_part(std::string_view path, std::string_view before,
                                          std::string_view after) {
  if (path.size() <= before.size() + after.size()) return std::nullopt;
  if (!path.starts_with(before) || !path.ends_with(after)) return std::nullopt;
  const std::string_view part = path.substr(before.size(), path.size() - before.size() - after.size());
  if (part.find('/') != part.npos) return std::nullopt;
  return part;
}

bool is_metadata_path(std::string_view path) {
  return path == "/" || path_part(path, kByName, "") || path_part(path, kById, kConnect);
}

// What a metadata URL names.
struct Target {
  std::optional<host::Uuid> database;  // if it is there
  std::optional<std::string> moment;   // behind an @, without the %-encoding
};

// %41 is A; what is not of that form stays.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool encoded =
        text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
    out.push_back(encoded ? static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]))
                          : text[i]);
    if (encoded) i += 2;
  }
  return out;
}

Target target_at(const host::Host& host, std::string_view path) {
  if (path == "/") return {host.id_of(host::kDefaultDatabaseName), {}};
  const std::optional<std::string_view> name = path_part(path, kByName, "");
  const std::optional<std::string_view> id = path_part(path, kById, kConnect);
  if (!name && !id) return {};
  const std::string part = percent_decoded(name ? *name : *id);
  const size_t at = part.find('@');
  const std::string_view before = std::string_view(part).substr(0, at);
  Target target;
  if (at != part.npos) target.moment = part.substr(at + 1);
  target.database = name ? host.id_of(before) : host::Uuid::from_text(before);
  if (!name && target.database && !host.exists(*target.database)) target.database.reset();
  return target;
}

Answer protobuf(std::string body) {
  return {200, kProtobuf, std::move(body)};
}

// What the answer to a read of so many entries can be at most.
uint64_t largest_answer_bytes(uint64_t entries, const kv::Limits& limits) {
  const uint64_t framing = entries * kFramingBytes;
  return framing + std::min<uint64_t>(entries * (limits.max_write_key_bytes + limits.max_value_bytes),
                                      limits.max_read_bytes);
}

}  // namespace

// Of a call that waits for its database to be opened.
struct Service::WaitingCall final : Carrier {
  WaitingCall(InFlight& in_flight, Route of, const Call& from, const host::DataClaims& by, Done then)
      : ticket(in_flight), route(of), call(from), body(from.body), claims(by), done(std::move(then)) {
    if (call.carrier != nullptr && route == Route::kWatch) wake = call.carrier->waker();
    // The rest has been looked at, or is not kept.
    call.method = call.path = call.authorization = call.host = call.database_id = call.protocol_version = {};
    call.body = body;
    call.carrier = this;
  }

  void reserve(uint64_t) override {}  // was done when it began to wait
  std::function<void()> waker() override { return wake; }

  InFlight::Ticket ticket;
  Route route;
  Call call;
  std::string body;
  host::DataClaims claims;
  std::function<void()> wake = [] {};
  Done done;
};

struct Service::ViewExchange {
  InFlight::Ticket ticket;
  std::shared_ptr<const host::Grant> grant;
  host::Uuid database_id;
  kv::MomentName moment;
  Metadata metadata;
  DatabaseRef database;  // once it is open
  Done done;
};

// Members are destroyed from the last to the first: the ticket goes when nothing of the call is left.
struct Service::PendingRead {
  InFlight::Ticket ticket;
  DatabaseRef database;
  std::optional<kv::PastView> past;
  pb::SnapshotRead message;  // was found within the limits
  Done done;
};

struct Service::PendingWrite final : kv::WriteRequest {
  PendingWrite(Service& of, DatabaseRef in, kv::WritePlan plan, Done then)
      : kv::WriteRequest(std::move(plan)),
        service(of),
        ticket(of.in_flight_),
        database(std::move(in)),
        then(std::move(then)) {}

  void answer(const CommitOutcome& outcome) override {
    service.finish_write(*this, outcome);
    delete this;
  }

  Service& service;
  InFlight::Ticket ticket;
  DatabaseRef database;
  Done then;
};

// Bodies may be some larger than the largest legal request, so that one that is only just too large is told
// so in the words of its limit.
Service::Service(host::Host& host, ServiceOptions options)
    : host_(host),
      options_(std::move(options)),
      max_read_body_bytes_(2 * host.limits().max_read_ranges *
                           (2 * host.limits().max_read_key_bytes + kFramingBytes)),
      max_write_body_bytes_(2 * host.limits().max_transaction_bytes +
                            2 * (host.limits().max_mutations + host.limits().max_checks) * kFramingBytes) {}

Service::~Service() = default;

int64_t Service::wait_until_idle(int64_t timeout_us) {
  return in_flight_.wait_for_none(host_.engine().clock(), timeout_us);
}

uint64_t Service::max_body_bytes(std::string_view method, std::string_view path) const {
  switch (route_of(method, path)) {
    case Route::kSnapshotRead:
    case Route::kWatch:
      return max_read_body_bytes_;
    case Route::kAtomicWrite:
      return max_write_body_bytes_;
    case Route::kMetadata:
    case Route::kNone:
      break;
  }
  return kMaxMetadataRequestBytes;
}

Service::Route Service::route_of(std::string_view method, std::string_view path) {
  if (method != "POST") return Route::kNone;
  if (is_metadata_path(path)) return Route::kMetadata;
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return Route::kNone;
  // A client that was told the root as its endpoint asks for "//snapshot_read".
  const std::string_view folder = path.substr(0, slash);
  if (folder != kEndpointPath && !folder.empty() && folder != "/") return Route::kNone;
  const std::string_view name = path.substr(slash + 1);
  if (name == "snapshot_read") return Route::kSnapshotRead;
  if (name == "atomic_write") return Route::kAtomicWrite;
  return name == "watch" ? Route::kWatch : Route::kNone;
}

void Service::handle(const Call& call, Done done) {
  const Route route = route_of(call.method, call.path);
  if (route == Route::kNone) return done(plain_text(TM_MUTANT("request.path") ? 500 : 404, text::kNotFound));
  if (route == Route::kMetadata) return exchange_metadata(call, done);
  std::optional<host::DataAccess> access = admit_data_call(call, done);
  if (!access) return;
  if (access->database) {
    return handle_admitted(route, call, access->claims, std::move(access->database), done);
  }
  open_and_handle(route, call, access->claims, done);
}

void Service::handle_admitted(Route route, const Call& call, const host::DataClaims& claims,
                              DatabaseRef database, Done& done) {
  if (route == Route::kAtomicWrite) {
    if (claims.rights == host::Rights::kReadOnly) return done(protobuf(write_disabled()));
    return atomic_write(call, std::move(database), done);
  }
  Result<std::optional<kv::PastView>> past = view_of(claims, database);
  if (!past) return done(view_failure(past.error()));
  switch (route) {
    case Route::kSnapshotRead:
      return snapshot_read(call, std::move(*past), std::move(database), done);
    case Route::kWatch:
      return watch(call, claims, std::move(*past), std::move(database), done);
    case Route::kAtomicWrite:
    case Route::kMetadata:
    case Route::kNone:
      break;
  }
}

Result<std::optional<kv::PastView>> Service::view_of(const host::DataClaims& claims,
                                                     DatabaseRef& database) const {
  if (claims.moment) {
    TM_ASSIGN(kv::PastView view, database->store().past_views().lease(*claims.moment, kViewLeaseUs));
    return view;
  }
  if (!host_.read_only()) return std::nullopt;
  const std::shared_ptr<const kv::PastView> checkout = database->checkout();
  if (checkout == nullptr) return std::nullopt;
  return *checkout;
}

void Service::open_and_handle(Route route, const Call& call, const host::DataClaims& claims, Done& done) {
  if (call.carrier != nullptr) {
    // It happens seldom, so what the answer needs is not measured.
    const auto entries = static_cast<uint64_t>(host_.limits().max_read_entries);
    const uint64_t answer = route == Route::kSnapshotRead ? largest_answer_bytes(entries, host_.limits()) : 0;
    call.carrier->reserve(call.body.size() + answer);
  }
  auto waiting = std::make_unique<WaitingCall>(in_flight_, route, call, claims, std::move(done));
  host_.open_database(claims.database,
                      [this, waiting = std::move(waiting)](const Result<DatabaseRef>& opened) {
                        finish_opening(*waiting, opened);
                      });
}

void Service::finish_opening(WaitingCall& waiting, const Result<DatabaseRef>& opened) {
  if (opened) return handle_admitted(waiting.route, waiting.call, waiting.claims, *opened, waiting.done);
  if (!host_.exists(waiting.claims.database)) return waiting.done(plain_text(404, text::kDatabaseDeleted));
  waiting.done(waiting.route == Route::kAtomicWrite ? write_failure(opened.error())
                                                    : read_failure(opened.error()));
}

void Service::exchange_metadata(const Call& call, Done& done) {
  const std::optional<std::string_view> token = bearer_token(call.authorization);
  if (!token) return done(plain_text(401, text::kMalformedAuthorization));
  const std::shared_ptr<const host::Grant> grant = host_.authenticate(*token);
  if (!grant) return done(plain_text(TM_MUTANT("auth.access-token") ? 400 : 401, text::kInvalidToken));
  // One answer for what is not there and for what this token does not open: it must not tell which.
  const Target target = target_at(host_, call.path);
  const std::optional<host::Uuid>& database = target.database;
  if (!database || !grant->opens(*database)) return done(plain_text(404, text::kNoDatabaseForToken));

  const Result<std::vector<int64_t>> offered = parse_metadata_request(call.body);
  if (!offered) return done(plain_text(400, offered.error().message));
  const ProtocolVersion* version = negotiate(*offered);
  if (version == nullptr && TM_MUTANT("metadata.unknown-version")) version = &kProtocolVersions[2];
  if (version == nullptr) return done(plain_text(400, text::kNoCommonVersion));

  std::string base = options_.public_url;
  if (base.empty() && version->absolute_urls && !TM_MUTANT("metadata.version-1")) {
    if (!is_plain_authority(call.host)) {
      return done(plain_text(400, "Protocol version 1 needs a Host header that names this server."));
    }
    base = (call.secure ? "https://" : "http://") + std::string(call.host);
  }
  Metadata metadata{version, database->text(), {}, 0, base + kEndpointPath};
  if (target.moment) {
    const std::optional<kv::MomentName> moment = kv::parse_moment(*target.moment);
    if (!moment) return done(plain_text(400, text::kNoMoment));
    return exchange_view(std::shared_ptr<ViewExchange>(
        new ViewExchange{InFlight::Ticket(in_flight_), grant, *database, *moment, std::move(metadata),
                         nullptr, std::move(done)}));
  }
  for (const std::string& url : options_.replica_urls) metadata.eventual_urls.push_back(url + kEndpointPath);
  const host::DataTokens::Issued issued = host_.issue(*grant, *database);
  metadata.token = issued.token;
  metadata.expires_at_ms = issued.expires_at_ms;
  done({200, "application/json", format_metadata(metadata)});
}

void Service::exchange_view(std::shared_ptr<ViewExchange> exchange) {
  host_.open_database(exchange->database_id, [this, exchange](const Result<DatabaseRef>& opened) {
    if (!opened) {
      const bool gone = !host_.exists(exchange->database_id);
      return exchange->done(gone ? plain_text(404, text::kNoDatabaseForToken) : read_failure(opened.error()));
    }
    exchange->database = *opened;
    host_.engine().executor().post(Lane::kRead, [this, exchange] {
      // Let go of before the ticket is: then nobody is left who uses the database.
      const DatabaseRef database = std::move(exchange->database);
      const int64_t wall_ms = host_.engine().clock().wall_us() / 1000;
      const Result<kv::Moment> moment = kv::resolve(database->database(), exchange->moment, wall_ms);
      if (!moment) return exchange->done(view_failure(moment.error()));
      const auto leased = database->store().past_views().lease(*moment, kViewLeaseUs);
      if (!leased) return exchange->done(view_failure(leased.error()));
      const host::DataTokens::Issued issued =
          host_.issue_view(*exchange->grant, exchange->database_id, *moment);
      exchange->metadata.token = issued.token;
      exchange->metadata.expires_at_ms = issued.expires_at_ms;
      exchange->done({200, "application/json", format_metadata(exchange->metadata)});
    });
  });
}

std::optional<host::DataAccess> Service::admit_data_call(const Call& call, Done& done) {
  const auto refuse = [&done](int status, const char* sentence) -> std::optional<host::DataAccess> {
    done(plain_text(status, sentence));
    return std::nullopt;
  };
  const std::optional<std::string_view> token = bearer_token(call.authorization);
  if (!token) return refuse(401, text::kMalformedAuthorization);
  std::optional<host::DataAccess> access = host_.admit(*token);
  if (!access) return refuse(TM_MUTANT("auth.data-token") ? 400 : 401, text::kInvalidToken);
  if (version_of_header(call.protocol_version) == nullptr && !TM_MUTANT("auth.version-header"))
    return refuse(400, text::kExpectedVersion);
  // The token opens one database, so whether another is there is none of the client's business.
  const bool usual =
      access->database && (call.database_id == access->database->id_text() || TM_MUTANT("auth.database-id"));
  if (!usual && host::Uuid::from_text(call.database_id) != access->claims.database) {
    return refuse(400, text::kInvalidDatabaseId);
  }
  if (!access->exists) return refuse(404, text::kDatabaseDeleted);
  return access;
}

void Service::snapshot_read(const Call& call, std::optional<kv::PastView> past, DatabaseRef database,
                            Done& done) {
  // Most requests name one key: all that their message allocates fits here.
  alignas(8) char memory[1024];
  google::protobuf::Arena arena(memory, sizeof memory);
  pb::SnapshotRead& message = *google::protobuf::Arena::CreateMessage<pb::SnapshotRead>(&arena);
  const Status parsed = parse_message(call.body, message);
  if (!parsed) return done(plain_text(400, parsed.error().message));
  const ReadRanges ranges = view_ranges(message);
  kv::Store& store = database->store();
  const Status legal = store.check_ranges(ranges);
  if (!legal) return done(plain_text(400, legal.error().message));

  if (host_.read_only() && TM_MUTANT("read-only.reads")) return done(plain_text(400, text::kNotFound));
  ReadAnswerWriter writer;
  const kv::ReadBounds bounds{true, options_.inline_read_steps, options_.inline_read_bytes};
  const Status read = store.read(ranges, bounds, writer, past ? &*past : nullptr);
  if (read) return done(protobuf(writer.finish()));
  if (read.error().code != ErrorCode::kWouldBlock) {
    log_fault("read", *database, read.error());
    return done(read_failure(read.error()));
  }
  if (call.carrier != nullptr) {
    uint64_t entries = 0;
    for (const kv::ReadRange& range : ranges) entries += static_cast<uint64_t>(range.limit);
    call.carrier->reserve(largest_answer_bytes(entries, store.limits()));
  }
  // Shared, since the executor copies its tasks.
  const std::shared_ptr<PendingRead> pending(new PendingRead{
      InFlight::Ticket(in_flight_), std::move(database), std::move(past), message, std::move(done)});
  host_.engine().executor().post(Lane::kRead, [this, pending] { finish_read(*pending); });
}

void Service::finish_read(PendingRead& read) {
  ReadAnswerWriter writer;
  const kv::Store& store = read.database->store();
  const kv::ReadBounds bounds{.max_bytes = store.limits().max_read_bytes};
  const Status status =
      store.read(view_ranges(read.message), bounds, writer, read.past ? &*read.past : nullptr);
  if (status) return read.done(protobuf(writer.finish()));
  // Nothing else can say so here, where the disk may be read.
  if (status.error().code == ErrorCode::kWouldBlock)
    return read.done(plain_text(400, kv::text::kReadTooLarge));
  log_fault("read", *read.database, status.error());
  read.done(read_failure(status.error()));
}

void Service::atomic_write(const Call& call, DatabaseRef database, Done& done) {
  pb::AtomicWrite message;
  const Status parsed = parse_message(call.body, message);
  if (!parsed) return done(plain_text(400, parsed.error().message));
  kv::Store& store = database->store();
  Result<kv::WritePlan> plan = store.plan(view_write(message));
  if (!plan) return done(plain_text(400, plan.error().message));
  if (host_.read_only() && TM_MUTANT("read-only.writes"))
    return done(plain_text(400, "This database is read only."));
  if (host_.read_only()) return done(protobuf(write_disabled()));
  if (host_.disk_state().full && !plan->only_deletes()) return done(store_full());
  // Deletes itself in answer(), which may run before submit() returns; so the reference is held here as well.
  store.submit(*new PendingWrite(*this, database, std::move(*plan), std::move(done)));
}

void Service::watch(const Call& call, const host::DataClaims& claims, std::optional<kv::PastView> past,
                    DatabaseRef database, Done& done) {
  pb::Watch message;
  const Status parsed = parse_message(call.body, message);
  if (!parsed) return done(plain_text(400, parsed.error().message));
  const kv::Limits& limits = database->store().limits();
  if (static_cast<size_t>(message.keys_size()) > limits.max_watched_keys) {
    return done(plain_text(400, kv::text::kTooManyWatchedKeys));
  }
  std::vector<std::string> keys;
  for (const pb::WatchKey& key : message.keys()) {
    if (key.key().size() > limits.max_read_key_bytes + TM_OFF_BY_ONE("limit.watched-key"))
      return done(plain_text(400, kv::text::kKeyTooLarge));
    keys.push_back(key.key());
  }
  auto good = [this, claims] { return host_.counts(claims); };
  auto failed = [this, database](const Error& error) { log_fault("watch", *database, error); };
  const kv::ReadBounds bounds{true, options_.inline_read_steps, options_.inline_read_bytes};
  Answer answer;
  answer.content_type = kOctetStream;
  answer.keep_alive = TM_MUTANT("watch.keep-alive") ? std::string_view() : kWatchKeepAlive;
  answer.source = std::make_shared<WatchSource>(
      in_flight_, std::move(database), std::move(past), std::move(keys), bounds, host_.engine().executor(),
      call.carrier != nullptr ? call.carrier->waker() : [] {}, std::move(good), std::move(failed));
  done(std::move(answer));
}

void Service::finish_write(PendingWrite& write, const CommitOutcome& outcome) {
  if (!outcome.status) {
    log_fault("write", *write.database, outcome.status.error());
    return write.then(write_failure(outcome.status.error()));
  }
  write.then(protobuf(outcome.committed ? write_success(outcome.versionstamp)
                                        : write_check_failure(write.failed_checks())));
}

void Service::log_fault(std::string_view what, const host::HostedDatabase& database, const Error& error) {
  if (!is_fault(error.code) || !options_.log) return;
  // A broken disk fails every request: one line a second of each kind tells as much.
  FaultLog& fault = fault_logs_[static_cast<size_t>(error.code)];
  const int64_t now_us = host_.engine().clock().monotonic_us();
  int64_t next_us = fault.next_us.load(std::memory_order_relaxed);
  if (now_us < next_us || !fault.next_us.compare_exchange_strong(next_us, now_us + kFaultLogPauseUs)) {
    fault.unsaid.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  std::string line = "a " + std::string(what) + " of database '" + database.name() +
                     "' failed: " + std::string(to_string(error.code)) + ": " + error.message;
  if (const uint64_t unsaid = fault.unsaid.exchange(0))
    line += " (and " + std::to_string(unsaid) + " more before it)";
  options_.log(LogLevel::kError, line);
}

}  // namespace tidemark::connect
