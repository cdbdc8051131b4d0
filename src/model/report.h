#pragma once
// Collects the findings of one load, with the places looked up in its files.
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/diagnostic.h"

namespace compose::model {

class Report {
public:
    Files files;
    std::vector<Diagnostic> list;

    void error(Place place, std::string path, std::string message, std::string suggestion = {}) {
        add(Severity::error, place, std::move(path), std::move(message), std::move(suggestion));
    }
    void warning(Place place, std::string path, std::string message, std::string suggestion = {}) {
        add(Severity::warning, place, std::move(path), std::move(message), std::move(suggestion));
    }
    /// An error of a file as a whole, or of no file (empty name).
    void file_error(std::string file, std::string message);
    Diagnostic& last() { return list.back(); }
    size_t errors() const { return errors_; }
    bool failed() const { return errors_ > 0; }

private:
    void add(Severity severity, Place place, std::string path, std::string message, std::string suggestion);
    std::set<std::string> seen_;
    size_t errors_ = 0;
};

}  // namespace compose::model
