// The backups of a server, on its threads.
#include "server/backup/service.h"

#include <functional>

#include "tests/server/backup/backup_test.h"

namespace tidemark::backup {
namespace {

class ServiceTest : public BackupTest {
 protected:
  ServiceTest() { service_ = std::make_unique<BackupService>(*engine_, small_objects(), LogSink()); }
  ~ServiceTest() override { service_->stop(0); }

  std::shared_ptr<Database> open_shared() {
    auto opened = Database::open(*engine_, folder_ / "db", small_database());
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return opened ? std::shared_ptr<Database>(std::move(*opened)) : nullptr;
  }
  void poll(const std::shared_ptr<Database>& database) {
    if (database == nullptr) return service_->poll({});
    service_->poll({{{"database-1", "default", "store-1", "session-1"}, database, objects_, kPrefix}});
  }
  ShipperStatus status() { return service_->reports().at(0).status; }
  bool polled_until(const std::shared_ptr<Database>& database, const std::function<bool()>& holds) {
    for (int i = 0; i < 5000 && !holds(); ++i) {
      poll(database);
      clock_.pass_ms(100);
      system_clock().sleep_us(1000);
    }
    return holds();
  }
  static CommitOutcome write(Database& database) {
    return commit(database, [](Transaction& t) -> Result<CommitRequest::Decision> {
      t.put("ukey", stored("value", 0));
      return CommitRequest::Decision::kCommit;
    });
  }

  std::unique_ptr<BackupService> service_;
};

// Whoever was the primary finds out once; it must not forget with the database being closed for a while.
TEST_F(ServiceTest, WhoIsThePrimaryNoMoreTakesNoCommitsWhenOpenedAgain) {
  std::shared_ptr<Database> database = open_shared();
  ASSERT_TRUE(write(*database).committed);
  poll(database);
  ASSERT_TRUE(polled_until(database, [&] { return status().shipped.stamp == database->head(); }));
  ASSERT_TRUE(polled_until(database, [&] { return status().state == ShipperState::kActive; }));
  const auto object = objects_->get(kPrefix + std::string(kIndexName), kMaxIndexBytes);
  ASSERT_TRUE(object.has_value());
  Index index = *decode_index(object->bytes);
  index.writer = {"store-2", "session-of-the-other", 1};
  ASSERT_TRUE(
      objects_->put(kPrefix + std::string(kIndexName), encode(index), PutCondition::none()).has_value());
  clock_.pass_ms(10'000);
  ASSERT_TRUE(write(*database).committed) << "it cannot know yet";
  ASSERT_TRUE(polled_until(database, [&] { return !database->write_status().has_value(); }));
  EXPECT_EQ(database->write_status().error().code, ErrorCode::kReadOnly);

  const std::weak_ptr<Database> open = database;
  database.reset();
  ASSERT_TRUE(polled_until(nullptr, [&] { return open.expired(); }));
  database = open_shared();
  poll(database);
  const CommitOutcome outcome = write(*database);
  ASSERT_FALSE(outcome.status.has_value());
  EXPECT_NE(outcome.status.error().message.find("store-2"), std::string::npos);
}

}  // namespace
}  // namespace tidemark::backup
