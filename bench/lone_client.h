// A client that waits for each answer before its next call, and what that cost it.
#pragma once

#include <string>
#include <vector>

#include "bench/h2_client.h"
#include "bench/net_database.h"

namespace tidemark::bench {

class LoneClient {
 public:
  explicit LoneClient(H2Client& client) : client_(client) {}

  // A synced write and a read of its key.
  void step(const Database& database);
  // Prints what was timed since the last report.
  void report(const char* when);

 private:
  void timed(std::vector<double>& times_ms, const Database& database, const char* call, std::string body);

  H2Client& client_;
  std::vector<double> reads_ms_;
  std::vector<double> writes_ms_;
  uint64_t calls_ = 0;
};

}  // namespace tidemark::bench
