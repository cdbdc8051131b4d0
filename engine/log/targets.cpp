// Receivers of lines: syslog (RFC 3164 and 5424, as Docker's driver writes them) and journald's native protocol.
#include <arpa/inet.h>
#include <endian.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "base/file.h"
#include "base/text.h"
#include "log/shipper.h"

namespace engine::log {

using base::Code;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;

namespace {

constexpr const char* kLocalSyslog[] = {"/dev/log", "/var/run/syslog", "/var/run/log"};
constexpr int kSendTimeoutMs = 2000;

/// unix, unixgram, udp, tcp; the place; "" for the host's own.
struct SyslogPlace {
    std::string scheme, host, port, path;
};

SyslogPlace place_of(const std::string& address) {
    SyslogPlace place;
    if (address.empty()) {
        for (const char* path : kLocalSyslog) {
            place.path = path;
            if (base::exists(path)) break;
        }
        return place;
    }
    size_t colon = address.find("://");
    place.scheme = address.substr(0, colon);
    std::string rest = colon == std::string::npos ? "" : address.substr(colon + 3);
    if (place.scheme == "unix" || place.scheme == "unixgram") {
        place.path = rest;
        return place;
    }
    size_t port = rest.rfind(':');
    if (port != std::string::npos && rest.find(']', port) == std::string::npos) {
        place.port = rest.substr(port + 1);
        rest.resize(port);
    }
    if (rest.size() > 1 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
    place.host = rest;
    if (place.port.empty()) place.port = "514";
    return place;
}

Result<base::UniqueFd> connect_unix(const std::string& path, int type) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(Code::invalid, "socket " + base::quote(path) + ": the path is too long");
    std::memcpy(address.sun_path, path.c_str(), path.size());
    base::UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("make a socket");
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return fail_errno("connect to \"" + path + "\"");
    return fd;
}

Result<base::UniqueFd> connect_inet(const SyslogPlace& place) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = place.scheme == "udp" ? SOCK_DGRAM : SOCK_STREAM;
    if (int error = ::getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &found); error != 0)
        return fail(Code::unavailable, "syslog " + place.host + ":" + place.port + ": " + ::gai_strerror(error));
    std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, ::freeaddrinfo);
    int last = ECONNREFUSED;
    for (const addrinfo* each = found; each; each = each->ai_next) {
        base::UniqueFd fd(::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd) continue;
        int result = ::connect(fd.get(), each->ai_addr, each->ai_addrlen);
        if (result != 0 && errno == EINPROGRESS) {
            pollfd ready{fd.get(), POLLOUT, 0};
            int error = ETIMEDOUT;
            socklen_t size = sizeof error;
            if (::poll(&ready, 1, kSendTimeoutMs) == 1) (void)::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
            if (error == 0) return fd;
            last = error;
        } else if (result == 0) {
            return fd;
        } else {
            last = errno;
        }
    }
    return fail_errno("connect to syslog at " + place.host + ":" + place.port, last);
}

class SyslogTarget final : public LogTarget {
public:
    explicit SyslogTarget(const LogSettings& settings) : settings_(settings), place_(place_of(settings.address)) {
        char name[256] = {};
        host_ = ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
    }

    Status send(Stream stream, Time time, std::string_view text, bool) override {
        const int severity = stream == Stream::err ? 3 : 6;
        const std::string line = syslog_line(settings_.format, settings_.facility * 8 + severity, time, host_, settings_.tag, text);
        for (int attempt = 0;; attempt++) {
            if (!fd_) fd_ = TRY(connect());
            auto written = write(line);
            if (written) return {};
            fd_.reset();  // a receiver that was restarted is found at once
            if (attempt != 0) return written;
        }
    }

private:
    Result<base::UniqueFd> connect() {
        if (place_.scheme == "udp" || place_.scheme == "tcp") return connect_inet(place_);
        stream_ = false;
        if (place_.scheme != "unix") {
            auto datagrams = connect_unix(place_.path, SOCK_DGRAM);
            if (datagrams || place_.scheme == "unixgram" || datagrams.error().sys_errno != EPROTOTYPE) return datagrams;
        }
        stream_ = true;
        auto stream = connect_unix(place_.path, SOCK_STREAM);
        if (!stream && stream.error().sys_errno == EPROTOTYPE) {
            stream_ = false;
            return connect_unix(place_.path, SOCK_DGRAM);
        }
        return stream;
    }

    Status write(std::string_view line) {
        const bool whole = place_.scheme == "udp" || (place_.scheme != "tcp" && !stream_);
        while (!line.empty()) {
            ssize_t n = ::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) {
                pollfd ready{fd_.get(), POLLOUT, 0};
                if (::poll(&ready, 1, kSendTimeoutMs) == 1) continue;
                return fail(Code::timeout, "syslog takes nothing any more");
            }
            if (n < 0) return fail_errno("send to syslog");
            if (whole) return {};
            line.remove_prefix(static_cast<size_t>(n));
        }
        return {};
    }

    LogSettings settings_;
    SyslogPlace place_;
    std::string host_;
    base::UniqueFd fd_;
    bool stream_ = false;
};

class JournalTarget final : public LogTarget {
public:
    explicit JournalTarget(const LogSettings& settings) : path_(settings.address), fields_(settings.fields) {}

    Status send(Stream stream, Time time, std::string_view text, bool whole) override {
        fields_["PRIORITY"] = stream == Stream::err ? "3" : "6";
        fields_["SYSLOG_TIMESTAMP"] = base::format_time(time);
        if (whole) {
            fields_.erase("CONTAINER_PARTIAL_MESSAGE");
        } else {
            fields_["CONTAINER_PARTIAL_MESSAGE"] = "true";
        }
        const std::string entry = journal_entry(fields_, text);
        for (int attempt = 0;; attempt++) {
            if (!fd_) fd_ = TRY(connect_unix(path_, SOCK_DGRAM));
            ssize_t n;
            do n = ::send(fd_.get(), entry.data(), entry.size(), MSG_NOSIGNAL);
            while (n < 0 && errno == EINTR);
            if (n >= 0) return {};
            auto error = fail_errno("send to journald");
            fd_.reset();
            if (attempt != 0) return error;
        }
    }

private:
    std::string path_;
    Labels fields_;
    base::UniqueFd fd_;
};

}  // namespace

std::string syslog_line(const std::string& format, int priority, Time time, const std::string& host, const std::string& tag, std::string_view text) {
    const std::string pid = std::to_string(::getpid()), head = "<" + std::to_string(priority) + ">";
    std::string line;
    if (format.empty()) {
        // Go's time.Stamp, in the host's own time.
        const auto seconds = static_cast<time_t>(time / 1'000'000'000);
        tm parts{};
        ::localtime_r(&seconds, &parts);
        static const char* const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        char stamp[48];
        snprintf(stamp, sizeof stamp, "%s %2d %02d:%02d:%02d", months[parts.tm_mon % 12], parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        line = head + stamp + " " + tag + "[" + pid + "]: ";
    } else {
        std::string stamp = base::format_time(time);  // RFC 3339 with nanoseconds
        const size_t dot = stamp.find('.');
        if (dot != std::string::npos) {
            // Seconds, or with rfc5424micro six digits of them.
            std::string digits = stamp.substr(dot + 1);
            size_t end = digits.find_first_not_of("0123456789");
            const std::string zone = end == std::string::npos ? "" : digits.substr(end);
            digits = digits.substr(0, end) + "000000";
            stamp = stamp.substr(0, dot) + (format == "rfc5424micro" ? "." + digits.substr(0, 6) : "") + zone;
        }
        line = format == "rfc3164" ? head + stamp + " " + host + " " + tag + "[" + pid + "]: " : head + "1 " + stamp + " " + host + " " + tag + " " + pid + " " + tag + " - ";
    }
    line += text;
    line += '\n';
    return line;
}

std::string journal_entry(const Labels& fields, std::string_view text) {
    std::string entry;
    auto add = [&](std::string_view name, std::string_view value) {
        entry += name;
        if (value.find('\n') == std::string_view::npos) {
            entry += '=';
        } else {
            const uint64_t size = htole64(value.size());
            entry += '\n';
            entry.append(reinterpret_cast<const char*>(&size), sizeof size);
        }
        entry += value;
        entry += '\n';
    };
    add("MESSAGE", text);
    for (const auto& [name, value] : fields) add(name, value);
    return entry;
}

std::unique_ptr<LogTarget> make_target(const LogSettings& settings) {
    if (settings.driver == LogSettings::Driver::journald) return std::make_unique<JournalTarget>(settings);
    return std::make_unique<SyslogTarget>(settings);
}

Status check_target(const LogSettings& settings) {
    if (settings.driver == LogSettings::Driver::journald && !base::exists(settings.address))
        return fail(Code::unavailable, "logging driver \"journald\": journald is not enabled on this host (there is no " + settings.address +
                                           "); use local, json-file or syslog");
    if (settings.driver != LogSettings::Driver::syslog) return {};
    const SyslogPlace place = place_of(settings.address);
    if (!place.path.empty() && !base::exists(place.path))
        return fail(Code::unavailable, "logging driver \"syslog\": nothing listens on this host (there is no " + place.path +
                                           "); name a receiver with syslog-address, or use local or json-file");
    return {};
}

}  // namespace engine::log
