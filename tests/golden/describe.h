// Everything that can be read from a store, as text: to be compared with what an older build wrote down.
#pragma once

#include <string>

namespace tidemark::golden {

// Of the engine database in `dir`, opened with the options of the golden stores: its head and horizon, and
// all keys at every moment that is named in a change file or is head. What cannot be read is told by the code
// of the error and the file that it names. Changes the folder, as any opening does.
std::string describe_database(const std::string& dir);

// Of a store of the server: databases, tokens, and the entries of each database as Deno KV shows them.
std::string describe_store(const std::string& dir);

}  // namespace tidemark::golden
