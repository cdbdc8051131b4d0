#include "cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"

namespace compose::cli {

void open_standard_fds() {
    for (int fd = 0; fd <= 2; ++fd)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            int opened = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);  // takes the lowest free number, which is fd
            if (opened >= 0 && opened != fd) close(opened);
        }
}

bool is_terminal(int fd) { return isatty(fd) == 1; }

int columns(int fd) {
    winsize size{};
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

namespace {
/// Calls `each` with every piece of the text and the columns it takes (0 for an escape).
template <class F>
void pieces(std::string_view text, F each) {
    for (size_t i = 0; i < text.size();) {
        size_t end = i + 1;
        if (text[i] == '\033' && end < text.size() && text[end] == '[') {
            while (++end < text.size() && (text[end] < '@' || text[end] > '~')) {
            }
            end = std::min(end + 1, text.size());
            each(text.substr(i, end - i), 0);
        } else {
            while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
            each(text.substr(i, end - i), 1);
        }
        i = end;
    }
}
}  // namespace

size_t width(std::string_view text) {
    size_t total = 0;
    pieces(text, [&](std::string_view, int columns) { total += static_cast<size_t>(columns); });
    return total;
}

std::string cut_to(std::string_view text, size_t limit) {
    std::string result;
    size_t total = 0;
    pieces(text, [&](std::string_view piece, int columns) {
        total += static_cast<size_t>(columns);
        if (columns == 0 || total <= limit) result += piece;
    });
    return result;
}

bool colours(int fd, Ansi ansi) {
    if (ansi != Ansi::automatic) return ansi == Ansi::always;
    const char* no_color = getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): nothing sets variables
    const char* term = getenv("TERM");          // NOLINT(concurrency-mt-unsafe)
    return is_terminal(fd) && !(no_color && *no_color) && !(term && std::string_view(term) == "dumb");
}

std::string paint(std::string_view style, std::string_view text, bool on) {
    return on ? std::string(style) + std::string(text) + std::string(style::kReset) : std::string(text);
}

Output::~Output() { (void)flush(); }  // ignored: who wants to know calls flush

Output& Output::operator<<(std::string_view text) {
    buffer_ += text;
    if (buffer_.size() > 64 * 1024) (void)flush();  // the error is kept for the last flush
    return *this;
}

base::Status Output::flush() {
    if (status_ && !buffer_.empty()) status_ = base::write_all(fd_, buffer_);
    buffer_.clear();
    return status_;
}

}  // namespace compose::cli
