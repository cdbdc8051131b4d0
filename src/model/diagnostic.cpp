#include "model/diagnostic.h"

#include <algorithm>

#include <boost/json.hpp>

#include "base/text.h"
#include "model/report.h"

namespace compose::model {

namespace {

constexpr size_t kExcerptWidth = 160;
constexpr size_t kLongestMessage = 2000;  ///< bytes; some hold a value of the file
constexpr size_t kLongestLine = 64u << 10;  ///< of a line that is kept for an excerpt

/// Length in bytes of the UTF-8 character at `at`.
size_t character_length(std::string_view text, size_t at) {
    auto byte = static_cast<unsigned char>(text[at]);
    size_t length = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    return std::min(length, text.size() - at);
}

std::string prefix(const Diagnostic& diagnostic) {
    std::string out;
    if (!diagnostic.at.file.empty()) {
        out = base::printable(diagnostic.at.file) + ":";
        if (diagnostic.at.line > 0) out += std::to_string(diagnostic.at.line) + ":" + std::to_string(diagnostic.at.column) + ":";
        out += " ";
    }
    if (diagnostic.severity == Severity::warning) out += "warning: ";
    if (!diagnostic.path.empty()) out += base::printable(diagnostic.path) + ": ";
    return out;
}

}  // namespace

uint32_t Files::add(std::string name, std::string path, std::shared_ptr<const std::string> text) {
    files.push_back({std::move(name), std::move(path), std::move(text), {}});
    return static_cast<uint32_t>(files.size() - 1);
}

base::SourcePos Files::pos(Place place) const {
    if (!place || place.file >= files.size()) return {};
    return {files[place.file].name, static_cast<int>(place.line), static_cast<int>(place.column)};
}

std::string Files::line(Place place) const {
    if (!place || place.file >= files.size() || !files[place.file].text) return {};
    std::string_view text = *files[place.file].text;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::vector<uint32_t>& starts = files[place.file].starts;
    if (starts.empty()) {
        starts.push_back(0);
        for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n', end + 1)) starts.push_back(static_cast<uint32_t>(end + 1));
    }
    if (place.line > starts.size()) return {};
    std::string_view line = text.substr(starts[place.line - 1]);
    line = line.substr(0, std::min(line.find('\n'), kLongestLine));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return std::string(line);
}

void Report::add(Severity severity, Place place, std::string path, std::string message, std::string suggestion) {
    added_ = false;
    size_t& kept = kept_[severity == Severity::error ? 1 : 0];
    if (kept >= kMaxKept) {
        if (severity == Severity::error) ++errors_;
        ++dropped_;
        return;
    }
    Diagnostic diagnostic;
    diagnostic.severity = severity;
    diagnostic.at = files.pos(place);
    diagnostic.path = std::move(path);
    if (message.size() > kLongestMessage) message = message.substr(0, kLongestMessage) + "…";
    diagnostic.message = std::move(message);
    diagnostic.suggestion = std::move(suggestion);
    // The same slip met again through an alias, an extends or a second pass is one finding, whatever its path is there.
    std::string known = prefix(diagnostic);
    if (place) known = diagnostic.at.file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) + ":";
    if (!seen_.insert(known + diagnostic.message).second) return;
    diagnostic.excerpt = files.line(place);
    if (severity == Severity::error) ++errors_;
    ++kept;
    added_ = true;
    list.push_back(std::move(diagnostic));
}

void Report::close() {
    if (dropped_ == 0) return;
    Diagnostic diagnostic;
    diagnostic.severity = failed() ? Severity::error : Severity::warning;
    diagnostic.message = std::to_string(dropped_) + " more findings are not shown";
    list.push_back(std::move(diagnostic));
}

void Report::file_error(std::string file, std::string message) {
    added_ = false;
    Diagnostic diagnostic;
    diagnostic.at.file = std::move(file);
    diagnostic.message = std::move(message);
    if (!seen_.insert(prefix(diagnostic) + diagnostic.message).second) return;
    ++errors_;
    list.push_back(std::move(diagnostic));
}

std::string render(const Diagnostic& diagnostic, bool excerpt) {
    std::string out = prefix(diagnostic) + diagnostic.message;
    if (!diagnostic.suggestion.empty()) out += " — " + diagnostic.suggestion;
    for (const base::SourcePos& other : diagnostic.related) {
        out += " (" + base::printable(other.file) + ":" + std::to_string(other.line) + ":" + std::to_string(other.column) + ")";
    }
    if (!excerpt || diagnostic.excerpt.empty() || diagnostic.at.column < 1) return out;
    std::string_view line = diagnostic.excerpt;
    std::string text = "    ", caret = "    ";
    size_t column = 1, at = 0;
    // A caret far to the right: the line is shown from a little before it.
    auto target = static_cast<size_t>(diagnostic.at.column);
    size_t skip = target > kExcerptWidth / 2 ? target - kExcerptWidth / 2 : 0;
    for (size_t shown = 0; at < line.size() && shown < kExcerptWidth; ++column) {
        size_t length = character_length(line, at);
        std::string_view character = line.substr(at, length);
        at += length;
        if (column <= skip) continue;
        std::string visible = character == "\t" ? "\t" : base::printable(character);
        text += visible;
        if (column < target) caret += character == "\t" ? std::string("\t") : std::string(length > 1 ? 1 : visible.size(), ' ');
        shown += visible.size();
    }
    return out + "\n" + text + "\n" + caret + "^";
}

std::string render_json(const Diagnostic& diagnostic) {
    boost::json::object out;
    out["severity"] = diagnostic.severity == Severity::error ? "error" : "warning";
    out["file"] = diagnostic.at.file;
    out["line"] = diagnostic.at.line;
    out["column"] = diagnostic.at.column;
    out["path"] = diagnostic.path;
    out["message"] = diagnostic.message;
    out["suggestion"] = diagnostic.suggestion;
    if (!diagnostic.related.empty()) {
        boost::json::array related;
        for (const base::SourcePos& other : diagnostic.related) {
            related.push_back(boost::json::object{{"file", other.file}, {"line", other.line}, {"column", other.column}});
        }
        out["related"] = std::move(related);
    }
    return boost::json::serialize(out);
}

std::string render(const std::vector<Diagnostic>& diagnostics, bool excerpt) {
    std::string out;
    for (const Diagnostic& diagnostic : diagnostics) out += render(diagnostic, excerpt) + "\n";
    return out;
}

base::Error to_error(const std::vector<Diagnostic>& diagnostics) {
    const Diagnostic* first = nullptr;
    size_t more = 0;
    for (const Diagnostic& diagnostic : diagnostics) {
        if (diagnostic.severity != Severity::error) continue;
        if (first == nullptr) first = &diagnostic;
        else ++more;
    }
    if (first == nullptr) return base::fail(base::Code::internal, "no error was found");
    std::string text = render(*first, false);
    if (more > 0) text += " (and " + std::to_string(more) + (more == 1 ? " more error)" : " more errors)");
    base::Error error = base::fail(base::Code::invalid, std::move(text));
    if (!first->at.file.empty()) error.at = first->at;
    return error;
}

}  // namespace compose::model
