#include "cli/json_text.h"

#include <boost/json.hpp>

namespace compose::cli {
namespace {

void put_json(std::string& out, const boost::json::value& value, size_t depth) {
    auto line = [&](size_t level) { out += "\n" + std::string(level * 4, ' '); };
    if (const auto* object = value.if_object(); object && !object->empty()) {
        bool first = true;
        out += '{';
        for (const auto& item : *object) {
            if (!first) out += ',';
            first = false;
            line(depth + 1);
            out += boost::json::serialize(boost::json::value(item.key())) + ": ";
            put_json(out, item.value(), depth + 1);
        }
        line(depth);
        out += '}';
    } else if (const auto* array = value.if_array(); array && !array->empty()) {
        bool first = true;
        out += '[';
        for (const auto& item : *array) {
            if (!first) out += ',';
            first = false;
            line(depth + 1);
            put_json(out, item, depth + 1);
        }
        line(depth);
        out += ']';
    } else {
        out += boost::json::serialize(value);
    }
}

}  // namespace

std::string indented_json(const boost::json::value& value) {
    std::string out;
    put_json(out, value, 0);
    return out;
}

}  // namespace compose::cli
