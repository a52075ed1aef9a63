#include "bench/report.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "bench/machine.h"

namespace tidemark::bench {

namespace {

double ratio(bool less_is_better, double own, double other) {
  return less_is_better ? (own > 0 ? other / own : 0) : (other > 0 ? own / other : 0);
}

// At most six digits: 1234567, 12345.6, 1.23457.
std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value >= 1e5 ? "%.0f" : "%.6g", value);
  return text;
}

std::string ratio_text(const std::optional<double>& value) {
  if (!value) {
    return "-";
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *value);
  return text;
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void Report::declare(Row row) {
  rows_.push_back(std::move(row));
}

void Report::add(const std::string& row, const std::string& store, int turn, double value) {
  auto& lines = lines_[row];
  auto line = std::find_if(lines.begin(), lines.end(), [&](const Line& l) { return l.store == store; });
  if (line == lines.end()) {
    line = lines.insert(lines.end(), Line{store, {}});
  }
  line->samples[turn] = value;
}

const Report::Samples* Report::find(const std::string& row, const std::string& store) const {
  const auto lines = lines_.find(row);
  if (lines != lines_.end()) {
    for (const Line& line : lines->second) {
      if (line.store == store) {
        return &line.samples;
      }
    }
  }
  return nullptr;
}

Report::Figures Report::figures(const Row& row, const Line& line) const {
  std::vector<const Samples*> peers;
  for (const auto& peer : peers_) {
    if (const Samples* samples = find(row.name, peer)) {
      peers.push_back(samples);
    }
  }
  const Samples* floor = nullptr;
  if (const size_t slash = row.floor.find('/'); slash != std::string::npos) {
    floor = find(row.floor.substr(0, slash), row.floor.substr(slash + 1));
  }
  std::vector<double> values;
  std::vector<double> to_peer;
  std::vector<double> to_floor;
  for (const auto& [turn, value] : line.samples) {
    values.push_back(value);
    std::optional<double> best;
    for (const Samples* samples : peers) {
      if (const auto other = samples->find(turn); other != samples->end()) {
        const double against = other->second;
        best = !best ? against : row.less_is_better ? std::min(*best, against) : std::max(*best, against);
      }
    }
    if (best) {
      to_peer.push_back(ratio(row.less_is_better, value, *best));
    }
    if (floor != nullptr) {
      if (const auto other = floor->find(turn); other != floor->end()) {
        to_floor.push_back(ratio(row.less_is_better, value, other->second));
      }
    }
  }
  Figures result;
  result.median = median(values);
  result.least = *std::min_element(values.begin(), values.end());
  result.most = *std::max_element(values.begin(), values.end());
  if (!to_peer.empty()) {
    result.to_best_peer = median(to_peer);
  }
  if (!to_floor.empty()) {
    result.to_floor = median(to_floor);
  }
  return result;
}

void Report::print(std::FILE* out) const {
  for (const auto& [name, value] : notes_) {
    std::fprintf(out, "%s: %s\n", name.c_str(), value.c_str());
  }
  std::fprintf(out, "\n%-38s %-10s %12s %12s %12s %6s %9s %9s\n", "row/store", "unit", "median", "least",
               "most", "turns", "ratio", "to floor");
  for (const Row& row : rows_) {
    const auto lines = lines_.find(row.name);
    if (lines == lines_.end()) {
      continue;
    }
    for (const Line& line : lines->second) {
      const Figures f = figures(row, line);
      std::fprintf(out, "%-38s %-10s %12s %12s %12s %6zu %9s %9s\n", (row.name + "/" + line.store).c_str(),
                   row.unit.c_str(), number(f.median).c_str(), number(f.least).c_str(),
                   number(f.most).c_str(), line.samples.size(), ratio_text(f.to_best_peer).c_str(),
                   ratio_text(f.to_floor).c_str());
    }
  }
  std::fflush(out);
}

void Report::write_json(const std::string& path) const {
  boost::json::object notes;
  for (const auto& [name, value] : notes_) {
    notes[name] = value;
  }
  boost::json::array rows;
  for (const Row& row : rows_) {
    const auto lines = lines_.find(row.name);
    if (lines == lines_.end()) {
      continue;
    }
    for (const Line& line : lines->second) {
      const Figures f = figures(row, line);
      boost::json::object item;
      item["row"] = row.name;
      item["store"] = line.store;
      item["unit"] = row.unit;
      item["less_is_better"] = row.less_is_better;
      item["median"] = f.median;
      if (f.to_best_peer) {
        item["ratio_to_best_peer"] = *f.to_best_peer;
      }
      if (f.to_floor) {
        item["ratio_to_floor"] = *f.to_floor;
      }
      boost::json::array samples;
      for (const auto& [turn, value] : line.samples) {
        samples.push_back(value);
      }
      item["samples"] = std::move(samples);
      rows.push_back(std::move(item));
    }
  }
  const std::string text =
      boost::json::serialize(boost::json::object{{"notes", std::move(notes)}, {"rows", std::move(rows)}}) +
      "\n";
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr || std::fwrite(text.data(), 1, text.size(), file) != text.size() ||
      std::fclose(file) != 0) {
    die("cannot write " + path);
  }
}

}  // namespace tidemark::bench
