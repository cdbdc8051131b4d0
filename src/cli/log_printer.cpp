#include "cli/log_printer.h"

#include <algorithm>
#include <chrono>

#include "base/file.h"
#include "base/text.h"
#include "cli/terminal.h"

namespace compose::cli {
namespace {

// cyan, yellow, green, magenta, blue, then the bright ones: Docker Compose's order
constexpr std::string_view kColours[] = {"\033[36m", "\033[33m", "\033[32m", "\033[35m", "\033[34m",
                                         "\033[36;1m", "\033[33;1m", "\033[32;1m", "\033[35;1m", "\033[34;1m"};
constexpr size_t kFull = 128 * 1024;          // written at once from here on
constexpr size_t kLongestHeld = 8 << 20;      // a line longer than this may be cut by another container's
constexpr auto kDelay = std::chrono::milliseconds(4);  // lines that come within it share a write

}  // namespace

LogPrinter::LogPrinter(int fd, LogStyle style) : fd_(fd), style_(style) {
    flusher_ = std::thread([this] { flush_loop(); });
}

LogPrinter::~LogPrinter() {
    {
        std::lock_guard lock(wake_mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    flusher_.join();
    for (auto& source : sources_) flush(*source, true);
}

void LogPrinter::expect(const std::string& name) {
    size_t wanted = width(name), now = name_width_.load();
    while (wanted > now && !name_width_.compare_exchange_weak(now, wanted)) {
    }
}

LogPrinter::Source& LogPrinter::add(const std::string& name) {
    expect(name);
    std::lock_guard lock(sources_mutex_);
    // a container that is attached to again keeps its colour
    size_t colour = sources_.size();
    for (size_t i = 0; i < sources_.size(); ++i)
        if (sources_[i]->name_ == name) colour = sources_[i]->colour_;
    sources_.push_back(std::make_unique<Source>(*this, name, colour));
    return *sources_.back();
}

std::string LogPrinter::painted(const std::string& name) const {
    if (!style_.colour) return name;
    std::lock_guard lock(sources_mutex_);
    for (const auto& source : sources_)
        if (source->name_ == name) return paint(kColours[source->colour_ % std::size(kColours)], name, true);
    return name;
}

bool LogPrinter::Source::line(const engine::LogLine& line) {
    std::unique_lock lock(mutex_);
    if (!inside_line_) {
        if (printer_.style_.prefix) {
            size_t wanted = printer_.name_width_.load(std::memory_order_relaxed);
            if (prefix_.empty() || prefix_width_ != wanted) {
                prefix_width_ = wanted;
                std::string text = name_ + std::string(wanted - std::min(wanted, width(name_)), ' ') + "  | ";
                prefix_ = paint(kColours[colour_ % std::size(kColours)], text, printer_.style_.colour);
            }
            buffer_ += prefix_;
        }
        if (printer_.style_.timestamps) buffer_ += base::format_time(line.time) + ' ';
    }
    buffer_.append(line.text);
    inside_line_ = !line.ends_line;
    if (line.ends_line) {
        buffer_ += '\n';
        whole_ = buffer_.size();
    }
    bool too_long = buffer_.size() > kLongestHeld;
    if (buffer_.size() >= kFull && (whole_ > 0 || too_long)) {
        lock.unlock();
        printer_.flush(*this, too_long);
    } else if (!printer_.pending_.load(std::memory_order_acquire)) {
        lock.unlock();
        printer_.wake();
    }
    return !printer_.broken();
}

void LogPrinter::Source::finish() {
    {
        std::lock_guard lock(mutex_);
        if (inside_line_) buffer_ += '\n';
        inside_line_ = false;
        whole_ = buffer_.size();
    }
    printer_.flush(*this, true);
}

void LogPrinter::flush(Source& source, bool all) {
    // the output is taken first, so that two flushes of one source cannot change places
    std::lock_guard output(output_mutex_);
    std::string text;
    {
        std::lock_guard lock(source.mutex_);
        size_t size = all ? source.buffer_.size() : source.whole_;
        if (size == 0) return;
        if (size == source.buffer_.size()) {
            text = std::move(source.buffer_);
            source.buffer_.clear();
            source.buffer_.reserve(kFull + 4096);
        } else {
            text = source.buffer_.substr(0, size);
            source.buffer_.erase(0, size);
        }
        source.whole_ = 0;
    }
    write(text);
}

void LogPrinter::note(const std::string& text) {
    std::lock_guard output(output_mutex_);
    write(text + "\n");
}

void LogPrinter::write(std::string_view text) {
    if (!broken() && !base::write_all(fd_, text)) broken_.store(true);
}

void LogPrinter::wake() {
    if (pending_.exchange(true)) return;
    std::lock_guard lock(wake_mutex_);
    wake_.notify_one();
}

void LogPrinter::flush_loop() {
    std::unique_lock lock(wake_mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stop_ || pending_.load(); });
        if (stop_) return;
        wake_.wait_for(lock, kDelay, [this] { return stop_; });
        pending_.store(false);
        lock.unlock();
        std::vector<Source*> all;
        {
            std::lock_guard sources(sources_mutex_);
            for (auto& source : sources_) all.push_back(source.get());
        }
        for (Source* source : all) flush(*source, false);
        lock.lock();
    }
}

}  // namespace compose::cli
