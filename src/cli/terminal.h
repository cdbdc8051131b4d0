#pragma once
// The terminal as the program sees it: is there one, how large, may it be coloured; and standard fds that are always open.
#include <string>
#include <string_view>

#include "base/error.h"

struct termios;

namespace compose::cli {

/// A program started with fd 0, 1 or 2 closed would give the next file it opens that number; they are /dev/null instead.
void open_standard_fds();

bool is_terminal(int fd);
/// Columns of a terminal; 80 when it does not say.
int columns(int fd);
/// Columns that a text takes: escapes take none, UTF-8 sequences one.
size_t width(std::string_view text);
/// Cut to so many columns.
std::string cut_to(std::string_view text, size_t width);

enum class Ansi : uint8_t { automatic, always, never };
/// What --ansi, NO_COLOR and TERM=dumb leave of colours on this fd.
bool colours(int fd, Ansi ansi);

namespace style {
inline constexpr std::string_view kReset = "\033[0m", kRed = "\033[31m", kGreen = "\033[32m", kYellow = "\033[33m",
                                  kBlue = "\033[34m", kCyan = "\033[36m", kBold = "\033[1m", kBoldRed = "\033[1;31m";
}
/// Text in a colour, when `on`.
std::string paint(std::string_view style, std::string_view text, bool on);

/// Prints to fd 1 through one large buffer; an error (a closed pipe, a full disk) ends the printing once.
class Output {
public:
    explicit Output(int fd) : fd_(fd) {}
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;
    ~Output();
    Output& operator<<(std::string_view text);
    base::Status flush();

private:
    int fd_;
    std::string buffer_;
    base::Status status_;
};

}  // namespace compose::cli
