#include "oci/console.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace engine::oci {
using base::Code;

base::Status send_files(const std::string& socket, const std::string& text, const std::vector<int>& files) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    base::UniqueFd folder;
    std::string path = socket;
    if (path.size() >= sizeof address.sun_path) {
        // A longer path than an address holds is reached through its folder.
        size_t slash = path.rfind('/');
        folder = TRY(base::open_at(AT_FDCWD, slash == std::string::npos ? "." : path.substr(0, slash + 1), O_PATH | O_DIRECTORY));
        path = base::proc_path(folder.get()) + "/" + path.substr(slash == std::string::npos ? 0 : slash + 1);
        if (path.size() >= sizeof address.sun_path) return base::fail(Code::invalid, "the socket's name " + base::quote(socket) + " is too long");
    }
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    base::UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!connection) return base::fail_errno("make a socket");
    if (::connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return base::fail_errno("connect to " + base::quote(socket));

    std::vector<char> control(CMSG_SPACE(sizeof(int) * files.size()));
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * files.size());
    memcpy(CMSG_DATA(header), files.data(), sizeof(int) * files.size());
    ssize_t sent;
    do sent = ::sendmsg(connection.get(), &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return base::fail_errno("send to " + base::quote(socket));
    // The files went with the first byte.
    return sent == static_cast<ssize_t>(text.size()) ? base::Status{} : base::write_all(connection.get(), std::string_view(text).substr(static_cast<size_t>(sent)));
}

base::Status send_terminal(const std::string& socket, int master) {
    char name[64];
    if (::ptsname_r(master, name, sizeof name) != 0) snprintf(name, sizeof name, "/dev/pts/0");
    return send_files(socket, name, {master});
}

}  // namespace engine::oci
