// What `tidemark stats` prints for people.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace tidemark::tools {

// Of an answer of the command `stats` (report_commands.cc); what an answer lacks counts as zero.
std::string stats_picture(const boost::json::object& answer);

// "1.5 GiB", "12 B"
std::string human_bytes(uint64_t bytes);

}  // namespace tidemark::tools
