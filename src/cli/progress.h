#pragma once
// How an operation is seen while it goes on: a redrawn block on a terminal, a line an event otherwise, JSON, or nothing.
// Texts and layout: behaviour.md §7.
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "run/events.h"

namespace compose::cli {

enum class ProgressMode : uint8_t { tty, plain, json, quiet };

class Progress {
public:
    Progress(ProgressMode mode, int fd, bool colour, bool dry_run);
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress();

    /// Tells one event; from any thread.
    void event(const run::StepEvent& event);
    /// The same for what has no step: ` p-a-1 copy f1 to p-a-1:/tmp/ Copied`.
    void say(const std::string& id, const std::string& status, run::Phase phase, const std::string& text = {});
    /// A layer of an image on its way, under the image's line.
    void transfer(const std::string& id, const engine::PullProgress& at, bool push = false);
    /// Draws the block a last time and leaves it standing; events that follow on a terminal are not drawn. Others go on.
    void close();

private:
    using Clock = std::chrono::steady_clock;
    struct Layer {
        std::string id, status;
        engine::PullProgress::Phase phase = engine::PullProgress::Phase::waiting;
        uint64_t current = 0, total = 0;
        double rate = 0;  ///< bytes a second, smoothed
        Clock::time_point marked;
        uint64_t marked_bytes = 0;
    };
    struct Line {
        std::string id, status, text;
        run::Phase phase = run::Phase::working;
        std::chrono::steady_clock::time_point start, end;
        std::vector<Layer> layers;
    };
    static void follow(Line& line, const run::StepEvent& event);
    std::string shown(const Layer& layer, size_t limit) const;
    void draw(bool last);
    void animate();
    std::string shown(const Line& line, size_t id_width, size_t limit) const;

    ProgressMode mode_;
    int fd_;
    bool colour_, dry_run_, closed_ = false, hidden_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<Line> lines_;
    std::map<std::string, size_t> index_;
    size_t drawn_ = 0;  ///< rows on the screen
    unsigned frame_ = 0;
    std::thread painter_;
};

}  // namespace compose::cli
