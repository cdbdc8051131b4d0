#include "cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/terminal.h"

namespace compose::cli {
namespace {

using run::Phase;
using Clock = std::chrono::steady_clock;

size_t rows(int fd) {
    winsize size{};
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

constexpr const char* kSpinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};

}  // namespace

Progress::Progress(ProgressMode mode, int fd, bool colour, bool dry_run) : mode_(mode), fd_(fd), colour_(colour), dry_run_(dry_run) {}

Progress::~Progress() {
    close();
    if (painter_.joinable()) painter_.join();
}

void Progress::say(const std::string& id, const std::string& status, Phase phase, const std::string& text) {
    run::StepEvent told;
    told.id = id;
    told.status = status;
    told.phase = phase;
    told.text = text;
    event(told);
}

void Progress::event(const run::StepEvent& event) {
    std::unique_lock lock(mutex_);
    if (mode_ == ProgressMode::quiet || event.id.empty()) return;
    if (mode_ != ProgressMode::tty) {
        std::string out;
        if (mode_ == ProgressMode::json) {
            boost::json::object object{{"id", event.id}, {"status", event.status}};
            if (dry_run_) object["dry-run"] = true;
            if (!event.text.empty()) object["text"] = event.text;
            if (event.pull) {
                object["parent_id"] = event.id;
                object["id"] = event.pull->layer;
                object["current"] = event.pull->current;
                object["total"] = event.pull->total;
                if (event.pull->total) object["percent"] = event.pull->current * 100 / event.pull->total;
            }
            out = boost::json::serialize(object) + "\n";
        } else {
            if (event.pull) return;
            bool resource = event.id.find(' ') != std::string::npos;  // "Container p-a-1": two blanks before the status
            out = fmt::format(" {}{}{}{}{}{}\n", dry_run_ ? "DRY-RUN MODE -  " : "", event.id, resource ? "  " : " ", event.status,
                              resource && event.text.empty() ? "" : " ", base::printable(event.text));
        }
        (void)base::write_all(fd_, out);  // ignored: a lost progress line changes nothing
        return;
    }
    if (closed_) return;
    auto [it, added] = index_.try_emplace(event.id, lines_.size());
    if (added) {
        lines_.emplace_back();
        lines_.back().id = event.id;
        lines_.back().start = Clock::now();
    }
    Line& line = lines_[it->second];
    if (event.pull && !event.pull->layer.empty()) {
        line.layers[event.pull->layer] = {event.pull->current, event.pull->total};
    } else if (!event.pull) {
        if (line.phase != Phase::working && event.phase == Phase::working) line.start = Clock::now();
        line.status = event.status;
        line.phase = event.phase;
        line.text = event.text;
        line.end = Clock::now();
    }
    if (!painter_.joinable()) painter_ = std::thread([this] { animate(); });
    wake_.notify_one();
}

/// Redraws ten times a second while something works; sleeps otherwise.
void Progress::animate() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
        draw(false);
        bool busy = std::any_of(lines_.begin(), lines_.end(), [](const Line& line) { return line.phase == Phase::working; });
        if (busy)
            wake_.wait_for(lock, std::chrono::milliseconds(100), [this] { return closed_; });
        else
            wake_.wait(lock);
        ++frame_;
    }
}

void Progress::close() {
    std::unique_lock lock(mutex_);
    if (closed_) return;
    if (mode_ == ProgressMode::tty && !lines_.empty()) draw(true);
    closed_ = mode_ == ProgressMode::tty;
    wake_.notify_all();
}

std::string Progress::shown(const Line& line, size_t id_width, size_t limit) const {
    bool done = line.phase != Phase::working;
    std::string_view colour = line.phase == Phase::done      ? style::kGreen
                              : line.phase == Phase::error   ? style::kRed
                              : line.phase == Phase::warning ? style::kYellow
                                                             : style::kCyan;
    const char* mark = line.phase == Phase::done ? "✔" : line.phase == Phase::error ? "✘" : line.phase == Phase::warning ? "!" : kSpinner[frame_ % 10];
    std::string status = line.status;
    if (!done && !line.layers.empty()) {
        uint64_t current = 0, total = 0;
        for (auto& [layer, bytes] : line.layers) current += bytes.first, total += bytes.second;
        if (total) status += fmt::format(" {} / {}", base::format_bytes(current), base::format_bytes(total));
    }
    if (!line.text.empty()) status += " " + base::printable(line.text);
    double seconds = std::chrono::duration<double>((done ? line.end : Clock::now()) - line.start).count();
    std::string time = fmt::format("{:.1f}s", seconds);
    std::string text = fmt::format(" {}{} {}{}  {}", dry_run_ ? "DRY-RUN MODE -  " : "", paint(colour, mark, colour_), line.id,
                                   std::string(id_width - width(line.id), ' '), paint(colour, status, colour_));
    size_t room = limit > time.size() + 1 ? limit - time.size() - 1 : 0;
    text = cut_to(text, room);
    if (width(text) < room) text.append(room - width(text), ' ');
    return text + paint(style::kBlue, time, colour_) + "\n";
}

void Progress::draw(bool last) {
    if (lines_.empty()) return;
    size_t limit = static_cast<size_t>(columns(fd_)), most = std::max<size_t>(rows(fd_), 4) - 2, done = 0, id_width = 0;
    for (const Line& line : lines_) {
        done += line.phase != Phase::working;
        id_width = std::max(id_width, width(line.id));
    }
    std::string out = hidden_ ? "" : "\033[?25l";
    hidden_ = true;
    if (drawn_) out += fmt::format("\033[{}A\r", drawn_);
    std::string heading = fmt::format("[+] Running {}/{}", done, lines_.size());
    out += "\033[K" + paint(done == lines_.size() ? style::kBlue : std::string_view(), heading, colour_ && done == lines_.size()) + "\n";
    // more lines than rows cannot be redrawn: those at work go first; the last drawing scrolls and shows all
    std::vector<const Line*> order;
    for (const Line& line : lines_) order.push_back(&line);
    if (!last && order.size() > most) {
        std::stable_partition(order.begin(), order.end(), [](const Line* line) { return line->phase == Phase::working; });
        order.resize(most);
    }
    for (const Line* line : order) out += "\033[K" + shown(*line, id_width, limit);
    out += "\033[J";
    drawn_ = order.size() + 1;
    if (last) {
        out += "\033[?25h";
        hidden_ = false;
    }
    (void)base::write_all(fd_, out);  // ignored: as above
}

}  // namespace compose::cli
