#include "image/curl_api.h"

#include "base/library.h"

namespace engine::image {
namespace {

base::Result<const CurlApi*> open_library() {
    base::Library library = TRY(base::Library::open({"libcurl.so.4", "libcurl-gnutls.so.4"}, "registries need libcurl (Debian: apt-get install libcurl4)"));
    static CurlApi api;
    library.bind(api.global_init, "curl_global_init");
    library.bind(api.easy_init, "curl_easy_init");
    library.bind(api.setopt, "curl_easy_setopt");
    library.bind(api.perform, "curl_easy_perform");
    library.bind(api.cleanup, "curl_easy_cleanup");
    library.bind(api.reset, "curl_easy_reset");
    library.bind(api.getinfo, "curl_easy_getinfo");
    library.bind(api.strerror, "curl_easy_strerror");
    library.bind(api.slist_append, "curl_slist_append");
    library.bind(api.slist_free_all, "curl_slist_free_all");
    library.bind(api.url, "curl_url");
    library.bind(api.url_cleanup, "curl_url_cleanup");
    library.bind(api.url_set, "curl_url_set");
    library.bind(api.url_get, "curl_url_get");
    library.bind(api.free, "curl_free");
    library.bind(api.getdate, "curl_getdate");
    TRY_VOID(library.complete("this libcurl is too old", "7.62 or later is needed"));
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
