#include "bench/lone_client.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "bench/kv_wire.h"
#include "bench/machine.h"

namespace tidemark::bench {
namespace {

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

void print_times(const char* when, const char* what, std::vector<double> times_ms) {
  require(!times_ms.empty(), "the lone client did nothing");
  std::sort(times_ms.begin(), times_ms.end());
  std::printf("%-8s %-7s %8zu calls   p50 %7.3f ms   p99 %7.3f ms   most %7.3f ms\n", when, what,
              times_ms.size(), percentile(times_ms, 0.5), percentile(times_ms, 0.99), times_ms.back());
}

}  // namespace

void LoneClient::step(const Database& database) {
  const std::string key = kv_key({"lone", std::to_string(calls_ % 1000)});
  timed(writes_ms_, database, "/atomic_write", atomic_set(key, "value"));
  timed(reads_ms_, database, "/snapshot_read", point_read(key));
  ++calls_;
}

void LoneClient::report(const char* when) {
  print_times(when, "reads", std::exchange(reads_ms_, {}));
  print_times(when, "writes", std::exchange(writes_ms_, {}));
}

void LoneClient::timed(std::vector<double>& times_ms, const Database& database, const char* call,
                       std::string body) {
  const int64_t begun_ns = now_ns();
  const H2Answer answer = client_.post_and_wait(database.endpoint + call, database.headers, std::move(body));
  times_ms.push_back(static_cast<double>(now_ns() - begun_ns) * 1e-6);
  require(answer.status == 200, "a call of the lone client failed");
}

}  // namespace tidemark::bench
