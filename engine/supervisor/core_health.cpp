// Health probes: processes in the container, one at a time, on the schedule of HealthMachine.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "runtime/exec.h"
#include "supervisor/core.h"

namespace engine::supervisor {

namespace {

constexpr size_t kMostOutput = 4096;  // Docker cuts there and writes "..."
constexpr int kNoExitCode = -1;

std::vector<std::string> probe_argv(const HealthCheck& check, const ImageConfig& image) {
    if (check.test.empty()) return {};
    if (check.test[0] == "CMD") return {check.test.begin() + 1, check.test.end()};
    std::vector<std::string> argv = image.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : image.shell;
    argv.insert(argv.end(), check.test.begin() + (check.test[0] == "CMD-SHELL" ? 1 : 0), check.test.end());
    return argv;
}

}  // namespace

/// A probe under way. Shared with the worker that starts it; what comes back to a probe that is no longer the unit's is let go.
struct Probe {
    ~Probe() {
        timeout.reset();
        process_watch.reset();
        output_watch.reset();
        if (process) end();
    }
    /// The whole check: it leads a session and a process group of its own.
    void end() {
        (void)::kill(-process.pid(), SIGKILL);
        (void)process.signal(SIGKILL);
        (void)runtime::wait_exit(process);
        process = {};
    }
    void read_output() {
        char buffer[4096];
        for (;;) {
            ssize_t n = ::read(output.get(), buffer, sizeof buffer);
            if (n < 0 && errno == EINTR) continue;
            if (n == 0) output_watch.reset();
            if (n <= 0) return;
            size_t room = kMostOutput - std::min(text.size(), kMostOutput);
            text.append(buffer, std::min(room, static_cast<size_t>(n)));
            if (static_cast<size_t>(n) > room) cut = true;
        }
    }

    Time start = base::now();
    Clock::time_point began = Clock::now();
    base::PidFd process;
    base::UniqueFd output;
    std::string text;
    bool cut = false;
    EventLoop::FdHandle process_watch, output_watch;
    EventLoop::Timer timeout;
};

void Core::begin_health(Unit& one, bool resumed) {
    one.health.reset();
    one.probe.reset();
    if (!one.resolved.health_check) return;
    one.health.emplace(*one.resolved.health_check, one.began);
    if (resumed) one.health->resume(one.info.state.health, one.info.state.failing_streak);
    schedule_probe(one);
}

void Core::schedule_probe(Unit& one) {
    if (!one.health || one.probe || !one.running() || one.info.state.status == ContainerStatus::paused) return;
    one.health_timer = loop_->after(one.health->next() - Clock::now(), [this, id = one.id] { begin_probe(id); });
}

void Core::begin_probe(const std::string& id) {
    Unit* one = find(id);
    if (!one || !one->running() || !one->health || one->probe || one->info.state.status == ContainerStatus::paused) return;
    auto probe = std::make_shared<Probe>();
    one->probe = probe;
    const HealthCheck& check = *one->resolved.health_check;
    struct Job {
        ContainerInfo info;
        ImageConfig image;
        std::vector<std::string> argv;
        base::UniqueFd out;
        base::Result<runtime::ExecProcess> process = base::fail(base::Code::internal, "not begun");
    };
    auto job = std::make_shared<Job>();
    job->info = one->info;
    job->image = one->image;
    job->argv = probe_argv(check, one->image);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) == 0) {
        probe->output = base::UniqueFd(ends[0]);
        job->out = base::UniqueFd(ends[1]);
        (void)::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    const Nanoseconds timeout = check.timeout;
    busy_++;
    // On a worker: a program on a file system that hangs must not hold the loop.
    workers_->run([this, id, job, probe, timeout] {
        runtime::ExecInput input;
        input.container = &job->info;
        input.image = &job->image;
        input.argv = job->argv;
        input.stdio = {-1, job->out.get(), job->out.get()};
        input.cache_dir = paths_.root + "/cache/seccomp";
        job->process = oci::exec_start(input, paths_.container_run(id) + "/oci");
        job->out.reset();
        loop_->post([this, id, job, probe, timeout] {
            busy_--;
            Unit* probed = find(id);
            if (job->process) probe->process = std::move(job->process->process);
            if (!probed || probed->probe != probe) return;  // it has ended meanwhile; the probe goes with this last reference
            if (!job->process) {
                end_probe(*probed, kNoExitCode, job->process.error().message());
                return;
            }
            auto output = loop_->watch(probe->output.get(), EPOLLIN, [raw = probe.get()](uint32_t) { raw->read_output(); });
            if (output) probe->output_watch = std::move(*output);
            auto ended = loop_->watch(probe->process.fd(), EPOLLIN, [this, id, raw = probe.get()](uint32_t /*events*/) {
                Unit* at = find(id);
                if (!at || at->probe.get() != raw) return;
                (void)::kill(-raw->process.pid(), SIGKILL);  // what it left running in its session; not reaped yet, so the number is its own
                auto code = runtime::wait_exit(raw->process);
                raw->process_watch.reset();
                raw->process = {};
                raw->read_output();
                end_probe(*at, code ? *code : kNoExitCode, raw->text + (raw->cut ? "..." : ""));
            });
            if (ended) probe->process_watch = std::move(*ended);
            auto left = timeout - (Clock::now() - probe->began);
            probe->timeout = loop_->after(left, [this, id, raw = probe.get(), timeout] {
                Unit* at = find(id);
                if (!at || at->probe.get() != raw) return;
                raw->process_watch.reset();
                raw->end();
                raw->read_output();
                std::string text = "Health check exceeded timeout (" + base::format_duration(timeout) + ")";
                if (!raw->text.empty()) text += ": " + raw->text + (raw->cut ? "..." : "");
                end_probe(*at, kNoExitCode, text);
            });
        });
    });
}

void Core::end_probe(Unit& one, int exit_code, std::string output) {
    auto probe = std::exchange(one.probe, nullptr);
    if (output.size() > kMostOutput + 3) {
        output.resize(kMostOutput);
        output += "...";
    }
    auto& state = one.info.state;
    auto verdict = one.health->probed(exit_code == 0, probe->began, Clock::now());
    state.health = verdict.status;
    state.failing_streak = verdict.failing_streak;
    state.probes.push_back({probe->start, base::now(), exit_code, std::move(output)});
    if (state.probes.size() > 5) state.probes.erase(state.probes.begin(), state.probes.end() - 5);
    save(one);
    if (verdict.changed) event(one, std::string("health_status: ") + to_text(verdict.status));
    schedule_probe(one);
}

}  // namespace engine::supervisor
