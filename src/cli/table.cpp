#include "cli/table.h"

#include <algorithm>

#include "cli/terminal.h"

namespace compose::cli {

std::string Table::text() const {
    std::vector<size_t> widths;
    for (const auto& row : rows_) {
        widths.resize(std::max(widths.size(), row.size()));
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    }
    std::string result;
    for (const auto& row : rows_) {
        for (size_t i = 0; i < row.size(); ++i) {
            result += row[i];
            if (i + 1 < row.size()) result.append(widths[i] - width(row[i]) + gap_, ' ');
        }
        result += '\n';
    }
    return result;
}

}  // namespace compose::cli
