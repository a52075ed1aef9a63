#include "tests/tools/metrics_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>

namespace tidemark::tools {
namespace {

// A histogram's samples belong to the family of the name without these.
std::string family_of(const std::string& name, const std::map<std::string, std::string>& types) {
  for (const std::string suffix : {"_bucket", "_count", "_sum"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string family = name.substr(0, name.size() - suffix.size());
    const auto type = types.find(family);
    if (type != types.end() && type->second == "histogram") return family;
  }
  return name;
}

}  // namespace

double MetricsText::value(const std::string& sample) const {
  const auto found = samples.find(sample);
  EXPECT_NE(found, samples.end()) << "there is no " << sample;
  return found == samples.end() ? -1 : found->second;
}

MetricsText parse_metrics(std::string_view text) {
  static const std::regex help(R"(# HELP ([a-z_]+) \S.*)");
  static const std::regex type(R"(# TYPE ([a-z_]+) (counter|gauge|histogram))");
  static const std::string label = R"([a-z_]+="[^"\\\n]*")";
  static const std::regex sample("([a-z_]+)(\\{(" + label + "(?:," + label + ")*)\\})? (\\S+)");
  static const std::regex bound(R"(,?le="([^"]*)\")");
  MetricsText out;
  std::set<std::string> helped;
  std::map<std::string, double> last_bucket;  // by series
  EXPECT_TRUE(text.ends_with('\n'));
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_match(line, match, help)) {
      EXPECT_TRUE(helped.insert(match[1]).second) << line;
    } else if (std::regex_match(line, match, type)) {
      EXPECT_TRUE(out.types.insert({match[1], match[2]}).second) << line;
    } else if (std::regex_match(line, match, sample)) {
      const std::string family = family_of(match[1], out.types);
      EXPECT_TRUE(out.types.contains(family) && helped.contains(family)) << line;
      EXPECT_TRUE(family.starts_with("tidemark_")) << line;
      EXPECT_EQ(match[1].str().ends_with("_total"), out.types[family] == "counter") << line;
      const std::string number = match[4];
      char* end = nullptr;
      const double value = std::strtod(number.c_str(), &end);
      EXPECT_TRUE(end != number.c_str() && *end == '\0' && value >= 0) << line;
      EXPECT_TRUE(out.samples.insert({match[1].str() + match[2].str(), value}).second) << line;
      const std::string series = family + std::regex_replace(match[2].str(), bound, "");
      if (match[1].str().ends_with("_bucket")) {
        EXPECT_GE(value, last_bucket[series]) << line;
        last_bucket[series] = value;
      }
    } else {
      ADD_FAILURE() << "not of the format: " << line;
    }
  }
  for (const auto& [name, value] : out.samples) {
    const size_t at = name.find("_bucket{");
    if (at == name.npos || name.find("le=\"+Inf\"") == name.npos) continue;
    std::string labels = std::regex_replace(name.substr(at + 7), bound, "");
    if (labels == "{}") labels.clear();
    EXPECT_EQ(out.value(name.substr(0, at) + "_count" + labels), value) << name;
  }
  return out;
}

}  // namespace tidemark::tools
