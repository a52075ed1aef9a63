// Everything that is measured, as Prometheus reads it.
#pragma once

#include <functional>
#include <string>

#include "server/host/host.h"
#include "server/http/options.h"
#include "tools/health.h"
#include "tools/request_metrics.h"

namespace tidemark::tools {

// What GET /metrics tells, summed over all databases. Any thread.
class Metrics {
 public:
  struct Sources {
    host::Host* host;
    const Health* health;
    const RequestMetrics* requests;
    std::function<http::Counters()> listener;  // of the main port
    std::string data_dir;
  };
  // All that `sources` names must outlive it.
  explicit Metrics(Sources sources) : sources_(std::move(sources)) {}

  // Prometheus' text format 0.0.4. Looks at each file's size, and may wait for a manifest to be written.
  std::string text() const;

 private:
  const Sources sources_;
};

}  // namespace tidemark::tools
