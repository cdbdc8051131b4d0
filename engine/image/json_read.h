#pragma once
// Strict reading of JSON objects: absent and null are the default, another type is an error that names the field. Only for
// .cpp files that include Boost.JSON anyway.
#include <boost/json.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace engine::image {

/// Parses with bounds on size and depth; what the text is goes into the error.
inline base::Result<boost::json::value> parse_json(std::string_view text, size_t limit, std::string_view what) {
    if (text.size() > limit)
        return base::fail(base::Code::corrupt, std::string(what) + " has " + std::to_string(text.size()) + " bytes, over the limit of " + std::to_string(limit));
    boost::json::parse_options options;
    options.max_depth = 64;
    boost::system::error_code error;
    boost::json::value value = boost::json::parse(text, error, {}, options);
    if (error) return base::fail(base::Code::corrupt, std::string(what) + " is not JSON: " + error.message());
    return value;
}

/// Fields of one object; remembers the first field that had the wrong type.
class JsonObject {
public:
    JsonObject(const boost::json::value& value, std::string where) : where_(std::move(where)) {
        if (value.is_object())
            object_ = &value.get_object();
        else if (!value.is_null())
            wrong_ = where_ + " is not an object";
    }
    bool has(std::string_view name) const { return object_ && object_->contains(name) && !object_->at(name).is_null(); }
    const boost::json::value* get(std::string_view name) const {
        if (!object_) return nullptr;
        const boost::json::value* value = object_->if_contains(name);
        return value && !value->is_null() ? value : nullptr;
    }
    std::string text(std::string_view name) {
        const auto* value = get(name);
        if (!value) return {};
        if (!value->is_string()) return wrong(name, "a string"), std::string();
        return std::string(value->get_string());
    }
    int64_t number(std::string_view name, int64_t otherwise = 0) {
        const auto* value = get(name);
        if (!value) return otherwise;
        if (value->is_int64()) return value->get_int64();
        if (value->is_double() && value->get_double() >= -9e18 && value->get_double() <= 9e18) return static_cast<int64_t>(value->get_double());
        return wrong(name, "a whole number"), otherwise;
    }
    bool boolean(std::string_view name) {
        const auto* value = get(name);
        if (!value) return false;
        if (!value->is_bool()) return wrong(name, "true or false"), false;
        return value->get_bool();
    }
    std::vector<std::string> texts(std::string_view name) {
        std::vector<std::string> result;
        const auto* value = get(name);
        if (!value) return result;
        if (!value->is_array()) return wrong(name, "a list of strings"), result;
        for (const auto& item : value->get_array()) {
            if (!item.is_string()) return wrong(name, "a list of strings"), result;
            result.emplace_back(item.get_string());
        }
        return result;
    }
    std::vector<std::string> keys(std::string_view name) {
        std::vector<std::string> result;
        const auto* value = get(name);
        if (!value) return result;
        if (!value->is_object()) return wrong(name, "an object"), result;
        for (const auto& item : value->get_object()) result.emplace_back(item.key());
        return result;
    }
    std::map<std::string, std::string> map(std::string_view name) {
        std::map<std::string, std::string> result;
        const auto* value = get(name);
        if (!value) return result;
        if (!value->is_object()) return wrong(name, "an object of strings"), result;
        for (const auto& item : value->get_object()) {
            if (!item.value().is_string()) return wrong(name, "an object of strings"), result;
            result.emplace(std::string(item.key()), std::string(item.value().get_string()));
        }
        return result;
    }
    JsonObject object(std::string_view name) {
        const auto* value = get(name);
        static const boost::json::value kNull;
        JsonObject inner(value ? *value : kNull, where_ + "." + std::string(name));
        return inner;
    }
    /// The list, empty when absent.
    const boost::json::array& list(std::string_view name) {
        static const boost::json::array kEmpty;
        const auto* value = get(name);
        if (!value) return kEmpty;
        if (!value->is_array()) return wrong(name, "a list"), kEmpty;
        return value->get_array();
    }
    void wrong(std::string_view name, std::string_view expected) {
        if (wrong_.empty()) wrong_ = where_ + "." + base::printable(name) + " is not " + std::string(expected);
    }
    base::Status status() const {
        if (!wrong_.empty()) return base::fail(base::Code::corrupt, wrong_);
        return {};
    }

private:
    const boost::json::object* object_ = nullptr;
    std::string where_, wrong_;
};

}  // namespace engine::image
