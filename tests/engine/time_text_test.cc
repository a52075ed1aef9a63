#include "engine/base/time_text.h"

#include <gtest/gtest.h>

namespace tidemark {
namespace {

TEST(TimeText, ThereAndBack) {
  for (const int64_t ms : {kFirstTextMs, int64_t{-1}, int64_t{0}, int64_t{951'782'399'999},
                           int64_t{951'782'400'000}, int64_t{1'715'000'000'123}, kLastTextMs}) {
    EXPECT_EQ(parse_time(format_time(ms)), ms) << format_time(ms);
  }
  EXPECT_EQ(format_time(kFirstTextMs), "0000-01-01T00:00:00.000Z");
  EXPECT_EQ(format_time(kLastTextMs), "9999-12-31T23:59:59.999Z");
}

TEST(TimeText, OtherSpellings) {
  const int64_t noon = 1'709'208'000'000;  // 2024-02-29T12:00:00Z
  for (const char* text :
       {"2024-02-29T12:00:00Z", "2024-02-29t12:00:00z", "2024-02-29 12:00:00Z", "2024-02-29T12:00:00.0Z",
        "2024-02-29T12:00:00.000999999Z", "2024-02-29T13:30:00+01:30", "2024-02-28T23:00:00-13:00"}) {
    EXPECT_EQ(parse_time(text), noon) << text;
  }
  EXPECT_EQ(parse_time("2024-02-29T12:00:00.5Z"), noon + 500);
  EXPECT_EQ(parse_time("2024-02-29T12:00:00.012345Z"), noon + 12);
}

TEST(TimeText, NoTimes) {
  for (const char* text :
       {"", "2024-02-29", "2024-02-29T12:00:00", "2023-02-29T12:00:00Z", "2024-13-01T12:00:00Z",
        "2024-02-29T24:00:00Z", "2024-02-29T12:60:00Z", "2024-02-29T12:00:60Z", "2024-02-29T12:00:00.Z",
        "2024-02-29T12:00:00.1234567890Z", "2024-02-29T12:00:00+24:00", "2024-02-29T12:00:00+0100",
        "2024-02-29T12:00:00ZZ", " 2024-02-29T12:00:00Z", "+024-02-29T12:00:00Z", "2024-02-29T12:00:00+1:00",
        "2024-2-29T12:00:00Z", "1709208000000"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tidemark
