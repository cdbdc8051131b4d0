// The pure parts: when a container starts again, when its health is probed, whether its PID 1 can hear.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "supervisor/health_machine.h"
#include "supervisor/restart_backoff.h"
#include "supervisor/stop_decision.h"

namespace engine::supervisor {
namespace {

using namespace std::chrono_literals;

TEST(RestartBackoff, who_is_started_again) {
    struct Row {
        const char* policy;
        int most, exit_code, count;
        bool by_user, again;
    };
    const Row rows[] = {
        {"no", 0, 1, 0, false, false},          {"", 0, 1, 0, false, false},
        {"always", 0, 0, 0, false, true},       {"always", 0, 1, 500, false, true},
        {"always", 0, 1, 0, true, false},       {"unless-stopped", 0, 0, 3, false, true},
        {"unless-stopped", 0, 137, 0, true, false}, {"on-failure", 0, 0, 0, false, false},
        {"on-failure", 0, 2, 100, false, true}, {"on-failure", 3, 2, 2, false, true},
        {"on-failure", 3, 2, 3, false, false},  {"on-failure", 3, 2, 0, true, false},
    };
    for (const auto& row : rows) {
        RestartBackoff backoff;
        RestartInput input{{row.policy, row.most}, row.exit_code, row.by_user, row.count, 1s};
        EXPECT_EQ(backoff.decide(input).has_value(), row.again) << row.policy << ":" << row.most << " exit " << row.exit_code;
    }
}

TEST(RestartBackoff, pauses_double_to_a_minute_and_begin_again_after_a_good_run) {
    RestartBackoff backoff;
    RestartInput input{{"always", 0}, 1, false, 0, 0s};
    for (auto expected : {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 51200ms, 60000ms, 60000ms}) EXPECT_EQ(backoff.decide(input), expected);
    input.ran_for = 11s;
    EXPECT_EQ(backoff.decide(input), 100ms);
    input.ran_for = 9s;
    EXPECT_EQ(backoff.decide(input), 200ms);
    backoff.resume(3);
    EXPECT_EQ(backoff.decide(input), 800ms);
    backoff.reset();
    EXPECT_EQ(backoff.decide(input), 100ms);
}

/// A machine with its own clock: each probe takes `took`.
struct Bench {
    explicit Bench(const HealthCheck& check) : machine(check, start) {}
    HealthMachine::Verdict probe(bool passed, std::chrono::nanoseconds took = 0ns) {
        auto began = machine.next();
        at = began - start;
        return machine.probed(passed, began, began + took);
    }
    HealthMachine::TimePoint start{};
    HealthMachine machine;
    std::chrono::nanoseconds at{0};
};
HealthCheck check(std::chrono::nanoseconds interval, int retries, std::chrono::nanoseconds period = 0s, std::chrono::nanoseconds step = 5s) {
    HealthCheck value;
    value.interval = interval;
    value.timeout = 30s;
    value.start_period = period;
    value.start_interval = step;
    value.retries = retries;
    return value;
}

TEST(Health, a_first_probe_comes_at_once_and_the_next_an_interval_after_its_end) {
    Bench bench(check(30s, 3));
    auto verdict = bench.probe(true, 2s);
    EXPECT_EQ(bench.at, 0s);
    EXPECT_TRUE(verdict.changed);
    EXPECT_EQ(verdict.status, HealthStatus::healthy);
    EXPECT_EQ(bench.machine.next() - bench.start, 32s);
}

TEST(Health, early_failures_come_in_short_steps_and_do_not_count) {
    Bench bench(check(30s, 2));
    std::chrono::nanoseconds last{-1};
    int probes = 0;
    while (bench.machine.next() - bench.start < 30s) {
        auto verdict = bench.probe(false);
        EXPECT_EQ(verdict.status, HealthStatus::starting);
        EXPECT_EQ(verdict.failing_streak, 0);
        EXPECT_LE(bench.at - last, 2s + 1ns);
        last = bench.at;
        probes++;
    }
    EXPECT_GE(probes, 12);
    EXPECT_EQ(bench.machine.next() - bench.start, 30s);  // where Docker's first one would be
    EXPECT_EQ(bench.probe(false).status, HealthStatus::starting);
    EXPECT_EQ(bench.machine.next() - bench.start, 60s);
    auto verdict = bench.probe(false);
    EXPECT_EQ(verdict.status, HealthStatus::unhealthy);
    EXPECT_TRUE(verdict.changed);
    EXPECT_EQ(verdict.failing_streak, 2);
    verdict = bench.probe(true);
    EXPECT_EQ(verdict.status, HealthStatus::healthy);
    EXPECT_EQ(verdict.failing_streak, 0);
    EXPECT_EQ(bench.probe(false).status, HealthStatus::healthy);
    EXPECT_EQ(bench.probe(false).status, HealthStatus::unhealthy);
    verdict = bench.probe(false);
    EXPECT_FALSE(verdict.changed);
    EXPECT_EQ(verdict.failing_streak, 3);  // goes on counting
}

TEST(Health, a_check_with_a_long_interval_and_no_start_period_begins_after_two_seconds) {
    Bench bench(check(600s, 3));
    bench.probe(false);
    EXPECT_EQ(bench.at, 2s);
    bench.probe(true);
    EXPECT_EQ(bench.at, 4s);
    EXPECT_EQ(bench.machine.next() - bench.start, 604s);
}

TEST(Health, within_the_start_period_failures_do_not_count_and_probes_come_every_start_interval) {
    Bench bench(check(300ms, 1, 12s, 300ms));
    while (bench.machine.next() - bench.start < 12s) {
        EXPECT_EQ(bench.probe(false).status, HealthStatus::starting);
        EXPECT_LE(bench.machine.next() - bench.start - bench.at, 300ms);
    }
    EXPECT_EQ(bench.probe(false).status, HealthStatus::unhealthy);
    Bench slow(check(600s, 3, 600s, 300ms));
    slow.probe(false);
    EXPECT_LE(slow.machine.next() - slow.start, 300ms);
    EXPECT_EQ(slow.probe(true).status, HealthStatus::healthy);
}

TEST(Health, after_a_first_success_failures_count_also_within_the_start_period) {
    Bench bench(check(1s, 2, 60s, 1s));
    EXPECT_EQ(bench.probe(true).status, HealthStatus::healthy);
    EXPECT_EQ(bench.probe(false).failing_streak, 1);
    EXPECT_EQ(bench.probe(false).status, HealthStatus::unhealthy);
}

TEST(Health, a_new_supervisor_goes_on_where_the_old_one_was) {
    Bench bench(check(2s, 3));
    bench.machine.resume(HealthStatus::healthy, 1);
    EXPECT_EQ(bench.probe(false).failing_streak, 2);
    EXPECT_EQ(bench.probe(false).status, HealthStatus::unhealthy);
}

TEST(Stop, who_hears_a_signal) {
    const std::string head = "Name:\tsleep\nNSpid:\t812\t1\nSigQ:\t0/1\nSigPnd:\t0\n";
    struct Row {
        const char* what;
        std::string status;
        int signal;
        bool hears;
    };
    auto masks = [&](const char* blocked, const char* ignored, const char* caught) {
        return head + "SigBlk:\t" + blocked + "\nSigIgn:\t" + ignored + "\nSigCgt:\t" + caught + "\n";
    };
    const char* none = "0000000000000000";
    const char* term = "0000000000004000";
    const Row rows[] = {
        {"default action", masks(none, none, none), SIGTERM, false},
        {"a handler", masks(none, none, term), SIGTERM, true},
        {"blocked, for signalfd", masks(term, none, none), SIGTERM, true},
        {"ignored on purpose", masks(none, term, none), SIGTERM, true},
        {"a handler for another", masks(none, none, term), SIGQUIT, false},
        {"KILL needs none", masks(none, none, none), SIGKILL, true},
        {"a real-time signal", masks(none, none, "0000000400000000"), 35, true},
        {"the host's pid namespace", "Name:\tx\nNSpid:\t812\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n", SIGTERM, true},
        {"another's pid namespace", "Name:\tx\nNSpid:\t812\t7\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n", SIGTERM, true},
    };
    for (const auto& row : rows) {
        auto parsed = parse_signal_masks(row.status);
        ASSERT_TRUE(parsed) << row.what;
        EXPECT_EQ(hears(*parsed, row.signal), row.hears) << row.what;
    }
    EXPECT_FALSE(parse_signal_masks("Name:\tx\n"));
    auto own = read_signal_masks(::getpid());
    ASSERT_TRUE(own);
    EXPECT_FALSE(own->namespace_init);
    EXPECT_NE(deaf_note("web-1", SIGTERM).find("\"init: true\""), std::string::npos);
}

}  // namespace
}  // namespace engine::supervisor
