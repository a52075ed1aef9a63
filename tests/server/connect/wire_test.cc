// Our hand-written answers, read back by protobuf's own classes.
#include "server/connect/wire.h"

#include <gtest/gtest.h>

#include "engine/base/random.h"

namespace tidemark::connect {
namespace {

template <class Message>
Message read_back(const std::string& bytes) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  return message;
}

Versionstamp stamp_of(uint64_t number) {
  return {number, 0};
}

TEST(ReadAnswer, NoRangesAndEmptyRanges) {
  ReadAnswerWriter writer;
  auto answer = read_back<pb::SnapshotReadOutput>(writer.finish());
  EXPECT_EQ(answer.ranges_size(), 0);
  EXPECT_TRUE(answer.read_is_strongly_consistent());
  EXPECT_FALSE(answer.read_disabled());
  EXPECT_EQ(answer.status(), pb::SR_SUCCESS);
  for (int i = 0; i < 3; ++i) {
    writer.begin_range();
    writer.end_range();
  }
  answer = read_back<pb::SnapshotReadOutput>(writer.finish());
  EXPECT_EQ(answer.ranges_size(), 3);
  for (const auto& range : answer.ranges()) EXPECT_EQ(range.values_size(), 0);
}

TEST(ReadAnswer, EqualsWhatProtobufWrites) {
  // Sizes around every length of a varint, so that each count of length bytes occurs.
  Random random(1);
  for (const size_t value_size : {0, 1, 90, 91, 92, 93, 94, 95, 100, 127, 128, 16300, 16350, 16384, 65536}) {
    for (const int entries : {1, 3, 40}) {
      ReadAnswerWriter writer;
      pb::SnapshotReadOutput expected;
      for (int range = 0; range < 2; ++range) {
        writer.begin_range();
        pb::ReadRangeOutput* out = expected.add_ranges();
        for (int i = 0; i < entries; ++i) {
          const std::string key(1 + random.below(200), static_cast<char>('a' + i % 26));
          const std::string data(value_size, static_cast<char>(i));
          const kv::StoredValue value{static_cast<kv::Encoding>(1 + i % 3), 0, data};
          const Versionstamp stamp = stamp_of(random.next());
          writer.entry(key, value, stamp);
          pb::KvEntry* entry = out->add_values();
          entry->set_key(key);
          entry->set_value(data);
          entry->set_encoding(static_cast<pb::ValueEncoding>(value.encoding));
          const auto bytes = stamp.bytes();
          entry->set_versionstamp(bytes.data(), bytes.size());
        }
        writer.end_range();
      }
      expected.set_read_is_strongly_consistent(true);
      expected.set_status(pb::SR_SUCCESS);
      const auto answer = read_back<pb::SnapshotReadOutput>(writer.finish());
      EXPECT_EQ(answer.SerializeAsString(), expected.SerializeAsString());
    }
  }
}

TEST(WriteAnswer, ReadsBack) {
  auto answer = read_back<pb::AtomicWriteOutput>(write_success({0x0102030405060708, 9}));
  EXPECT_EQ(answer.status(), pb::AW_SUCCESS);
  EXPECT_EQ(answer.versionstamp(), std::string("\1\2\3\4\5\6\7\10\0\11", 10));
  EXPECT_EQ(answer.failed_checks_size(), 0);

  const std::vector<uint32_t> failed = {0, 1, 99, 300};
  answer = read_back<pb::AtomicWriteOutput>(write_check_failure(failed));
  EXPECT_EQ(answer.status(), pb::AW_CHECK_FAILURE);
  EXPECT_EQ(std::vector<uint32_t>(answer.failed_checks().begin(), answer.failed_checks().end()), failed);
  EXPECT_EQ(answer.versionstamp(), "");

  EXPECT_EQ(read_back<pb::AtomicWriteOutput>(write_disabled()).status(), pb::AW_WRITE_DISABLED);
}

TEST(Requests, ViewsShowEveryField) {
  pb::AtomicWrite message;
  auto* check = message.add_checks();
  check->set_key("ck");
  check->set_versionstamp("0123456789");
  auto* mutation = message.add_mutations();
  mutation->set_key("mk");
  mutation->set_mutation_type(pb::M_SET_SUFFIX_VERSIONSTAMPED_KEY);
  mutation->mutable_value()->set_data("data");
  mutation->mutable_value()->set_encoding(pb::VE_LE64);
  mutation->set_expire_at_ms(-7);
  message.add_mutations()->set_mutation_type(static_cast<pb::MutationType>(77));
  message.add_enqueues();
  const kv::AtomicWrite write = view_write(message);
  ASSERT_EQ(write.checks.size(), 1u);
  EXPECT_EQ(write.checks[0].key, "ck");
  EXPECT_EQ(write.checks[0].versionstamp, "0123456789");
  ASSERT_EQ(write.mutations.size(), 2u);
  EXPECT_EQ(write.mutations[0].type, kv::MutationType::kSetSuffixVersionstampedKey);
  EXPECT_EQ(write.mutations[0].key, "mk");
  EXPECT_EQ(write.mutations[0].value->data, "data");
  EXPECT_EQ(write.mutations[0].value->encoding, 2);
  EXPECT_EQ(write.mutations[0].expire_at_ms, -7);
  EXPECT_EQ(static_cast<int>(write.mutations[1].type), 77);
  EXPECT_FALSE(write.mutations[1].value);
  EXPECT_EQ(write.enqueues.size(), 1u);
}

TEST(Requests, NotSuchAMessage) {
  pb::SnapshotRead message;
  const std::string cases[] = {"\x0a",
                               "\x0a\x05"
                               "abc",
                               "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                               std::string(1, '\0'),
                               "\x0a\xff\xff\xff\xff\x0f",
                               "\x0b\x0b\x0b"};
  for (const std::string& bytes : cases) {
    const Status parsed = parse_message(bytes, message);
    ASSERT_FALSE(parsed.has_value()) << ::testing::PrintToString(bytes);
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(parsed.error().message.starts_with("Request protobuf is invalid: "));
  }
}

TEST(Requests, DeepGroupsEnd) {
  pb::SnapshotRead message;
  EXPECT_FALSE(parse_message(std::string(1 << 20, '\x0b'), message).has_value());
}

TEST(Requests, UnknownFieldsAreIgnored) {
  pb::SnapshotRead message;
  EXPECT_TRUE(parse_message(std::string("\x0a\x03\x0a\x01"
                                        "k"
                                        "\xa2\x06\x02hi\x98\x06\x05",
                                        13),
                            message)
                  .has_value());
  ASSERT_EQ(message.ranges_size(), 1);
  EXPECT_EQ(message.ranges(0).start(), "k");
}

}  // namespace
}  // namespace tidemark::connect
