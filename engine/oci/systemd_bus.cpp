// The calls to systemd over D-Bus. libsystemd is loaded when it is asked for: where systemd does not run it need not be there.
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "base/library.h"
#include "oci/systemd_unit.h"

namespace engine::oci {
namespace {
using base::Code;
using base::quote;
using base::Result;
using runtime::CgroupVersion;
using runtime::CgroupWrite;

constexpr auto kPatience = std::chrono::seconds(30);
constexpr const char *kSystemd = "org.freedesktop.systemd1", *kPath = "/org/freedesktop/systemd1", *kManager = "org.freedesktop.systemd1.Manager";

struct BusApi {
    decltype(&::sd_bus_new) create;
    decltype(&::sd_bus_set_address) set_address;
    decltype(&::sd_bus_start) start;
    decltype(&::sd_bus_open_system) open_system;
    decltype(&::sd_bus_flush_close_unref) close;
    decltype(&::sd_bus_message_new_method_call) method_call;
    decltype(&::sd_bus_message_append) append;
    decltype(&::sd_bus_message_append_array) append_array;
    decltype(&::sd_bus_message_open_container) open_container;
    decltype(&::sd_bus_message_close_container) close_container;
    decltype(&::sd_bus_message_read) read;
    decltype(&::sd_bus_message_unref) message_unref;
    decltype(&::sd_bus_call) call;
    decltype(&::sd_bus_add_match) add_match;
    decltype(&::sd_bus_process) process;
    decltype(&::sd_bus_wait) wait;
    decltype(&::sd_bus_error_free) error_free;

    static Result<const BusApi*> load();
};

Result<const BusApi*> BusApi::load() {
    base::Library library = TRY(base::Library::open({"libsystemd.so.0"}, "--systemd-cgroup needs libsystemd (Debian: apt-get install libsystemd0)"));
    static BusApi api;
    library.bind(api.create, "sd_bus_new");
    library.bind(api.set_address, "sd_bus_set_address");
    library.bind(api.start, "sd_bus_start");
    library.bind(api.open_system, "sd_bus_open_system");
    library.bind(api.close, "sd_bus_flush_close_unref");
    library.bind(api.method_call, "sd_bus_message_new_method_call");
    library.bind(api.append, "sd_bus_message_append");
    library.bind(api.append_array, "sd_bus_message_append_array");
    library.bind(api.open_container, "sd_bus_message_open_container");
    library.bind(api.close_container, "sd_bus_message_close_container");
    library.bind(api.read, "sd_bus_message_read");
    library.bind(api.message_unref, "sd_bus_message_unref");
    library.bind(api.call, "sd_bus_call");
    library.bind(api.add_match, "sd_bus_add_match");
    library.bind(api.process, "sd_bus_process");
    library.bind(api.wait, "sd_bus_wait");
    library.bind(api.error_free, "sd_bus_error_free");
    TRY_VOID(library.complete("this libsystemd is too old"));
    return &api;
}

/// A connection to systemd, and the one job that is waited for.
class Systemd {
public:
    static Result<Systemd> connect() {
        Systemd out(TRY(BusApi::load()));
        // Its own socket first, for which no D-Bus daemon is needed.
        int error = 0;
        if (::geteuid() == 0 && out.api_->create(&out.bus_) >= 0) {
            error = out.api_->set_address(out.bus_, "unix:path=/run/systemd/private");
            if (error >= 0) error = out.api_->start(out.bus_);
            if (error < 0) out.bus_ = out.api_->close(out.bus_);
            out.direct_ = out.bus_ != nullptr;
        }
        if (out.bus_ == nullptr) error = out.api_->open_system(&out.bus_);
        if (error < 0)
            return base::fail_errno("--systemd-cgroup: connect to systemd (without it, set the cgroup driver of the caller to cgroupfs)", -error);
        return out;
    }
    Systemd(Systemd&& other) noexcept : api_(other.api_), bus_(std::exchange(other.bus_, nullptr)), direct_(other.direct_) {}
    ~Systemd() {
        if (bus_ != nullptr) api_->close(bus_);
    }

    /// A call of systemd's manager whose arguments `fill` appends (negative: errno); its answer is a job's path, or nothing.
    /// not_found: there is no such unit; conflict: it is there already.
    template <typename Fill>
    Result<std::string> call(const char* method, bool job, Fill fill) {
        Message request(api_), reply(api_);
        int error = api_->method_call(bus_, &request.message, direct_ ? nullptr : kSystemd, kPath, kManager, method);
        if (error >= 0) error = fill(request.message);
        if (error < 0) return base::fail_errno("make a call of systemd's " + std::string(method), -error);
        sd_bus_error why = SD_BUS_ERROR_NULL;
        error = api_->call(bus_, request.message, static_cast<uint64_t>(std::chrono::microseconds(kPatience).count()), &why, &reply.message);
        if (error < 0) {
            std::string name = why.name != nullptr ? why.name : "", text = why.message != nullptr ? why.message : ::strerror(-error);  // NOLINT(concurrency-mt-unsafe)
            api_->error_free(&why);
            Code code = name == "org.freedesktop.systemd1.NoSuchUnit" ? Code::not_found : name == "org.freedesktop.systemd1.UnitExists" ? Code::conflict : Code::unavailable;
            return base::fail(code, "systemd's " + std::string(method) + ": " + text);
        }
        const char* path = "";
        if (job && (error = api_->read(reply.message, "o", &path)) < 0) return base::fail_errno("read systemd's answer", -error);
        return std::string(path);
    }

    /// Must come before the job is asked for.
    base::Status watch_jobs() {
        int error = api_->add_match(bus_, nullptr, "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'", job_removed, this);
        if (error < 0) return base::fail_errno("listen to systemd", -error);
        (void)call("Subscribe", false, [](sd_bus_message*) { return 0; });  // ignored: somebody may have done it on this connection
        return {};
    }
    base::Status await(const std::string& job, const std::string& unit) {
        const auto end = std::chrono::steady_clock::now() + kPatience;
        for (;;) {
            for (const auto& [path, result] : ended_)
                if (path == job) return result == "done" ? base::Status{} : base::fail(Code::unavailable, "systemd did not start unit " + quote(unit) + ": " + result);
            int error = api_->process(bus_, nullptr);
            if (error < 0) return base::fail_errno("listen to systemd", -error);
            if (error > 0) continue;
            auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - std::chrono::steady_clock::now()).count();
            if (left <= 0) return base::fail(Code::timeout, "systemd did not start unit " + quote(unit) + " within 30 s");
            if (error = api_->wait(bus_, static_cast<uint64_t>(left)); error < 0 && error != -EINTR) return base::fail_errno("listen to systemd", -error);
        }
    }

    int append(sd_bus_message* to, const char* name, const char* value) const { return api_->append(to, "(sv)", name, "s", value); }
    int append(sd_bus_message* to, const char* name, bool value) const { return api_->append(to, "(sv)", name, "b", value ? 1 : 0); }
    int append(sd_bus_message* to, const UnitProperty& property) const {
        if (const auto* number = std::get_if<uint64_t>(&property.value)) return api_->append(to, "(sv)", property.name.c_str(), "t", *number);
        const auto& bytes = std::get<std::vector<uint8_t>>(property.value);
        return append_array(to, property.name.c_str(), "ay", 'y', bytes.data(), bytes.size());
    }
    int append_array(sd_bus_message* to, const char* name, const char* type, char element, const void* bytes, size_t size) const {
        int error = api_->open_container(to, SD_BUS_TYPE_STRUCT, "sv");
        if (error >= 0) error = api_->append(to, "s", name);
        if (error >= 0) error = api_->open_container(to, SD_BUS_TYPE_VARIANT, type);
        if (error >= 0) error = api_->append_array(to, element, bytes, size);
        if (error >= 0) error = api_->close_container(to);
        if (error >= 0) error = api_->close_container(to);
        return error;
    }
    const BusApi& api() const { return *api_; }

private:
    struct Message {
        explicit Message(const BusApi* bus) : api(bus) {}
        Message(const Message&) = delete;
        ~Message() { api->message_unref(message); }
        const BusApi* api;
        sd_bus_message* message = nullptr;
    };
    explicit Systemd(const BusApi* api) : api_(api) {}

    static int job_removed(sd_bus_message* signal, void* self, sd_bus_error*) {
        auto* systemd = static_cast<Systemd*>(self);
        uint32_t number = 0;
        const char *path = "", *unit = "", *result = "";
        if (systemd->api_->read(signal, "uoss", &number, &path, &unit, &result) >= 0) systemd->ended_.emplace_back(path, result);
        return 0;
    }

    const BusApi* api_;
    sd_bus* bus_ = nullptr;
    bool direct_ = false;
    std::vector<std::pair<std::string, std::string>> ended_;
};

base::Status forget_failure(Systemd& systemd, const std::string& name) {
    auto done = systemd.call("ResetFailedUnit", false, [&](sd_bus_message* to) { return systemd.api().append(to, "s", name.c_str()); });
    return done || done.error().code == Code::not_found ? base::Status{} : base::Status(std::move(done.error()));
}
}  // namespace

base::Status start_unit(const SystemdUnit& unit, const std::string& description, pid_t pid, std::span<const CgroupWrite> writes, CgroupVersion version) {
    Systemd systemd = TRY(Systemd::connect());
    TRY_VOID(systemd.watch_jobs());
    const auto properties = unit_properties(writes, version);
    const auto number = static_cast<uint32_t>(pid);
    auto fill = [&](sd_bus_message* to) {
        const BusApi& api = systemd.api();
        int error = api.append(to, "ss", unit.name.c_str(), "replace");
        auto then = [&error](auto step) {
            if (error >= 0) error = step();
        };
        then([&] { return api.open_container(to, SD_BUS_TYPE_ARRAY, "(sv)"); });
        then([&] { return systemd.append(to, "Description", description.c_str()); });
        if (unit.is_slice()) {
            then([&] { return api.append(to, "(sv)", "Wants", "as", 1, unit.slice.c_str()); });
        } else {
            then([&] { return systemd.append(to, "Slice", unit.slice.c_str()); });
            then([&] { return systemd.append(to, "Delegate", true); });
            then([&] { return systemd.append_array(to, "PIDs", "au", 'u', &number, sizeof number); });
        }
        for (const char* accounting : {"MemoryAccounting", "CPUAccounting", "TasksAccounting", version == CgroupVersion::v2 ? "IOAccounting" : "BlockIOAccounting"})
            then([&] { return systemd.append(to, accounting, true); });
        then([&] { return systemd.append(to, "DefaultDependencies", false); });
        for (const UnitProperty& property : properties) then([&] { return systemd.append(to, property); });
        then([&] { return api.close_container(to); });
        then([&] { return api.append(to, "a(sa(sv))", 0); });
        return error;
    };
    auto job = systemd.call("StartTransientUnit", true, fill);
    if (!job && job.error().code == Code::conflict) {  // left of a container of that name which failed
        TRY_VOID(forget_failure(systemd, unit.name));
        job = systemd.call("StartTransientUnit", true, fill);
    }
    if (!job) return std::move(job.error()).with("start unit " + quote(unit.name));
    return systemd.await(*job, unit.name);
}

base::Status update_unit(const std::string& name, std::span<const CgroupWrite> writes, CgroupVersion version) {
    const auto properties = unit_properties(writes, version);
    if (properties.empty()) return {};
    Systemd systemd = TRY(Systemd::connect());
    auto set = systemd.call("SetUnitProperties", false, [&](sd_bus_message* to) {
        const BusApi& api = systemd.api();
        int error = api.append(to, "sb", name.c_str(), 1);
        if (error >= 0) error = api.open_container(to, SD_BUS_TYPE_ARRAY, "(sv)");
        for (const UnitProperty& property : properties)
            if (error >= 0) error = systemd.append(to, property);
        return error < 0 ? error : api.close_container(to);
    });
    if (!set) return std::move(set.error()).with("set the limits of unit " + quote(name));
    return {};
}

base::Status stop_unit(const std::string& name) {
    Systemd systemd = TRY(Systemd::connect());
    auto stopped = systemd.call("StopUnit", true, [&](sd_bus_message* to) { return systemd.api().append(to, "ss", name.c_str(), "replace"); });
    if (!stopped && stopped.error().code != Code::not_found) return std::move(stopped.error()).with("stop unit " + quote(name));
    return forget_failure(systemd, name);
}

}  // namespace engine::oci
