// Moments as people write them, in time zones with and without summer time.
#include "tools/moment_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "engine/base/time_text.h"

namespace tidemark::tools {
namespace {

class MomentTextTest : public ::testing::Test {
 protected:
  void SetUp() override { zone("Europe/Berlin"); }
  void TearDown() override {
    ::unsetenv("TZ");
    ::tzset();
  }
  static void zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  std::string of(std::string_view text) {
    const auto moment = everywhere_moment(text, *parse_time(now_));
    return moment ? *moment : "error: " + moment.error().message;
  }

  std::string now_ = "2026-11-21T14:46:30.000Z";
};

TEST_F(MomentTextTest, what_means_the_same_everywhere_stays) {
  EXPECT_EQ(of("01060a24181e7ba00000"), "01060a24181e7ba00000");
  EXPECT_EQ(of("2026-11-21T14:31:00Z"), "2026-11-21T14:31:00Z");
  EXPECT_EQ(of("2026-11-21T15:31:00+01:00"), "2026-11-21T15:31:00+01:00");
}

TEST_F(MomentTextTest, relative_and_local_times) {
  EXPECT_EQ(of("now"), now_);
  EXPECT_EQ(of("15m ago"), "2026-11-21T14:31:30.000Z");
  EXPECT_EQ(of("2h ago"), "2026-11-21T12:46:30.000Z");
  EXPECT_EQ(of("1w ago"), "2026-11-14T14:46:30.000Z");
  EXPECT_EQ(of("2026-11-21 15:31"), "2026-11-21T14:31:00.000Z");
  EXPECT_EQ(of("2026-11-21T15:31:05"), "2026-11-21T14:31:05.000Z");
  EXPECT_EQ(of("2026-11-21 15:31:05.25"), "2026-11-21T14:31:05.250Z");
  EXPECT_EQ(of("2026-07-21 15:31"), "2026-07-21T13:31:00.000Z");
  EXPECT_EQ(of("today 15:31"), "2026-11-21T14:31:00.000Z");
  EXPECT_EQ(of("yesterday 15:31"), "2026-11-20T14:31:00.000Z");
  // Here it is already the next day.
  now_ = "2026-11-21T23:30:00.000Z";
  EXPECT_EQ(of("today 00:10"), "2026-11-21T23:10:00.000Z");
  EXPECT_EQ(of("yesterday 00:10"), "2026-11-20T23:10:00.000Z");
  zone("America/New_York");
  EXPECT_EQ(of("today 00:10"), "2026-11-21T05:10:00.000Z");
}

TEST_F(MomentTextTest, across_summer_time) {
  // Forward on 29 March 2026 at 02:00, back on 25 October at 03:00.
  EXPECT_EQ(of("2026-03-29 01:59"), "2026-03-29T00:59:00.000Z");
  EXPECT_NE(of("2026-03-29 02:30").find("never was here"), std::string::npos);
  EXPECT_EQ(of("2026-03-29 03:00"), "2026-03-29T01:00:00.000Z");
  EXPECT_EQ(of("2026-10-25 01:59"), "2026-10-24T23:59:00.000Z");
  const std::string twice = of("2026-10-25 02:30");
  EXPECT_NE(twice.find("2026-10-25T00:30:00.000Z or 2026-10-25T01:30:00.000Z"), std::string::npos) << twice;
  EXPECT_EQ(of("2026-10-25 03:00"), "2026-10-25T02:00:00.000Z");
  now_ = "2026-03-29T12:00:00.000Z";
  EXPECT_EQ(of("yesterday 12:00"), "2026-03-28T11:00:00.000Z");
  EXPECT_EQ(of("today 12:00"), "2026-03-29T10:00:00.000Z");
}

TEST_F(MomentTextTest, everything_else_is_refused_in_one_line) {
  for (const char* text : {"",
                           " ",
                           "14:31",
                           "yesterday",
                           "yesterday 25:00",
                           "tomorrow 14:31",
                           "2026-11-21",
                           "2026-02-29 10:00",
                           "2026-13-01 10:00",
                           "2026-11-21 14:31 ",
                           "2026-11-21 14:61",
                           "2026-11-21 14:31:5",
                           "2026-11-21 14:31:05.",
                           "2026-11-21 14:31:05.1234",
                           " ago",
                           "15 ago",
                           "-15m ago",
                           "15x ago",
                           "0106",
                           "zz060a24181e7ba00000",
                           "latest",
                           "2026-11-21T14:31:00+1"}) {
    const std::string told = of(text);
    EXPECT_TRUE(told.starts_with("error: ")) << text << ": " << told;
    EXPECT_EQ(told.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace tidemark::tools
