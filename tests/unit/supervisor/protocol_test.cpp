#include "supervisor/protocol.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "supervisor/event_loop.h"
#include "supervisor/guardian.h"

namespace engine::supervisor {
namespace {

const std::string kId(64, 'a');

TEST(Protocol, requests_and_replies_survive_the_way) {
    Request request;
    request.verb = "stop";
    request.ids = {kId, std::string(64, '0')};
    request.timeouts_ns = {-1, 5'000'000'000};
    request.signal = "HUP";
    request.start = true;
    auto again = request_from_json(to_json(request));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->verb, "stop");
    EXPECT_EQ(again->ids, request.ids);
    EXPECT_EQ(again->timeouts_ns, request.timeouts_ns);
    EXPECT_EQ(again->signal, "HUP");
    EXPECT_TRUE(again->start);

    Reply reply;
    reply.id = kId;
    reply.killed = true;
    reply.note = "said \"so\"";
    reply.exited = 137;
    reply.position = 1ull << 40;
    reply.error = base::fail(base::Code::no_such_command, "exec: \"x\": not found").with("start web-1");
    auto back = reply_from_json(to_json(reply));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->note, reply.note);
    EXPECT_EQ(back->exited, 137);
    EXPECT_EQ(back->position, 1ull << 40);
    ASSERT_TRUE(back->error);
    EXPECT_EQ(back->error->code, base::Code::no_such_command);
    EXPECT_EQ(back->error->message(), reply.error->message());

    Endpoint endpoint;
    endpoint.network = "p_default";
    endpoint.aliases = {"web", "www"};
    endpoint.ipv4 = "10.1.2.3";
    endpoint.driver_options = {{"a", "b"}};
    EXPECT_EQ(endpoint_from_json(to_json(endpoint)).value(), endpoint);
}

TEST(Protocol, what_is_no_request_is_refused) {
    for (const char* text : {"", "[]", "{", "nonsense", R"({"verb":"start","ids":["../../etc"]})", R"({"verb":"start","ids":["AAAA"]})"})
        EXPECT_FALSE(request_from_json(text)) << text;
    EXPECT_FALSE(reply_from_json("7"));
}

TEST(Protocol, frames_in_pieces_and_rubbish) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    base::UniqueFd left(ends[0]), right(ends[1]);
    ASSERT_TRUE(send_frame(left.get(), "{\"a\":1}", {right.get()}));
    ASSERT_TRUE(send_frame(left.get(), "{}"));
    auto frame = receive_frame(right.get());
    ASSERT_TRUE(frame && *frame);
    EXPECT_EQ((*frame)->json, "{\"a\":1}");
    EXPECT_EQ((*frame)->fds.size(), 1u);
    ASSERT_TRUE(receive_frame(right.get()).value());
    left.reset();
    EXPECT_FALSE(receive_frame(right.get()).value());

    FrameHead head;
    head.length = 5;
    std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
    bytes += "hello";
    FrameParser parser;
    for (char c : bytes + bytes) ASSERT_TRUE(parser.feed({&c, 1}));
    EXPECT_EQ(parser.next(), "hello");
    EXPECT_EQ(parser.next(), "hello");
    EXPECT_FALSE(parser.next());

    std::mt19937 random(7);
    for (int round = 0; round < 200; round++) {
        FrameParser fuzzed;
        std::string rubbish(random() % 64, '\0');
        for (char& c : rubbish) c = static_cast<char>(random());
        if (rubbish.size() >= sizeof(FrameHead)) EXPECT_FALSE(fuzzed.feed(rubbish));
        head.length = kLongestFrame + 1;
    }
    FrameParser huge;
    EXPECT_FALSE(huge.feed({reinterpret_cast<const char*>(&head), sizeof head}));
}

TEST(Guardian, arguments_survive_the_exec) {
    GuardianArguments arguments;
    arguments.paths.root = "/some where/root";
    arguments.paths.run = "/run/x";
    arguments.ready_fd = 3;
    arguments.lock_fd = 4;
    arguments.table_fd = 9;
    auto argv = guardian_argv(arguments);
    std::vector<char*> pointers;
    for (auto& text : argv) pointers.push_back(text.data());
    auto parsed = parse_guardian_argv(static_cast<int>(pointers.size()), pointers.data());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->paths.root, arguments.paths.root);
    EXPECT_EQ(parsed->group, "");
    EXPECT_EQ(parsed->ready_fd, 3);
    EXPECT_EQ(parsed->lock_fd, 4);
    EXPECT_EQ(parsed->listen_fd, -1);
    EXPECT_EQ(parsed->table_fd, 9);
    char name[] = "compose";
    char* other[] = {name};
    EXPECT_FALSE(parse_guardian_argv(1, other));
}

TEST(EventLoop, timers_fds_and_work_of_other_threads) {
    auto loop = EventLoop::make();
    ASSERT_TRUE(loop);
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    base::UniqueFd read_end(ends[0]), write_end(ends[1]);
    std::string order;
    EventLoop::FdHandle watch;
    watch = std::move(*(*loop)->watch(read_end.get(), EPOLLIN, [&](uint32_t) {
        char c;
        ASSERT_EQ(::read(read_end.get(), &c, 1), 1);
        order += c;
        watch.reset();  // its own handle, within its own callback
        if (order.size() == 3) (*loop)->stop();
    }));
    auto second = (*loop)->after(std::chrono::milliseconds(20), [&] {
        order += '2';
        ASSERT_TRUE(base::UniqueFd(::dup(write_end.get())));
        (void)!::write(write_end.get(), "3", 1);
    });
    auto first = (*loop)->after(std::chrono::milliseconds(1), [&] { order += '1'; });
    auto never = (*loop)->after(std::chrono::milliseconds(5), [&] { order += 'x'; });
    never.reset();
    std::thread other([&] { (*loop)->post([&] { order += ""; }); });
    ASSERT_TRUE((*loop)->run());
    other.join();
    EXPECT_EQ(order, "123");
}

}  // namespace
}  // namespace engine::supervisor
