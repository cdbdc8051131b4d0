#pragma once
// Paths in the model and patterns of them: `services.*.ports.[].target`.
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace compose::model {

using Segments = std::vector<std::string_view>;

/// `services.web.ports[0].target`; a segment that starts with `[` is an index.
std::string path_text(const Segments& path);

/// A set of patterns, each with a value; `*` stands for any one segment, `[]` for any index.
template <class Value>
class PatternTable {
public:
    PatternTable(std::initializer_list<std::pair<std::string_view, Value>> rows) {
        for (const auto& [pattern, value] : rows) {
            Row row{split(pattern), value};
            by_last_[row.segments.back()].push_back(std::move(row));
        }
    }
    const Value* find(const Segments& path) const {
        if (path.empty()) return nullptr;
        std::string_view last = path.back();
        if (const Value* found = find(last.starts_with('[') ? "[]" : last, path)) return found;
        return find("*", path);
    }

private:
    struct Row {
        Segments segments;
        Value value;
    };
    static Segments split(std::string_view pattern) {
        Segments out;
        while (true) {
            size_t dot = pattern.find('.');
            out.push_back(pattern.substr(0, dot));
            if (dot == std::string_view::npos) return out;
            pattern.remove_prefix(dot + 1);
        }
    }
    const Value* find(std::string_view last, const Segments& path) const {
        auto rows = by_last_.find(last);
        if (rows == by_last_.end()) return nullptr;
        for (const Row& row : rows->second) {
            if (row.segments.size() != path.size()) continue;
            bool equal = true;
            for (size_t at = 0; equal && at < path.size(); ++at) {
                equal = row.segments[at] == "*" || row.segments[at] == path[at] ||
                        (row.segments[at] == "[]" && path[at].starts_with('['));
            }
            if (equal) return &row.value;
        }
        return nullptr;
    }
    std::unordered_map<std::string_view, std::vector<Row>> by_last_;
};

}  // namespace compose::model
