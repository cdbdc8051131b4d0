#include "oci/json_reader.h"

#include <limits>

namespace engine::oci {
namespace json = boost::json;
namespace {

std::string member(const std::string& path, std::string_view key) { return path.empty() ? std::string(key) : path + "." + std::string(key); }

const json::value* find_member(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && !value->is_null() ? value : nullptr;
}
}  // namespace

std::string JsonReader::text(const json::object& object, std::string_view key, const std::string& path) {
    const json::value* value = find_member(object, key);
    if (value == nullptr) return {};
    if (!value->is_string()) {
        complain(member(path, key), "must be a string");
        return {};
    }
    std::string out(value->get_string());
    if (out.find('\0') != std::string::npos) complain(member(path, key), "has a zero byte in it");
    return out;
}

bool JsonReader::flag(const json::object& object, std::string_view key, const std::string& path) {
    const json::value* value = find_member(object, key);
    if (value == nullptr) return false;
    if (!value->is_bool()) complain(member(path, key), "must be true or false");
    return value->is_bool() && value->get_bool();
}

std::optional<int64_t> JsonReader::number(const json::object& object, std::string_view key, const std::string& path, int64_t least, int64_t most) {
    const json::value* value = find_member(object, key);
    if (value == nullptr) return std::nullopt;
    if (value->is_uint64() && value->get_uint64() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) && most == std::numeric_limits<int64_t>::max())
        return most;  // "no limit" as other runtimes write it
    if (!value->is_int64() || value->get_int64() < least || value->get_int64() > most) {
        complain(member(path, key), "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
        return std::nullopt;
    }
    return value->get_int64();
}

std::vector<std::string> JsonReader::texts(const json::object& object, std::string_view key, const std::string& path) {
    std::vector<std::string> out;
    const json::value* value = find_member(object, key);
    if (value == nullptr) return out;
    if (!value->is_array()) {
        complain(member(path, key), "must be a list of strings");
        return out;
    }
    for (const json::value& entry : value->get_array()) {
        if (!entry.is_string()) {
            complain(member(path, key), "must be a list of strings");
            return out;
        }
        out.emplace_back(entry.get_string());
        if (out.back().find('\0') != std::string::npos) complain(member(path, key), "has a zero byte in it");
    }
    return out;
}

const json::object& JsonReader::object(const json::object& object, std::string_view key, const std::string& path) {
    static const json::object kNone;
    const json::value* value = find_member(object, key);
    if (value == nullptr) return kNone;
    if (!value->is_object()) {
        complain(member(path, key), "must be an object");
        return kNone;
    }
    return value->get_object();
}

std::vector<const json::object*> JsonReader::objects(const json::object& object, std::string_view key, const std::string& path) {
    std::vector<const json::object*> out;
    const json::value* value = find_member(object, key);
    if (value == nullptr) return out;
    if (!value->is_array()) {
        complain(member(path, key), "must be a list of objects");
        return out;
    }
    for (const json::value& entry : value->get_array()) {
        if (entry.is_object())
            out.push_back(&entry.get_object());
        else
            complain(member(path, key), "must be a list of objects");
    }
    return out;
}

}  // namespace engine::oci
