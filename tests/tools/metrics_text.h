// Prometheus' text format, read strictly and kept small.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace tidemark::tools {

struct MetricsText {
  std::map<std::string, double> samples;     // by name and labels, as written
  std::map<std::string, std::string> types;  // by name of the family

  // The value, failing the test if it is not there.
  double value(const std::string& sample) const;
};

// Fails the test for whatever is not of the format: unknown lines, samples without HELP and TYPE, families or
// samples that come twice, values that are no numbers, buckets that go down or do not end in the count.
MetricsText parse_metrics(std::string_view text);

}  // namespace tidemark::tools
