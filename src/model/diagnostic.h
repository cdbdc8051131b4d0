#pragma once
// What is wrong, or looks wrong, in the files of a project: where it was written, where in the model that is, and the fix
// for the usual slip. All of a run are collected; nothing stops at the first.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/node.h"

namespace compose::model {

enum class Severity : uint8_t { warning, error };

struct Diagnostic {
    Severity severity = Severity::error;
    base::SourcePos at;      ///< file as the user named it; line 0: the file as a whole; file "" : no place
    std::string path;        ///< in the model: `services.web.ports[0]`
    std::string message;     ///< `unknown property "imagee"`
    std::string suggestion;  ///< `did you mean "image"?`, or empty
    std::string excerpt;     ///< the line itself, without its newline; empty when unknown
    std::vector<base::SourcePos> related;  ///< other places that have to do with it
};

/// `compose.yaml:7:5: services.web: unknown property "imagee" — did you mean "image"?` without a newline at the end; with
/// `excerpt` the line and a caret below it follow. Control characters in texts and lines are made visible.
std::string render(const Diagnostic& diagnostic, bool excerpt);
/// One JSON object on one line, for editors: severity, file, line, column, path, message, suggestion.
std::string render_json(const Diagnostic& diagnostic);
/// All of them, each on its own line(s), errors and warnings in the order of files and lines.
std::string render(const std::vector<Diagnostic>& diagnostics, bool excerpt);
/// The first error as an Error (Code::invalid), the number of the others in its text. For callers that can show only one.
base::Error to_error(const std::vector<Diagnostic>& diagnostics);

/// The files that a load read: names as shown to people and their text, for excerpts.
struct Files {
    struct File {
        std::string name;  ///< as shown: relative to the working folder where that is shorter
        std::string path;  ///< absolute
        std::shared_ptr<const std::string> text;
        mutable std::vector<uint32_t> starts;  ///< of its lines; made when the first excerpt is asked for
    };
    std::vector<File> files;
    uint32_t add(std::string name, std::string path, std::shared_ptr<const std::string> text);
    base::SourcePos pos(Place place) const;
    /// The line at a place, cut to a length that fits a screen; empty when unknown.
    std::string line(Place place) const;
};

}  // namespace compose::model
