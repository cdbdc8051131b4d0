#pragma once
// One rtnetlink socket and batches on it: many requests in one sendmsg, errors told apart by request. Internal to network/.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "network/address.h"

struct nlmsghdr;

namespace engine::network {

/// Attributes of netlink in one buffer. Nests with open/close.
class Attributes {
public:
    void put(uint16_t type, const void* data, size_t size);
    void put_u8(uint16_t type, uint8_t value) { put(type, &value, sizeof value); }
    void put_u16(uint16_t type, uint16_t value) { put(type, &value, sizeof value); }
    void put_u32(uint16_t type, uint32_t value) { put(type, &value, sizeof value); }
    void put_be32(uint16_t type, uint32_t value) { put_u32(type, __builtin_bswap32(value)); }
    void put_be64(uint16_t type, uint64_t value) {
        value = __builtin_bswap64(value);
        put(type, &value, sizeof value);
    }
    void put_text(uint16_t type, std::string_view text);  ///< NUL-terminated
    void put_address(uint16_t type, const Address& address) { put(type, address.bytes.data(), address.size()); }
    size_t open(uint16_t type);  ///< begins a nest; give the value to close()
    void close(size_t nest);
    /// Plain bytes without an attribute header (a header inside a nest, as VETH_INFO_PEER has).
    void raw(const void* data, size_t size);
    const std::vector<uint8_t>& bytes() const { return bytes_; }

protected:
    std::vector<uint8_t> bytes_;
};

/// Requests built one after the other in one buffer.
class NetlinkBatch : public Attributes {
public:
    /// Starts a request with its fixed header (ifinfomsg, rtmsg …); returns its index.
    size_t begin(uint16_t type, uint16_t flags, const void* header, size_t size);
    size_t size() const { return starts_.size(); }
    bool empty() const { return starts_.empty(); }

private:
    friend class Netlink;
    void finish();
    std::vector<size_t> starts_;
};

class Netlink {
public:
    /// NETLINK_ROUTE (or another) in the calling thread's namespace; the socket stays in it whoever uses it.
    static base::Result<Netlink> open(int protocol = 0);
    /// Sends all requests; the answer is each one's errno (0: done). The kernel goes on after a failed one.
    base::Result<std::vector<int>> run(NetlinkBatch& batch);
    /// Sends all requests as one message and collects what the kernel says against them, without asking for
    /// acknowledgements (nfnetlink: a batch stands or falls as a whole). Answers that are not errors go to `each`.
    base::Result<std::vector<int>> run_whole(NetlinkBatch& batch, const std::function<void(size_t, const nlmsghdr&)>& each = {});
    /// One dump request; `each` is called for every answer.
    base::Status dump(uint16_t type, const void* header, size_t size, const std::function<void(const nlmsghdr&)>& each);
    /// Index of a link by name in the socket's namespace; nullopt when there is none.
    std::optional<int> index(const std::string& name) const;
    int fd() const { return fd_.get(); }

private:
    explicit Netlink(base::UniqueFd fd) : fd_(std::move(fd)) {}
    base::UniqueFd fd_;
    uint32_t sequence_ = 1;
};

/// Walks attributes: calls `each(type, data, size)`.
void each_attribute(const void* begin, size_t size, const std::function<void(uint16_t, const uint8_t*, size_t)>& each);

/// Everything that a host (or namespace) routes or has as an address; loopback and multicast left out.
base::Result<std::vector<Prefix>> used_prefixes(Netlink& netlink);

}  // namespace engine::network
