#include "bench/net_expiry.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/kv_wire.h"
#include "bench/machine.h"
#include "bench/workload.h"

namespace tidemark::bench {
namespace {

constexpr uint64_t kKeysPerWrite = 1000;
constexpr uint64_t kWritesAtOnce = 16;
constexpr int64_t kQuietMs = 3000;

double percentile(std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

void print_times(const char* when, const char* what, std::vector<double> times_ms) {
  require(!times_ms.empty(), "the lone client did nothing");
  std::sort(times_ms.begin(), times_ms.end());
  std::printf("%-8s %-7s %8zu calls   p50 %7.3f ms   p99 %7.3f ms   most %7.3f ms\n", when, what,
              times_ms.size(), percentile(times_ms, 0.5), percentile(times_ms, 0.99), times_ms.back());
}

// One that waits for each answer before its next call.
class LoneClient {
 public:
  LoneClient(H2Client& client, const Database& database) : client_(client), database_(database) {}

  void step() {
    const std::string key = kv_key({"lone", std::to_string(calls_ % 1000)});
    timed(writes_ms_, "/atomic_write", atomic_set(key, "value"));
    timed(reads_ms_, "/snapshot_read", point_read(key));
    ++calls_;
  }
  // What was timed since the last report.
  void report(const char* when) {
    print_times(when, "reads", std::exchange(reads_ms_, {}));
    print_times(when, "writes", std::exchange(writes_ms_, {}));
  }

 private:
  void timed(std::vector<double>& times_ms, const char* call, std::string body) {
    const int64_t begun_ns = now_ns();
    const H2Answer answer =
        client_.post_and_wait(database_.endpoint + call, database_.headers, std::move(body));
    times_ms.push_back(static_cast<double>(now_ns() - begun_ns) * 1e-6);
    require(answer.status == 200, "a call of the lone client failed");
  }

  H2Client& client_;
  const Database& database_;
  std::vector<double> reads_ms_;
  std::vector<double> writes_ms_;
  uint64_t calls_ = 0;
};

uint64_t expired_keys(H2Client& client, const std::string& token) {
  const H2Answer answer = client.get_and_wait("/metrics", {{"authorization", "Bearer " + token}});
  require(answer.status == 200, "the server gives no metrics");
  const std::string name = "\ntidemark_expired_keys_total ";
  const size_t at = answer.body.find(name);
  require(at != std::string::npos, "the metrics lack tidemark_expired_keys_total");
  return std::strtoull(answer.body.c_str() + at + name.size(), nullptr, 10);
}

}  // namespace

void expire(const Target& target, uint64_t keys) {
  const std::string token = read_token(target.token_file);
  H2Client client(target.host, target.port);
  const Database database = open_database(client, token);
  const uint64_t expired_before = expired_keys(client, token);

  // How long loading takes is not known before: the time is right if it turns out to be enough.
  const int64_t at_ms = wall_ms() + static_cast<int64_t>(keys / 20) + 2 * kQuietMs;
  uint64_t next = 0;
  while (next < keys) {
    for (uint64_t i = 0; i < kWritesAtOnce && next < keys; ++i) {
      std::vector<std::string> names;
      for (uint64_t k = 0; k < kKeysPerWrite && next < keys; ++k, ++next)
        names.push_back(kv_key({"expiring", std::to_string(mix(next))}));
      client.post(database.endpoint + "/atomic_write", database.headers, atomic_sets(names, "value", at_ms),
                  [](H2Answer answer) {
                    require(answer.status == 200 && write_succeeded(answer.body), "a write failed");
                  });
    }
    client.run();
  }
  if (wall_ms() > at_ms - kQuietMs) die("loading took longer than expected; try fewer keys");

  LoneClient lone(client, database);
  while (wall_ms() < at_ms) lone.step();
  lone.report("before");
  const int64_t begun_ns = now_ns();
  do {
    for (int i = 0; i < 50; ++i) lone.step();
  } while (expired_keys(client, token) < expired_before + keys);
  const double seconds = static_cast<double>(now_ns() - begun_ns) * 1e-9;
  lone.report("during");
  std::printf("%llu keys that expired at once were deleted within %.2f s: %.0f keys/s\n",
              static_cast<unsigned long long>(keys), seconds, static_cast<double>(keys) / seconds);
}

}  // namespace tidemark::bench
