#pragma once
// Columns for people: left-aligned, three blanks between, as wide as their longest cell.
#include <string>
#include <vector>

namespace compose::cli {

class Table {
public:
    explicit Table(std::vector<std::string> heading, size_t gap = 3) : gap_(gap) { rows_.push_back(std::move(heading)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    /// All lines. The last column is not padded.
    std::string text() const;

private:
    size_t gap_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace compose::cli
