// What `tidemark stats` prints for people.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace tidemark::tools {

// Of an answer of the command `stats` (report_commands.cc); what an answer lacks counts as zero.
std::string stats_picture(const boost::json::object& answer);

}  // namespace tidemark::tools
