// Objects in a bucket of a service that speaks S3.
#pragma once

#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/io/clock.h"
#include "server/backup/aws_credentials.h"
#include "server/backup/http_client.h"
#include "server/backup/object_store.h"

namespace tidemark::backup {

struct S3Options {
  std::string bucket;
  std::string prefix;    // stands before every key, unseen by those who use the store; ends in a slash if not
                         // empty
  std::string endpoint;  // "https://HOST:PORT"; empty: Amazon's for the region
  std::string region;    // not empty; stores that have none take any, say "us-east-1"
  std::string encryption;  // by the store: "AES256", "aws:kms", "aws:kms:dsse"; empty: as the bucket has it
  std::string kms_key_id;  // with "aws:kms..."; empty: the account's own
  std::string ca_file;     // certificates to trust, in PEM; empty: the system's
  HttpLimits limits = {};
};

// Over http:// what is stored can be read on the way. The secret never travels, but with it signatures and
// session tokens do, which whoever reads along can use until they expire.
//
// Credentials that the store refuses are renewed and tried once more. Nothing else is tried again here; see
// retrying_object_store.h. `clock` must outlive it; requests are signed with its wall time. kInvalidArgument
// if the options make no sense; nothing is asked of the store yet. REQUIRES: the process ignores SIGPIPE.
Result<std::unique_ptr<ObjectStore>> make_s3_object_store(S3Options options,
                                                          std::unique_ptr<CredentialsProvider> credentials,
                                                          Clock& clock);

}  // namespace tidemark::backup
