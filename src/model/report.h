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
    /// Other places that belong to the finding reported just before; none when it was known already or is not kept.
    void relate(std::vector<base::SourcePos> others) {
        if (added_) list.back().related = std::move(others);
    }
    size_t errors() const { return errors_; }
    bool failed() const { return errors_ > 0; }
    /// No more errors are kept: nobody reads a thousand, and a hostile file can hold many more.
    bool full() const { return kept_[1] >= kMaxKept; }
    /// Says how many findings were not kept, if any.
    void close();

private:
    static constexpr size_t kMaxKept = 500;  ///< of errors, and of warnings
    void add(Severity severity, Place place, std::string path, std::string message, std::string suggestion);
    std::set<std::string> seen_;
    size_t errors_ = 0, dropped_ = 0;
    size_t kept_[2] = {0, 0};  ///< warnings, errors
    bool added_ = false;
};

}  // namespace compose::model
