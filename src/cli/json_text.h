#pragma once
// JSON for people: indented.
#include <boost/json/value.hpp>
#include <string>

namespace compose::cli {

/// Four blanks a level, as `docker inspect`; without a newline at the end.
std::string indented_json(const boost::json::value& value);

}  // namespace compose::cli
