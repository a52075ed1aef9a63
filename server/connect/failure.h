// What an error of the engine means to a client: which status, which sentence.
#pragma once

#include "engine/base/status.h"
#include "server/connect/call.h"

namespace tidemark::connect {

// Whether an operator should hear of it: something is wrong with the machine or the data, not with the
// request.
bool is_fault(ErrorCode code);

Answer read_failure(const Error& error);
// Of a look at the past.
Answer view_failure(const Error& error);
Answer write_failure(const Error& error);
// The store has reached the limit that its operator has set.
Answer store_full();

}  // namespace tidemark::connect
