#include "cli/interrupts.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <mutex>

namespace compose::cli::interrupts {
namespace {

std::atomic<bool> interrupted{false};
std::atomic<int> signals{0};
std::atomic<int> last{0};
int event_fd = -1;

void handle(int number) {
    int saved = errno;
    last.store(number);
    signals.fetch_add(1);
    interrupted.store(true);
    uint64_t one = 1;
    (void)!write(event_fd, &one, sizeof one);  // full: the reader is awake anyway
    errno = saved;
}

void install_handlers() {
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    for (int number : {SIGINT, SIGTERM, SIGHUP}) {
        // nohup and `&` of a shell without job control mean what they say: an ignored signal stays ignored
        struct sigaction before {};
        sigaction(number, nullptr, &before);
        if (before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);
    }
}

}  // namespace

void ignore_broken_pipes() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
}

void install() {
    static std::once_flag once;
    std::call_once(once, install_handlers);
}

const std::atomic<bool>& flag() { return interrupted; }
int count() { return signals.load(); }
int last_signal() { return last.load(); }

Watch::Watch(std::function<void(int)> on_signal) : on_signal_(std::move(on_signal)), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
    install();
    thread_ = std::thread([this] {
        int seen = 0;
        for (;;) {
            int now = count();
            if (now != seen) on_signal_(seen = now);
            pollfd fds[] = {{event_fd, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
            if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
            if (fds[1].revents) return;
            uint64_t drained;
            (void)!read(event_fd, &drained, sizeof drained);  // nothing to read: another signal's turn
        }
    });
}

Watch::~Watch() {
    uint64_t one = 1;
    (void)!write(stop_fd_, &one, sizeof one);
    thread_.join();
    close(stop_fd_);
}

}  // namespace compose::cli::interrupts
