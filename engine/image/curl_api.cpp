#include "image/curl_api.h"

#include <dlfcn.h>

#include <string>

namespace engine::image {
namespace {

base::Result<const CurlApi*> open_library() {
    void* library = ::dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = ::dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char* why = ::dlerror();
        return base::fail(base::Code::unsupported, std::string("registries need libcurl (Debian: apt-get install libcurl4): ") + (why ? why : "not found"));
    }
    static CurlApi api;
    std::string missing;
    auto bind = [&](auto& to, const char* name) {
        to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(::dlsym(library, name));
        if (!to) missing = name;
    };
    bind(api.global_init, "curl_global_init");
    bind(api.easy_init, "curl_easy_init");
    bind(api.setopt, "curl_easy_setopt");
    bind(api.perform, "curl_easy_perform");
    bind(api.cleanup, "curl_easy_cleanup");
    bind(api.reset, "curl_easy_reset");
    bind(api.getinfo, "curl_easy_getinfo");
    bind(api.strerror, "curl_easy_strerror");
    bind(api.slist_append, "curl_slist_append");
    bind(api.slist_free_all, "curl_slist_free_all");
    bind(api.url, "curl_url");
    bind(api.url_cleanup, "curl_url_cleanup");
    bind(api.url_set, "curl_url_set");
    bind(api.url_get, "curl_url_get");
    bind(api.free, "curl_free");
    bind(api.getdate, "curl_getdate");
    if (!missing.empty()) return base::fail(base::Code::unsupported, "this libcurl is too old: it has no " + missing + " (7.62 or later is needed)");
    if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return base::fail(base::Code::internal, "libcurl does not start");
    return &api;
}

}  // namespace

base::Result<const CurlApi*> CurlApi::load() {
    static const base::Result<const CurlApi*> loaded = open_library();
    if (!loaded) return base::Error(loaded.error());
    return *loaded;
}

}  // namespace engine::image
