#include "bench/net_expiry.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/kv_wire.h"
#include "bench/lone_client.h"
#include "bench/machine.h"
#include "bench/workload.h"

namespace tidemark::bench {
namespace {

constexpr uint64_t kKeysPerWrite = 1000;
constexpr uint64_t kWritesAtOnce = 16;
constexpr int64_t kQuietMs = 3000;

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

  LoneClient lone(client);
  while (wall_ms() < at_ms) lone.step(database);
  lone.report("before");
  const int64_t begun_ns = now_ns();
  do {
    for (int i = 0; i < 50; ++i) lone.step(database);
  } while (expired_keys(client, token) < expired_before + keys);
  const double seconds = static_cast<double>(now_ns() - begun_ns) * 1e-9;
  lone.report("during");
  std::printf("%llu keys that expired at once were deleted within %.2f s: %.0f keys/s\n",
              static_cast<unsigned long long>(keys), seconds, static_cast<double>(keys) / seconds);
}

}  // namespace tidemark::bench
