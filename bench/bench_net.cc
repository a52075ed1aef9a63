// Drives a running server over one HTTP/2 connection.
//   bench_net write    64 writers against one writer, every write synced, in turns; prints commits per
//   second, the
//                      time of one commit, and the ratio
//   bench_net expire   many keys that expire in the same second, beside a client that reads and writes
//   bench_net prepare  writes entries, and leaves in a folder what h2load needs to read one of them (see
//   net.sh)
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "bench/h2_client.h"
#include "bench/kv_wire.h"
#include "bench/machine.h"
#include "bench/net_database.h"
#include "bench/net_expiry.h"
#include "bench/report.h"
#include "bench/workload.h"

namespace tidemark::bench {

namespace {

std::string hex(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

struct WriteTurn {
  double rate = 0;
  double median_ms = 0;
};

// `writers` writers, each sending its next write when the last was answered.
WriteTurn write_turn(H2Client& client, const Database& database, int writers, int64_t turn_ms,
                     uint64_t& next_id) {
  const std::string path = database.endpoint + "/atomic_write";
  Values values;
  std::vector<double> latencies_ms;
  const int64_t start_ns = now_ns();
  const int64_t deadline_ns = start_ns + turn_ms * 1'000'000;
  int64_t end_ns = start_ns;
  std::function<void()> send = [&] {
    const uint64_t id = next_id++;
    const int64_t sent_ns = now_ns();
    client.post(path, database.headers, atomic_set(kv_key({"bench", hex(mix(id))}), values.of(Key(id))),
                [&, sent_ns](H2Answer answer) {
                  if (answer.status != 200 || !write_succeeded(answer.body)) {
                    die("a write failed with status " + std::to_string(answer.status) + ": " + answer.body);
                  }
                  end_ns = now_ns();
                  latencies_ms.push_back(static_cast<double>(end_ns - sent_ns) * 1e-6);
                  if (end_ns < deadline_ns) {
                    send();
                  }
                });
  };
  for (int i = 0; i < writers; ++i) {
    send();
  }
  client.run();
  WriteTurn turn;
  turn.rate = static_cast<double>(latencies_ms.size()) * 1e9 / static_cast<double>(end_ns - start_ns);
  turn.median_ms = median(std::move(latencies_ms));
  return turn;
}

void write(const Target& target, int writers, int turns, int64_t turn_ms, const std::string& json) {
  H2Client client(target.host, target.port);
  const Database database = open_database(client, read_token(target.token_file));
  Report report;
  report.declare({"net_write", "commits/s", false, ""});
  report.declare({"net_write_time", "ms", true, ""});
  report.set_peers({"1_writer"});
  uint64_t next_id = static_cast<uint64_t>(now_ns());
  write_turn(client, database, writers, std::min<int64_t>(turn_ms, 200), next_id);
  for (int turn = 0; turn < turns; ++turn) {
    for (const int count : {1, writers}) {
      const WriteTurn result = write_turn(client, database, count, turn_ms, next_id);
      const std::string name = count == 1 ? "1_writer" : std::to_string(count) + "_writers";
      report.add("net_write", name, turn, result.rate);
      report.add("net_write_time", name, turn, result.median_ms);
    }
  }
  // What was answered must be there.
  const Key last(next_id - 1);
  const H2Answer answer = client.post_and_wait(database.endpoint + "/snapshot_read", database.headers,
                                               point_read(kv_key({"bench", hex(mix(next_id - 1))})));
  const auto value = single_value(answer.body);
  require(answer.status == 200 && value && value_matches(last.view(), *value),
          "the last write cannot be read back");
  report.print(stdout);
  if (!json.empty()) {
    report.write_json(json);
  }
}

void save(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
    die("cannot write " + path);
  }
}

void prepare(const Target& target, uint64_t entries, const std::string& out) {
  H2Client client(target.host, target.port);
  const Database database = open_database(client, read_token(target.token_file));
  Values values;
  for (uint64_t id = 0; id < entries;) {
    for (int i = 0; i < 64 && id < entries; ++i, ++id) {
      client.post(database.endpoint + "/atomic_write", database.headers,
                  atomic_set(kv_key({"bench", hex(mix(id))}), values.of(Key(id))), [](H2Answer answer) {
                    require(answer.status == 200 && write_succeeded(answer.body), "a write failed");
                  });
    }
    client.run();
  }
  const uint64_t id = entries / 2;
  const std::string read = point_read(kv_key({"bench", hex(mix(id))}));
  const H2Answer answer = client.post_and_wait(database.endpoint + "/snapshot_read", database.headers, read);
  const auto value = single_value(answer.body);
  require(answer.status == 200 && value && value_matches(Key(id).view(), *value),
          "a point read gave a wrong answer");
  std::string headers;
  for (const auto& [name, text] : database.headers) {
    headers += name + ": " + text + "\n";
  }
  make_folder(out);
  save(out + "/request", read);
  save(out + "/answer", answer.body);
  save(out + "/headers", headers);
  save(out + "/path", database.endpoint + "/snapshot_read\n");
}

int run(int argc, char** argv) {
  Target target;
  int writers = 64;
  int turns = 9;
  int64_t turn_ms = 700;
  uint64_t entries = 10'000;
  std::string out;
  std::string json;
  CLI::App app{"Benchmark of a running server over one HTTP/2 connection.", "bench_net"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--host", target.host)->capture_default_str();
  app.add_option("--port", target.port)->capture_default_str();
  app.add_option("--token-file", target.token_file, "file with the access token")->required();
  auto* write_command = app.add_subcommand("write", "many writers against one");
  write_command->add_option("--writers", writers)->check(CLI::Range(2, 1000))->capture_default_str();
  write_command->add_option("--turns", turns)->check(CLI::Range(1, 1000))->capture_default_str();
  write_command->add_option("--turn-ms", turn_ms)->check(CLI::Range(10, 600'000))->capture_default_str();
  write_command->add_option("--json", json, "write all samples to this file");
  auto* expire_command = app.add_subcommand("expire", "keys that expire all at once, beside another client");
  uint64_t keys = 1'000'000;
  expire_command->add_option("--keys", keys)->check(CLI::Range(1000, 100'000'000))->capture_default_str();
  auto* prepare_command = app.add_subcommand("prepare", "entries, and what h2load needs to read one");
  prepare_command->add_option("--entries", entries)->check(CLI::Range(1, 100'000'000))->capture_default_str();
  prepare_command->add_option("--out", out, "folder for the files request, answer, headers and path")
      ->required();
  CLI11_PARSE(app, argc, argv);
  if (write_command->parsed()) {
    write(target, writers, turns, turn_ms, json);
  } else if (expire_command->parsed()) {
    expire(target, keys);
  } else {
    prepare(target, entries, out);
  }
  return 0;
}

}  // namespace

}  // namespace tidemark::bench

int main(int argc, char** argv) {
  return tidemark::bench::run(argc, argv);
}
