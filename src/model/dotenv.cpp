#include "model/dotenv.h"

#include "base/text.h"

namespace compose::model {

namespace {

constexpr size_t kMaxDotenvBytes = 32u << 20;  ///< bytes; each line may double what the one before it made

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }
bool is_space(char c) { return is_blank(c) || c == '\n'; }

std::string_view skip_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    return text;
}
std::string_view trim_right(std::string_view text) {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

bool is_name_byte(char c) {
    auto byte = static_cast<unsigned char>(c);
    // Letters beyond ASCII are bytes of a UTF-8 sequence; Docker Compose takes them.
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
           c == '[' || c == ']' || byte >= 0x80;
}

void append_utf8(std::string& out, unsigned code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else {
        out += static_cast<char>(0xC0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3F));
    }
}

/// `\a \b \f \n \r \t \v \" \\ \0NNN`, and `\$` as `$$`; others stay as they are.
std::string expand_escapes(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\' || at + 1 == text.size()) {
            out += text[at];
            continue;
        }
        char c = text[++at];
        switch (c) {
            case 'a': out += '\a'; break;
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'v': out += '\v'; break;
            case '"': out += '"'; break;
            case '\\': out += '\\'; break;
            case '$': out += "$$"; break;
            case '0': {
                unsigned code = 0;
                size_t digits = 0;
                while (digits < 3 && at + 1 + digits < text.size() && text[at + 1 + digits] >= '0' && text[at + 1 + digits] <= '7') {
                    code = code * 8 + static_cast<unsigned>(text[at + 1 + digits] - '0');
                    ++digits;
                }
                if (digits == 3 && code <= 255) {
                    append_utf8(out, code);
                    at += 3;
                } else {
                    out += "\\0";
                }
                break;
            }
            default:
                out += '\\';
                out += c;
        }
    }
    return out;
}

class Parser {
public:
    Parser(std::string_view text, Variables& out, const Lookup& lookup, const Unset& unset, std::map<std::string, int>* lines)
        : rest_(text), out_(out), lookup_(lookup), unset_(unset), lines_(lines) {
        if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
    }

    std::expected<void, DotenvError> run() {
        while (skip_to_statement()) {
            int at = line_;
            bool inherited = false;
            auto name = read_name(inherited);
            if (!name) return std::unexpected(name.error());
            if (name->find(' ') != std::string::npos) return error(at, "key cannot contain a space");
            if (inherited) {
                if (auto value = lookup_ ? lookup_(*name) : std::nullopt) set(*name, *value, at);
                continue;
            }
            auto value = read_value();
            if (!value) return std::unexpected(value.error());
            size_ += value->size();
            if (size_ > kMaxDotenvBytes) return error(at, "the values are larger than " + std::to_string(kMaxDotenvBytes >> 20) + " MiB");
            set(*name, std::move(*value), at);
        }
        return {};
    }

private:
    static std::unexpected<DotenvError> error(int line, std::string message) {
        return std::unexpected(DotenvError{line, std::move(message)});
    }

    void set(const std::string& name, std::string value, int line) {
        out_[name] = std::move(value);
        if (lines_ != nullptr) (*lines_)[name] = line;
    }

    bool skip_to_statement() {
        while (!rest_.empty()) {
            if (is_space(rest_.front())) {
                if (rest_.front() == '\n') ++line_;
                rest_.remove_prefix(1);
            } else if (rest_.front() == '#') {
                size_t end = rest_.find('\n');
                if (end == std::string_view::npos) return false;
                rest_.remove_prefix(end);
            } else {
                return true;
            }
        }
        return false;
    }

    std::expected<std::string, DotenvError> read_name(bool& inherited) {
        if (rest_.starts_with("export") && rest_.size() > 6 && is_space(rest_[6])) rest_ = skip_blanks(rest_.substr(6));
        for (size_t at = 0; at < rest_.size(); ++at) {
            char c = rest_[at];
            if (is_blank(c)) continue;
            if (c == '=' || c == ':' || c == '\n') {
                std::string name(trim_right(rest_.substr(0, at)));
                inherited = c == '\n';
                if (inherited) ++line_;
                rest_ = skip_blanks(rest_.substr(at + 1));
                return name;
            }
            if (!is_name_byte(c)) {
                std::string_view line = rest_.substr(0, rest_.find('\n'));
                return error(line_, "unexpected character " + base::quote(std::string_view(&c, 1)) + " in variable name " +
                                        base::quote(trim_right(line)));
            }
        }
        // The last line has no newline: a name alone there, too.
        std::string name(trim_right(rest_));
        inherited = true;
        rest_ = {};
        return name;
    }

    std::expected<std::string, DotenvError> expand(std::string_view text) {
        auto done = substitute(
            text,
            [this](std::string_view name) -> std::optional<std::string> {
                if (lookup_) {
                    if (auto value = lookup_(name)) return value;
                }
                auto found = out_.find(std::string(name));
                if (found == out_.end()) return std::nullopt;
                return found->second;
            },
            unset_);
        if (done) return std::move(*done);
        if (done.error().required) return error(line_, done.error().message);
        return error(line_, "invalid template: " + base::quote(done.error().message));
    }

    std::expected<std::string, DotenvError> read_value() {
        char quote = rest_.empty() ? '\0' : rest_.front();
        if (quote != '"' && quote != '\'') {
            size_t end = rest_.find('\n');
            std::string_view line = rest_.substr(0, end);
            rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
            line = trim_right(line.substr(0, line.find(" #")));
            auto value = expand(line);
            ++line_;
            return value;
        }
        std::string text;
        bool escape = false;
        int start = line_;
        for (size_t at = 1; at < rest_.size(); ++at) {
            char c = rest_[at];
            if (c == '\n') ++line_;
            if (c != quote) {
                if (!escape && c == '\\') {
                    escape = true;
                    continue;
                }
                if (escape) text += '\\';
                escape = false;
                text += c;
                continue;
            }
            if (escape) {
                escape = false;
                text += c;
                continue;
            }
            rest_ = rest_.substr(at + 1);
            return quote == '"' ? expand(expand_escapes(text)) : std::expected<std::string, DotenvError>(std::move(text));
        }
        return error(start, "unterminated quoted value " + base::printable(trim_right(rest_.substr(0, rest_.find('\n')))));
    }

    std::string_view rest_;
    Variables& out_;
    const Lookup& lookup_;
    const Unset& unset_;
    std::map<std::string, int>* lines_;
    int line_ = 1;
    size_t size_ = 0;  ///< of all values
};

}  // namespace

std::expected<void, DotenvError> parse_dotenv(std::string_view text, Variables& out, const Lookup& lookup, const Unset& unset,
                                              std::map<std::string, int>* lines) {
    return Parser(text, out, lookup, unset, lines).run();
}

std::expected<void, DotenvError> parse_raw_env(std::string_view text, Variables& out, const Lookup& lookup,
                                               std::map<std::string, int>* lines) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (int line = 1; !text.empty(); ++line) {
        size_t end = text.find('\n');
        std::string_view row = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
        if (row.ends_with('\r')) row.remove_suffix(1);
        std::string_view start = row;
        while (!start.empty() && is_space(start.front())) start.remove_prefix(1);
        if (start.empty() || start.front() == '#') continue;
        size_t equals = row.find('=');
        std::string name = base::trim(row.substr(0, equals));
        if (name.empty()) return std::unexpected(DotenvError{line, "no variable name on this line"});
        if (equals == std::string_view::npos) {
            if (auto value = lookup ? lookup(name) : std::nullopt) out[name] = *value;
        } else {
            out[name] = std::string(row.substr(equals + 1));
        }
        if (lines != nullptr) (*lines)[name] = line;
    }
    return {};
}

}  // namespace compose::model
