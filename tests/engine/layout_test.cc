// The parts of segment files, as format_test does for the others; and bit rot over a whole store: what is
// read is right or an error, never wrong.
#include "engine/format/filter.h"
#include "engine/format/segment_layout.h"
#include "tests/engine/watched_database.h"

namespace tidemark {
namespace {

TEST(segment_layout, headers_and_footers_are_read_back_and_any_flipped_bit_is_seen) {
  const std::string header = encode_segment_header({SegmentKind::kHistory, 42});
  EXPECT_EQ(decode_segment_header(header)->kind, SegmentKind::kHistory);
  EXPECT_EQ(decode_segment_header(header)->salt, 42u);
  const std::string footer = encode_segment_footer({{1, 2}, {3, 4}, {5, 6}}, 42);
  EXPECT_EQ(decode_segment_footer(footer, 42, 11)->properties.size, 6u);
  EXPECT_FALSE(decode_segment_footer(footer, 42, 10).has_value());
  EXPECT_FALSE(decode_segment_footer(footer, 43, 11).has_value());
  for (const std::string& whole : {header, footer}) {
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
      std::string flipped = whole;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      const bool taken = whole == header ? decode_segment_header(flipped).has_value()
                                         : decode_segment_footer(flipped, 42, 11).has_value();
      EXPECT_FALSE(taken) << bit;
    }
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(decode_segment_header(whole.substr(0, size)).has_value());
      EXPECT_FALSE(decode_segment_footer(whole.substr(0, size), 42, 11).has_value());
    }
  }
}

TEST(segment_layout, sealed_blocks_are_read_back_and_any_flipped_bit_is_seen) {
  Random random(3);
  std::string noise(300, '\0');
  for (char& c : noise) c = static_cast<char>(random.next());
  for (const std::string& raw : {std::string(), std::string("x"), std::string(500, 'a'), noise}) {
    for (const bool compress : {false, true}) {
      std::string out = "before";
      BlockCompressor compressor;
      const uint64_t size = seal_block(out, raw, compress ? &compressor : nullptr, 9, 4096);
      ASSERT_EQ(out.size(), 6 + size);
      const std::string sealed = out.substr(6);
      EXPECT_EQ(unseal_block(sealed, 9, 4096).value(), raw);
      EXPECT_FALSE(unseal_block(sealed, 9, 4097).has_value());
      EXPECT_FALSE(unseal_block(sealed, 8, 4096).has_value());
      for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        std::string flipped = sealed;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        ASSERT_FALSE(unseal_block(flipped, 9, 4096).has_value()) << bit;
      }
      for (size_t cut = 0; cut < sealed.size(); ++cut)
        ASSERT_FALSE(unseal_block(sealed.substr(0, cut), 9, 4096).has_value()) << cut;
    }
  }
}

// Whatever came before: it takes a block or two until it looks closely again.
TEST(segment_layout, a_block_that_gets_much_smaller_is_seen_to_behind_any_that_do_not) {
  Random random(4);
  std::string noise(4096, '\0'), text;
  for (char& c : noise) c = static_cast<char>(random.next());
  for (int i = 0; text.size() < noise.size(); ++i)
    text += "{\"user\":" + std::to_string(i * 7919) + ",\"name\":\"\"}";
  BlockCompressor compressor;
  std::string out;
  for (int misses = 0; misses < 100; ++misses) {
    for (int i = 0; i < misses; ++i) {
      ASSERT_FALSE(compressor.append(out, noise));
      ASSERT_EQ(out, "");
    }
    ASSERT_TRUE(compressor.append(out, text)) << misses;
    EXPECT_LT(out.size(), text.size() * 3 / 4);
    out.clear();
    ASSERT_TRUE(compressor.append(out, text));
    EXPECT_LT(out.size(), text.size() / 2);
    out.clear();
  }
}

TEST(segment_layout, the_index_finds_what_was_put_in) {
  for (const int count : {1, 2, 3, 100}) {
    SegmentIndexBuilder builder;
    const auto key = [](int i) {
      return "shared/" + std::to_string(10'000 + 2 * i) + (i % 3 == 0 ? "/tail" : "");
    };
    for (int i = 0; i < count; ++i) builder.add(key(i), {50, 0}, 100);
    const std::string bytes = builder.finish();
    const auto index = SegmentIndex::parse(bytes);
    ASSERT_TRUE(index.has_value());
    ASSERT_EQ(index->count(), static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      EXPECT_EQ(index->place(at).offset, kSegmentHeaderBytes + 100 * at);
      EXPECT_EQ(index->find(key(i), {50, 0}), at);
      EXPECT_EQ(index->find(key(i), Versionstamp::max()), at);
      EXPECT_EQ(index->find(key(i), {49, 0}), at + 1);
      EXPECT_EQ(index->find(key(i) + '\0', Versionstamp::max()), at + 1);
    }
    EXPECT_EQ(index->find("", Versionstamp::max()), 0u);
    EXPECT_EQ(index->find("t", Versionstamp::max()), static_cast<size_t>(count));
    Random random(11);
    for (size_t size = 0; size < bytes.size(); ++size)
      (void)SegmentIndex::parse(bytes.substr(0, size)).has_value();
    for (int i = 0; i < 3000; ++i) {
      std::string flipped = bytes;
      flipped[random.below(flipped.size())] = static_cast<char>(random.next());
      const auto parsed = SegmentIndex::parse(flipped);
      if (parsed) (void)parsed->find("shared/10050", {50, 0});
    }
  }
}

TEST(filter, says_no_to_most_and_never_to_what_was_added) {
  for (const size_t count : {size_t{1}, size_t{10}, size_t{5000}}) {
    std::vector<uint64_t> hashes;
    for (size_t i = 0; i < count; ++i) hashes.push_back(filter_hash("key/" + std::to_string(i)));
    const std::string filter = build_filter(hashes, 10);
    for (uint64_t hash : hashes) ASSERT_TRUE(filter_may_contain(filter, hash));
    int wrong = 0;
    for (int i = 0; i < 5000; ++i)
      wrong += filter_may_contain(filter, filter_hash("other/" + std::to_string(i)));
    EXPECT_LT(wrong, 5000 / 20);
    for (size_t size = 0; size < std::min<size_t>(filter.size(), 300); ++size)
      (void)filter_may_contain(filter.substr(0, size), hashes[0]);
  }
  EXPECT_TRUE(build_filter({}, 10).empty());
  EXPECT_TRUE(build_filter({1}, 0).empty());
  EXPECT_TRUE(filter_may_contain({}, 1));
  EXPECT_TRUE(filter_may_contain("short", 1));
}

class BitRotTest : public DatabaseTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(BitRotTest, gives_right_data_or_an_error) {
  DatabaseOptions options = small_options();
  open(options);
  std::vector<std::pair<Versionstamp, KeyValues>> states;
  KeyValues now;
  Random random(5);
  for (int i = 0; i < 700; ++i) {
    const std::string key = "key/" + std::to_string(random.below(60)),
                      value(random.below(150), static_cast<char>('a' + i % 26));
    const bool erases = random.one_in(5);
    const CommitOutcome outcome = erases ? erase(db(), key) : put(db(), key, value);
    ASSERT_TRUE(outcome.committed);
    if (erases)
      now.erase(key);
    else
      now[key] = value;
    states.emplace_back(outcome.versionstamp, now);
    if (i == 500) {
      ASSERT_TRUE(db().compact().has_value());
    }
  }
  database_.reset();
  const std::string copy = folder_ / "copy";
  std::string_view part = GetParam();
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "db")) {
    const std::string name = entry.path().filename();
    if (name.find(part) != std::string::npos && entry.file_size() > 0) names.push_back(name);
  }
  ASSERT_FALSE(names.empty());
  std::sort(names.begin(), names.end());
  int errors = 0;
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    copy_folder(folder_ / "db", copy);
    const std::string& name = names[random.below(names.size())];
    std::string bytes = read_bytes(copy + "/" + name);
    const uint64_t at = random.below(bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
    write_bytes(copy + "/" + name, bytes);
    SCOPED_TRACE(name + " flipped at " + std::to_string(at));
    auto opened = Database::open(*engine_, copy, options);
    if (!opened) {
      ++errors;
      // The version in CURRENT is looked at before the checksum, which a newer format may have elsewhere.
      EXPECT_TRUE(opened.error().code == ErrorCode::kCorruption ||
                  (name == "CURRENT" && at >= 8 && at < 12 && opened.error().code == ErrorCode::kNewerFormat))
          << opened.error().message;
      continue;
    }
    ASSERT_EQ((*opened)->head(), states.back().first);
    bool hurt = false;
    const auto compare = [&](const ReadView& view, const KeyValues& expected) {
      auto cursor = view.scan({});
      KeyValues seen;
      while (true) {
        auto more = cursor->next();
        if (!more) {
          EXPECT_EQ(more.error().code, ErrorCode::kCorruption) << more.error().message;
          EXPECT_NE(more.error().message.find(name), std::string::npos) << more.error().message;
          hurt = true;
          break;
        }
        if (!*more) {
          ASSERT_EQ(seen, expected);
          break;
        }
        const auto it = expected.find(std::string(cursor->key()));
        ASSERT_TRUE(it != expected.end() && it->second == cursor->value()) << cursor->key();
        seen[std::string(cursor->key())] = cursor->value();
      }
      for (int k = 0; k < 60; ++k) {
        const std::string key = "key/" + std::to_string(k);
        auto found = view.get(key);
        if (!found) {
          EXPECT_EQ(found.error().code, ErrorCode::kCorruption);
          hurt = true;
          continue;
        }
        const auto it = expected.find(key);
        ASSERT_EQ(found->has_value(), it != expected.end()) << key;
        if (*found) {
          ASSERT_EQ((*found)->bytes(), it->second);
        }
      }
    };
    compare(*(*opened)->read(), states.back().second);
    for (size_t s = random.below(40); s < states.size(); s += 70) {
      auto pinned = (*opened)->pin(states[s].first);
      ASSERT_TRUE(pinned.has_value());
      compare(*(*opened)->read(**pinned), states[s].second);
      if (HasFatalFailure()) return;
    }
    errors += hurt ? 1 : 0;
  }
  // Change files are read only to move the horizon.
  if (part != ".chg") {
    EXPECT_GT(errors, kRounds / 4);
  }
}

INSTANTIATE_TEST_SUITE_P(files, BitRotTest, ::testing::Values(".seg", ".wal", ".chg", "MANIFEST", "CURRENT"));

}  // namespace
}  // namespace tidemark
