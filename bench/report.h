// Collects samples (one per row, store and turn), compares them, prints the table and the JSON file.
//
// A ratio compares two samples of the same turn, taken seconds apart; what is printed is the median of those
// ratios, so that a slow quarter of an hour of a shared machine cancels out. Ratios above 1 mean "ahead",
// also where less is better.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidemark::bench {

double median(std::vector<double> values);

class Report {
 public:
  struct Row {
    std::string name;
    std::string unit;
    bool less_is_better = false;
    std::string floor;  // "row/store" that this row is also compared with; may be empty
  };

  // Rows are printed in the order in which they were declared, stores in the order of their first sample.
  void declare(Row row);
  // Stores whose best makes the other side of the ratio.
  void set_peers(std::vector<std::string> names) { peers_ = std::move(names); }
  // Facts about the run, printed above the table.
  void note(const std::string& name, const std::string& value) { notes_.emplace_back(name, value); }
  // `turn` is what the samples of different stores have in common.
  void add(const std::string& row, const std::string& store, int turn, double value);

  void print(std::FILE* out) const;
  // Ends the process if the file cannot be written.
  void write_json(const std::string& path) const;

 private:
  using Samples = std::map<int, double>;
  struct Line {
    std::string store;
    Samples samples;
  };
  struct Figures {
    double median = 0;
    double least = 0;
    double most = 0;
    std::optional<double> to_best_peer;
    std::optional<double> to_floor;
  };

  const Samples* find(const std::string& row, const std::string& store) const;
  Figures figures(const Row& row, const Line& line) const;

  std::vector<Row> rows_;
  std::map<std::string, std::vector<Line>> lines_;  // by row
  std::vector<std::string> peers_;
  std::vector<std::pair<std::string, std::string>> notes_;
};

}  // namespace tidemark::bench
