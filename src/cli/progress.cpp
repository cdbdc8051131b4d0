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

size_t rows(int fd) {
    winsize size{};
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

/// What of a step's text fits a line: its first one (the whole of an error follows when the command ends).
std::string one_line(const std::string& text) { return base::printable(text.substr(0, text.find('\n'))); }

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

void Progress::transfer(const std::string& id, const engine::PullProgress& at, bool push) {
    run::StepEvent told;
    told.id = id;
    told.status = run::transfer_word(at.phase, push);
    told.text = at.layer;
    told.pull = &at;
    event(told);
}

/// One layer's news, and from it its rate: over half a second and more, smoothed.
void Progress::follow(Line& line, const run::StepEvent& event) {
    const engine::PullProgress& at = *event.pull;
    auto found = std::find_if(line.layers.begin(), line.layers.end(), [&](const Layer& layer) { return layer.id == at.layer; });
    if (found == line.layers.end()) {
        found = line.layers.insert(line.layers.end(), Layer{});
        found->id = at.layer;
        found->marked = Clock::now();
    }
    found->status = event.status;
    found->phase = at.phase;
    found->current = at.current;
    found->total = at.total;
    auto now = Clock::now();
    double seconds = std::chrono::duration<double>(now - found->marked).count();
    if (at.current < found->marked_bytes) {  // from the beginning again
        found->marked_bytes = at.current;
        found->marked = now;
    } else if (seconds >= 0.5 || (found->rate == 0 && seconds >= 0.1)) {
        double rate = static_cast<double>(at.current - found->marked_bytes) / seconds;
        found->rate = found->rate == 0 ? rate : 0.5 * found->rate + 0.5 * rate;
        found->marked_bytes = at.current;
        found->marked = now;
    }
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
                              resource && event.text.empty() ? "" : " ", one_line(event.text));
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
        follow(line, event);
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
        for (const Layer& layer : line.layers) current += layer.current, total += layer.total;
        if (total) status += fmt::format(" {} / {}", base::format_bytes(current), base::format_bytes(total));
    }
    if (!line.text.empty()) status += " " + one_line(line.text);
    double seconds = std::chrono::duration<double>((done ? line.end : Clock::now()) - line.start).count();
    std::string time = fmt::format("{:.1f}s", seconds);
    std::string text = fmt::format(" {}{} {}{}  {}", dry_run_ ? "DRY-RUN MODE -  " : "", paint(colour, mark, colour_), line.id,
                                   std::string(id_width - width(line.id), ' '), paint(colour, status, colour_));
    size_t room = limit > time.size() + 1 ? limit - time.size() - 1 : 0;
    text = cut_to(text, room);
    if (width(text) < room) text.append(room - width(text), ' ');
    return text + paint(style::kBlue, time, colour_) + "\n";
}

/// A layer at work: `   ⠋ 0123456789ab Downloading  12.3MB / 98.1MB  45.6MB/s`.
std::string Progress::shown(const Layer& layer, size_t limit) const {
    using P = engine::PullProgress::Phase;
    std::string text = fmt::format("   {} {} {:<11}", paint(style::kCyan, kSpinner[frame_ % 10], colour_), layer.id, layer.status);
    if (layer.total) text += fmt::format("  {} / {}", base::format_bytes(layer.current), base::format_bytes(layer.total));
    if (layer.phase == P::downloading && layer.rate > 0) text += fmt::format("  {}/s", base::format_bytes(static_cast<uint64_t>(layer.rate)));
    return cut_to(text, limit) + "\n";
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
    // Layers at work, below their image, where there is room.
    using P = engine::PullProgress::Phase;
    size_t room = last || order.size() >= most ? 0 : most - order.size();
    drawn_ = order.size() + 1;
    for (const Line* line : order) {
        out += "\033[K" + shown(*line, id_width, limit);
        if (line->phase != Phase::working) continue;
        for (const Layer& layer : line->layers) {
            if (room == 0) break;
            if (layer.phase == P::done || layer.phase == P::exists) continue;
            out += "\033[K" + shown(layer, limit);
            --room;
            ++drawn_;
        }
    }
    out += "\033[J";
    if (last) {
        out += "\033[?25h";
        hidden_ = false;
    }
    (void)base::write_all(fd_, out);  // ignored: as above
}

}  // namespace compose::cli
