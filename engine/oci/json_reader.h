#pragma once
// Reads typed members of JSON objects and keeps the first complaint, with the path of the member it is about.
#include <boost/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace engine::oci {

class JsonReader {
public:
    explicit JsonReader(std::string where) : where_(std::move(where)) {}

    void complain(std::string_view path, std::string_view what) {
        if (!error_) error_ = base::fail(base::Code::invalid, where_ + ": " + std::string(path) + ": " + std::string(what));
    }
    std::string text(const boost::json::object& object, std::string_view key, const std::string& path);
    bool flag(const boost::json::object& object, std::string_view key, const std::string& path);
    /// Whole numbers within the bounds; nullopt when absent.
    std::optional<int64_t> number(const boost::json::object& object, std::string_view key, const std::string& path, int64_t least, int64_t most);
    std::vector<std::string> texts(const boost::json::object& object, std::string_view key, const std::string& path);
    /// An empty one when absent or null.
    const boost::json::object& object(const boost::json::object& object, std::string_view key, const std::string& path);
    /// The objects of a list.
    std::vector<const boost::json::object*> objects(const boost::json::object& object, std::string_view key, const std::string& path);

    bool failed() const { return error_.has_value(); }
    base::Error take_error() { return std::move(*error_); }

private:
    std::string where_;
    std::optional<base::Error> error_;
};

}  // namespace engine::oci
