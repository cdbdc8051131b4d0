#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/streams.h"
#include "oci/verbs.h"
#include "runtime/exec.h"
#include "runtime/terminal.h"

namespace engine::oci {
using base::Code;
using base::Result;

base::Status check_passed_files(unsigned count) {
    for (unsigned i = 0; i < count; ++i)
        if (::fcntl(static_cast<int>(3 + i), F_GETFD) < 0) return base::fail_errno("please check that preserved-fd " + std::to_string(3 + i) + " is open");
    return {};
}

Result<int> follow(const base::PidFd& process, base::UniqueFd terminal) {
    if (terminal) {
        runtime::CopyJob job;
        job.local = {0, 1, 2};
        job.tty = true;
        job.remote_in = job.remote_out = terminal.get();
        job.end_fd = process.fd();
        job.on_signal = [&process](int number) { (void)process.signal(number); };
        (void)TRY(runtime::copy_streams(job));
        return runtime::wait_exit(process);
    }
    // The process has our streams; what is left to do is passing signals on.
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) sigaddset(&set, number);
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &set, &before);
    base::UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return base::fail_errno("signalfd");
    for (;;) {
        pollfd wait[2] = {{process.fd(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
        if (::poll(wait, 2, -1) < 0 && errno != EINTR) return base::fail_errno("poll");
        signalfd_siginfo info{};
        while (::read(signals.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) (void)process.signal(static_cast<int>(info.ssi_signo));
        if ((wait[0].revents & POLLIN) != 0) break;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return runtime::wait_exit(process);
}

Result<int> run(const Store& store, const RunOptions& options) {
    Created made = TRY(create(store, options.create));
    const std::string& id = options.create.id;
    auto give_up = [&](base::Error error) {
        (void)made.process.signal(SIGKILL);
        (void)runtime::wait_exit(made.process);
        (void)remove(store, id, true);
        return error;
    };
    if (made.terminal && options.detach) return give_up(base::fail(Code::invalid, "cannot allocate tty if runc will detach without setting console socket"));
    if (auto started = start(store, id); !started) return give_up(std::move(started.error()));
    if (options.detach) return 0;
    auto code = follow(made.process, std::move(made.terminal));
    if (!code) return give_up(std::move(code.error()));
    if (!options.keep) TRY_VOID(remove(store, id, false));
    return code;
}

}  // namespace engine::oci
