#pragma once
// --format: json, table, or a template in the subset of Go's text/template that people use with Docker:
// {{.Field}}, {{json .}}, {{upper .X}}, pipes, {{if}}/{{else}}/{{end}}, {{range}}, {{with}}, eq ne lt gt and or not len index
// join split lower upper title truncate printf println.
#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace compose::cli {

/// One row: its fields in Docker's order.
using Row = boost::json::object;

/// A template, parsed once and filled for every row.
class Template {
public:
    static base::Result<Template> parse(const std::string& text);
    /// Fields that do not exist are an error that names those that do.
    base::Result<std::string> fill(const Row& row) const;

    struct Node;

private:
    std::shared_ptr<const std::vector<Node>> nodes_;
};

struct Listing {
    std::vector<Row> rows;
    std::vector<std::string> heading;                               ///< of the table
    std::function<std::vector<std::string>(const Row&)> cells;      ///< of the table
    bool json_array = false;                                        ///< ls, images: one array; otherwise one object a line
};

/// The text of a listing in the format asked for: "" or "table", "json", "table TEMPLATE", TEMPLATE.
base::Result<std::string> render(const Listing& listing, const std::string& format);

/// A field as text, for tables: strings as they are, numbers in decimal.
std::string text_of(const Row& row, std::string_view field);

}  // namespace compose::cli
