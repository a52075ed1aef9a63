// What tests of a refusing machine share.
#pragma once

#include "tests/engine/watched_database.h"

namespace tidemark {

class FailureTest : public WatchedDatabaseTest {
 protected:
  // Puts numbered keys until a commit fails, at most `most`. Remembers those that were acknowledged.
  Status fill_until_refused(int most, size_t value_bytes = 200) {
    for (int i = 0; i < most; ++i) {
      const std::string key = "fill/" + std::to_string(next_++);
      const std::string value(value_bytes, 'v');
      const CommitOutcome outcome = put(db(), key, value);
      if (!outcome.status) return outcome.status;
      acknowledged_[key] = value;
    }
    return {};
  }
  void expect_acknowledged() {
    const KeyValues now = contents(db());
    for (const auto& [key, value] : acknowledged_) {
      const auto it = now.find(key);
      ASSERT_TRUE(it != now.end()) << key << " is lost";
      ASSERT_EQ(it->second, value);
    }
  }
  void reopen() {
    if (database_ != nullptr) (void)database_->close().has_value();
    fs_.set_hook({});
    fs_.clear_faults();
    open(small_options());
  }

  int next_ = 0;
  KeyValues acknowledged_;
};

}  // namespace tidemark
