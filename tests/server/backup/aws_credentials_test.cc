#include "server/backup/aws_credentials.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"

namespace tidemark::backup {
namespace {

class AwsCredentialsTest : public testing::Test {
 protected:
  AwsCredentialsTest() {
    EXPECT_TRUE(files_.create_dir("home").has_value());
    EXPECT_TRUE(files_.create_dir("home/.aws").has_value());
  }

  Result<Credentials> read() {
    auto provider = aws_credentials(environment(), files_, clock_);
    if (!provider) return std::unexpected(provider.error());
    return (*provider)->get();
  }
  void expect_denied(std::string_view part) {
    const auto credentials = read();
    ASSERT_FALSE(credentials.has_value());
    EXPECT_EQ(credentials.error().code, ErrorCode::kDenied);
    EXPECT_NE(credentials.error().message.find(part), std::string::npos) << credentials.error().message;
  }
  Environment environment() {
    return [this](std::string_view name) -> std::optional<std::string> {
      const auto place = variables_.find(std::string(name));
      if (place == variables_.end()) return std::nullopt;
      return place->second;
    };
  }
  std::optional<std::string> region() {
    const auto region = aws_region(environment(), files_);
    EXPECT_TRUE(region.has_value()) << region.error().message;
    return region.value_or(std::nullopt);
  }
  void write_credentials(std::string_view text) { files_.put("home/.aws/credentials", text); }
  void write_config(std::string_view text) { files_.put("home/.aws/config", text); }

  std::map<std::string, std::string> variables_ = {{"HOME", "home"}};
  MemoryFileSystem files_;
  FakeClock clock_;
};

TEST_F(AwsCredentialsTest, EnvironmentComesFirst) {
  write_credentials("[default]\naws_access_key_id=F\naws_secret_access_key=G\n");
  variables_["AWS_ACCESS_KEY_ID"] = "A";
  variables_["AWS_SECRET_ACCESS_KEY"] = "B";
  EXPECT_EQ(read().value(), (Credentials{"A", "B", ""}));
  variables_["AWS_SESSION_TOKEN"] = "C";
  EXPECT_EQ(read().value(), (Credentials{"A", "B", "C"}));
  variables_.erase("AWS_ACCESS_KEY_ID");
  expect_denied("AWS_SECRET_ACCESS_KEY is set, but not AWS_ACCESS_KEY_ID");
  variables_ = {{"AWS_ACCESS_KEY_ID", "A"}};
  expect_denied("AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY");
  // Empty is as good as not set.
  variables_ = {{"HOME", "home"}, {"AWS_ACCESS_KEY_ID", ""}, {"AWS_SECRET_ACCESS_KEY", ""}};
  EXPECT_EQ(read().value(), (Credentials{"F", "G", ""}));
}

TEST_F(AwsCredentialsTest, Profiles) {
  write_credentials(
      "# a comment\n"
      "; another\r\n"
      "\n"
      "[default]\r\n"
      "aws_access_key_id = ID1\r\n"
      "AWS_Secret_Access_Key = secret/1+=  \r\n"
      "s3 =\n"
      "  max_concurrent_requests = 20\n"
      "\t[not a section\n"
      "[ other ]\n"
      "aws_access_key_id=ID2 # of the other\n"
      "aws_secret_access_key=secret#2\n"
      "aws_session_token=token=2==");
  EXPECT_EQ(read().value(), (Credentials{"ID1", "secret/1+=", ""}));
  variables_["AWS_PROFILE"] = "other";
  EXPECT_EQ(read().value(), (Credentials{"ID2", "secret#2", "token=2=="}));
  variables_["AWS_PROFILE"] = "third";
  expect_denied("give the profile third an access key in home/.aws/credentials and home/.aws/config");
}

TEST_F(AwsCredentialsTest, OtherFiles) {
  variables_ = {{"AWS_SHARED_CREDENTIALS_FILE", "keys"}};
  expect_denied("in keys");
  files_.put("keys", "[default]\naws_access_key_id=A\naws_secret_access_key=B\n");
  EXPECT_EQ(read().value(), (Credentials{"A", "B", ""}));
  // The other file may have them, too.
  variables_ = {{"AWS_CONFIG_FILE", "config"}, {"AWS_PROFILE", "p"}};
  files_.put("config", "[profile  p]\naws_access_key_id=C\naws_secret_access_key=D\n");
  EXPECT_EQ(read().value(), (Credentials{"C", "D", ""}));
  variables_ = {};
  expect_denied("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
}

TEST_F(AwsCredentialsTest, SaysWhatIsWrongWhere) {
  write_credentials("[default]\naws_access_key_id=A\naws_secret_access_key\n");
  expect_denied("home/.aws/credentials:3: this is neither");
  write_credentials("\n[default\n");
  expect_denied("home/.aws/credentials:2: a section's name");
  write_credentials("aws_access_key_id=A\n[default]\n");
  expect_denied("home/.aws/credentials:1: a value stands before");
  write_credentials("[default]\n= x\n");
  expect_denied("home/.aws/credentials:2: ");
  write_credentials("[default]\naws_access_key_id=A\n");
  expect_denied("home/.aws/credentials: the profile default has aws_access_key_id, but no");
  write_credentials("[default]\naws_secret_access_key=A\n");
  expect_denied("home/.aws/credentials: the profile default has aws_secret_access_key, but no");
  write_credentials(std::string((1 << 20) + 1, '#'));
  expect_denied("home/.aws/credentials has 1048577 bytes");
  write_credentials("");
  write_config("[default]\nrole_arn = arn:aws:iam::1:role/x\n");
  expect_denied("its role_arn is not supported");
}

TEST_F(AwsCredentialsTest, Region) {
  EXPECT_EQ(region(), std::nullopt);
  write_config("[default]\nregion = eu-north-1\n[profile p]\nregion=ap-south-1\n[p]\nregion=wrong\n");
  EXPECT_EQ(region(), "eu-north-1");
  variables_["AWS_PROFILE"] = "p";
  EXPECT_EQ(region(), "ap-south-1");
  variables_["AWS_DEFAULT_REGION"] = "us-west-2";
  EXPECT_EQ(region(), "us-west-2");
  variables_["AWS_REGION"] = "us-west-1";
  EXPECT_EQ(region(), "us-west-1");
  variables_ = {{"AWS_CONFIG_FILE", "home/.aws/config"}, {"AWS_PROFILE", "none"}};
  EXPECT_EQ(region(), std::nullopt);
  write_config("nonsense");
  EXPECT_FALSE(aws_region(environment(), files_).has_value());
}

TEST_F(AwsCredentialsTest, RenewsFromTheFile) {
  write_credentials("[default]\naws_access_key_id=A\naws_secret_access_key=1\n");
  const auto made = aws_credentials(environment(), files_, clock_);
  ASSERT_TRUE(made.has_value());
  CredentialsProvider& provider = **made;
  const Credentials old = provider.get();
  write_credentials("[default]\naws_access_key_id=A\naws_secret_access_key=2\n");
  EXPECT_EQ(provider.get(), old);
  // Read less than a second ago.
  EXPECT_FALSE(provider.renew(old).value());
  clock_.pass_ms(1000);
  EXPECT_TRUE(provider.renew(old).value());
  EXPECT_EQ(provider.get().secret_access_key, "2");
  // Another thread that was refused with the old ones is told at once.
  EXPECT_TRUE(provider.renew(old).value());
  EXPECT_FALSE(provider.renew(provider.get()).value());
  clock_.pass_ms(1000);
  EXPECT_FALSE(provider.renew(provider.get()).value());

  write_credentials("nonsense");
  clock_.pass_ms(1000);
  const auto broken = provider.renew(provider.get());
  ASSERT_FALSE(broken.has_value());
  EXPECT_NE(broken.error().message.find("credentials:1: "), std::string::npos);
  EXPECT_EQ(provider.get().secret_access_key, "2");
}

TEST_F(AwsCredentialsTest, ThoseOfTheEnvironmentStay) {
  variables_ = {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", "B"}};
  const auto made = aws_credentials(environment(), files_, clock_);
  ASSERT_TRUE(made.has_value());
  clock_.pass_ms(5000);
  EXPECT_FALSE((*made)->renew((*made)->get()).value());
}

}  // namespace
}  // namespace tidemark::backup
