#include "cli/when.h"

namespace compose::cli {

base::Result<base::Time> parse_when(const std::string& text) {
    if (text.empty()) return base::Time{0};
    auto [seconds, fraction] = base::cut(text, '.');
    if (auto whole = base::parse_int(seconds); whole && *whole >= 0 && *whole < 9'000'000'000) {
        std::string digits = (fraction.value_or("") + "000000000").substr(0, 9);
        if (auto nanoseconds = base::parse_int(digits); nanoseconds && *nanoseconds >= 0) return *whole * 1'000'000'000 + *nanoseconds;
    }
    if (auto age = base::parse_duration(text)) return std::max<base::Time>(1, base::now() - age->count());
    // a date or time without a zone counts as UTC
    for (std::string candidate : {text, text + "Z", text + "T00:00:00Z", text + ":00Z", text + ":00:00Z"})
        if (auto time = base::parse_time(candidate)) return std::max<base::Time>(1, *time);
    return base::fail(base::Code::invalid, "invalid time " + base::quote(text) + ": use an age such as 42m, or a time such as 2026-01-02T13:23:37Z");
}

base::Result<std::vector<std::string>> split_words(const std::string& line) {
    std::vector<std::string> words;
    std::string word;
    bool inside = false;
    char quote = 0;
    for (size_t i = 0; i < line.size(); ++i) {
        char c = line[i];
        if (quote) {
            if (c == quote)
                quote = 0;
            else if (c == '\\' && quote == '"' && i + 1 < line.size() && (line[i + 1] == '"' || line[i + 1] == '\\' || line[i + 1] == '$'))
                word += line[++i];
            else
                word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            inside = true;
        } else if (c == '\\' && i + 1 < line.size()) {
            word += line[++i];
            inside = true;
        } else if (c == ' ' || c == '\t' || c == '\n') {
            if (inside) words.push_back(std::exchange(word, {}));
            inside = false;
        } else {
            word += c;
            inside = true;
        }
    }
    if (quote) return base::fail(base::Code::invalid, "unterminated quote in " + base::quote(line));
    if (inside) words.push_back(word);
    return words;
}

}  // namespace compose::cli
