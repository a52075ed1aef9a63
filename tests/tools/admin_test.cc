// `tidemark db` and `tidemark token` on stores that are being served and on stores that are not.
#include "tools/admin.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>
#include <optional>
#include <thread>

#include "server/host/host.h"
#include "tests/server/kv/test_store.h"
#include "tests/tools/served_store.h"
#include "tools/admin_command.h"
#include "tools/admin_socket.h"
#include "tools/serve_command.h"

namespace tidemark::tools {
namespace {

NoLines no_lines;

Result<AdminArguments> parse(std::vector<std::string> words) {
  CLI::App app;
  app.require_subcommand(1);
  AdminArguments arguments;
  add_admin_commands(app, arguments);
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    return fail(ErrorCode::kInvalidArgument, error.what());
  }
  return arguments;
}

class AdminTest : public ::testing::TestWithParam<bool> {
 protected:
  AdminTest() : data_dir_(folder_ / "data") {
    if (!GetParam()) return;
    served_.emplace(data_dir_);
    served_->start();
  }

  Result<std::string> run(std::vector<std::string> words) {
    TM_ASSIGN(AdminArguments arguments, parse(std::move(words)));
    arguments.data_dir = data_dir_;
    return run_admin_command(arguments);
  }
  boost::json::object run_json(std::vector<std::string> words) {
    words.push_back("--json");
    const Result<std::string> answer = run(std::move(words));
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer ? boost::json::parse(*answer).as_object() : boost::json::object();
  }
  void expect_refusal(std::vector<std::string> words, ErrorCode code, const std::string& part) {
    const Result<std::string> answer = run(std::move(words));
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, code) << answer.error().message;
    EXPECT_NE(answer.error().message.find(part), std::string::npos) << answer.error().message;
    EXPECT_EQ(answer.error().message.find('\n'), std::string::npos);
  }
  std::string expected_url(const std::string& path) { return (GetParam() ? kServedUrl : "") + path; }

  test::TempFolder folder_;
  const std::string data_dir_;
  std::optional<Served> served_;
};

INSTANTIATE_TEST_SUITE_P(Store, AdminTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Served" : "NotServed"; });

TEST_P(AdminTest, Databases) {
  const auto made = run_json({"db", "create", "orders"});
  EXPECT_EQ(made.at("name"), "orders");
  EXPECT_EQ(made.at("state"), "ready");
  EXPECT_EQ(made.at("url").as_string(), expected_url("/db/orders"));
  EXPECT_FALSE(made.contains("deletedAt"));
  const std::string id(made.at("id").as_string());
  EXPECT_TRUE(host::Uuid::from_text(id));

  EXPECT_EQ(run_json({"db", "rename", "orders", "sales"}).at("id"), made.at("id"));
  const auto deleted = run_json({"db", "delete", "sales"});
  EXPECT_EQ(deleted.at("state"), "deleted");
  EXPECT_TRUE(deleted.contains("deletedAt") && deleted.contains("purgeAfter"));
  const auto list = run_json({"db", "list"}).at("databases").as_array();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].at("name"), "default");
  EXPECT_EQ(list[1].at("id"), made.at("id"));
  EXPECT_EQ(run_json({"db", "undelete", "sales"}).at("state"), "ready");
  run_json({"db", "delete", "sales"});
  EXPECT_EQ(run_json({"db", "undelete", id}).at("name"), "sales");

  EXPECT_EQ(run_json({"db", "delete", "sales", "--now"}).at("state"), "removed");
  expect_refusal({"db", "undelete", "sales"}, ErrorCode::kNotFound, "no deleted database 'sales'");
  for (const char* name : {"a", "b", "c"}) {
    run_json({"db", "create", name});
    run_json({"db", "delete", name});
  }
  EXPECT_EQ(run_json({"db", "purge", "a"}).at("purged"), 1);
  EXPECT_EQ(run_json({"db", "purge"}).at("purged"), 2);
  EXPECT_EQ(run_json({"db", "list"}).at("databases").as_array().size(), 1u);
}

TEST_P(AdminTest, Tokens) {
  run_json({"db", "create", "a"});
  const auto some = run_json({"token", "create", "--database", "a", "--database", "default", "--read-only",
                              "--label", "for the shop"});
  EXPECT_TRUE(some.at("token").as_string().starts_with("tm_"));
  EXPECT_EQ(some.at("readOnly"), true);
  EXPECT_EQ(some.at("label"), "for the shop");
  ASSERT_EQ(some.at("databases").as_array().size(), 2u);
  EXPECT_EQ(some.at("databases").as_array()[0].at("name"), "a");
  const auto all = run_json({"token", "create", "--all"});
  EXPECT_EQ(all.at("databases"), "all");

  if (GetParam()) {
    const std::string secret(some.at("token").as_string());
    const auto grant = served_->host().authenticate(secret);
    ASSERT_TRUE(grant);
    EXPECT_TRUE(grant->opens(*served_->host().id_of("a")));
  }
  const Result<std::string> listed = run({"token", "list", "--json"});
  ASSERT_TRUE(listed.has_value());
  EXPECT_EQ(listed->find(std::string(some.at("token").as_string())), std::string::npos);
  EXPECT_EQ(boost::json::parse(*listed).at("tokens").as_array().size(), 2u);
  const std::string id(some.at("id").as_string());
  EXPECT_EQ(run_json({"token", "revoke", id}).at("id"), some.at("id"));
  expect_refusal({"token", "revoke", id}, ErrorCode::kNotFound, "no token with id " + id);
  EXPECT_EQ(run_json({"token", "list"}).at("tokens").as_array().size(), 1u);
}

TEST_P(AdminTest, Texts) {
  const auto expect_text = [&](std::vector<std::string> words, std::vector<std::string> parts) {
    const Result<std::string> answer = run(std::move(words));
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    EXPECT_TRUE(answer->ends_with('\n'));
    for (const std::string& part : parts) EXPECT_NE(answer->find(part), std::string::npos) << *answer;
  };
  expect_text({"db", "create", "a"}, {"made the database 'a'", "id ", expected_url("/db/a")});
  expect_text({"db", "rename", "a", "b"}, {"renamed the database 'b'"});
  expect_text({"token", "create", "--database", "b", "--read-only"}, {"once only", "tm_", "b (read only)"});
  expect_text({"token", "list"}, {"ID", "b (read only)"});
  expect_text({"db", "delete", "b"}, {"deleted the database 'b'", "deleted until 20"});
  expect_text({"db", "list"}, {"NAME", "default", "ready", "deleted until 20"});
  expect_text({"db", "undelete", "b"}, {"brought back the database 'b'"});
  expect_text({"db", "delete", "b", "--now"}, {"removed the database 'b'"});
  expect_text({"db", "purge"}, {"0"});
}

TEST_P(AdminTest, Refusals) {
  run_json({"db", "create", "a"});
  expect_refusal({"db", "create", "a"}, ErrorCode::kInvalidArgument, "'a' already");
  expect_refusal({"db", "create", "a/b"}, ErrorCode::kInvalidArgument, "a slash");
  expect_refusal({"db", "create", std::string(300, 'x')}, ErrorCode::kInvalidArgument, "300 characters");
  expect_refusal({"db", "create", ""}, ErrorCode::kInvalidArgument, "");
  expect_refusal({"db", "create", "\xff"}, ErrorCode::kInvalidArgument, "");
  expect_refusal({"db", "rename", "b", "c"}, ErrorCode::kNotFound, "no database 'b'");
  expect_refusal({"db", "delete", "b"}, ErrorCode::kNotFound, "no database 'b'");
  expect_refusal({"token", "create"}, ErrorCode::kInvalidArgument, "all databases or some");
  expect_refusal({"token", "create", "--database", "b"}, ErrorCode::kNotFound, "no database 'b'");
  expect_refusal({"token", "revoke", "x"}, ErrorCode::kInvalidArgument, "16 hex digits");
}

TEST_P(AdminTest, ManyAtOnce) {
  run_json({"db", "create", "first"});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] { run_json({"db", "create", "d" + std::to_string(i)}); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(run_json({"db", "list"}).at("databases").as_array().size(), 6u);
}

TEST(AdminCommandLine, WhatIsWritten) {
  EXPECT_EQ(parse({"db", "create", "a", "--data-dir", "x"})->data_dir, "x");
  EXPECT_EQ(parse({"db", "rename", "a", "b"})->new_name, "b");
  EXPECT_EQ(parse({"db", "purge"})->name, std::nullopt);
  EXPECT_EQ(parse({"token", "create", "--database", "a", "--database=b"})->databases.size(), 2u);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"db"},
                                             {"token"},
                                             {"db", "create"},
                                             {"db", "rename", "a"},
                                             {"db", "list", "extra"},
                                             {"db", "no-such"},
                                             {"token", "create", "--all", "--database", "a"},
                                             {"token", "revoke"},
                                             {"db", "create", "a", "--no-such"}}) {
    EXPECT_FALSE(parse(words).has_value()) << words.back();
  }
}

class AdminSocketTest : public ::testing::Test {
 protected:
  std::string list(const std::string& data_dir) {
    const auto answer = administer(data_dir, "db.list", "{}", no_lines);
    return answer ? *answer : answer.error().message;
  }

  test::TempFolder folder_;
};

TEST_F(AdminSocketTest, IsForItsOwnerOnlyAndGoesWithTheServer) {
  const std::string path = folder_ / kAdminSocketName;
  {
    Served served(folder_.path());
    served.start();
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
    EXPECT_EQ(st.st_mode & 0777, 0600u);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(AdminSocketTest, ReplacesOneThatAKilledServerLeft) {
  {
    Served made(folder_.path());
  }
  const std::string path = folder_ / kAdminSocketName;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  EXPECT_NE(list(folder_.path()).find("\"url\":\"/db/default\""), std::string::npos);  // not served
  Served served(folder_.path());
  served.start();
  EXPECT_NE(list(folder_.path()).find(kServedUrl), std::string::npos);
}

TEST_F(AdminSocketTest, FoldersMayLieDeep) {
  const std::string dir = folder_ / (std::string(100, 'x') + "/" + std::string(100, 'y'));
  std::filesystem::create_directories(dir);
  Served served(dir);
  served.start();
  EXPECT_NE(list(dir).find(kServedUrl), std::string::npos);
}

TEST_F(AdminSocketTest, WaitsForAServerThatStarts) {
  Served served(folder_.path());
  std::string answer;
  std::thread asking([&] { answer = list(folder_.path()); });
  served.start();
  asking.join();
  EXPECT_NE(answer.find(kServedUrl), std::string::npos) << answer;
}

TEST_F(AdminSocketTest, WaitsForAServerThatEnds) {
  std::optional<Served> served(folder_.path());
  std::string answer;
  std::thread asking([&] { answer = list(folder_.path()); });
  served.reset();
  asking.join();
  EXPECT_NE(answer.find("\"url\":\"/db/default\""), std::string::npos) << answer;
}

TEST_F(AdminSocketTest, NobodyThere) {
  const auto answer = ask_admin_server(folder_.path(), "db.list", "{}", no_lines);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kWouldBlock);
  EXPECT_FALSE(ask_admin_server(folder_ / "none", "db.list", "{}", no_lines).has_value());
}

TEST_F(AdminSocketTest, CommandsThatMakeNoSense) {
  Served served(folder_.path());
  served.start();
  const auto code = [&](std::string_view command, std::string_view arguments) {
    const auto answer = ask_admin_server(folder_.path(), command, arguments, no_lines);
    EXPECT_FALSE(answer.has_value()) << command << arguments;
    return answer ? ErrorCode::kIo : answer.error().code;
  };
  EXPECT_EQ(code("db.nonsense", "{}"), ErrorCode::kNotFound);
  EXPECT_EQ(code("", "{}"), ErrorCode::kNotFound);
  for (const char* arguments : {"", "{", "[]", "1", "null", R"({"name":1})", R"({"nam":"a"})", "{}",
                                R"({"name":"a","more":true})", R"({"name":"a"} x)", "\xff"}) {
    EXPECT_EQ(code("db.create", arguments), ErrorCode::kInvalidArgument) << arguments;
  }
  EXPECT_EQ(code("db.create", std::string(20, '[') + std::string(20, ']')), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("db.delete", R"({"name":"a","now":"yes"})"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("token.create", R"({"databases":"a"})"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("token.create", R"({"databases":[1]})"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("db.create", std::string(65 << 20, ' ')), ErrorCode::kIo);  // too long: cut off
  EXPECT_EQ(served.host().databases().size(), 1u);
}

TEST_F(AdminSocketTest, NoStoreIsMadeByLooking) {
  for (const char* command : {"db.list", "db.purge", "token.list"}) {
    const auto answer = administer(folder_ / "none", command, "{}", no_lines);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, ErrorCode::kNotFound) << answer.error().message;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none"));
  EXPECT_TRUE(administer(folder_ / "none", "token.create", R"({"all":true})", no_lines).has_value());
}

}  // namespace
}  // namespace tidemark::tools
