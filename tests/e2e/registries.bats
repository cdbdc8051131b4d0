# Images from and to registries: Debian's docker-registry plain, with TLS and a password, with client certificates, with
# tokens; through proxies; with faults on the way; and a registry of images that nobody should accept.
load lib
load registries

setup_file() { start_registries; }
teardown_file() { stop_registries; }

@test "TLS and a password: own CA, login, a wrong password, logout" {
  fresh
  export DOCKER_CONFIG=$PWD/docker
  run ! compose image pull "$TLS/e2e/busybox:1"
  has "$output" certificate
  run ! over_etc with-ca image pull "$TLS/e2e/busybox:1"
  has "$output" unauthorized; has "$output" "compose login $TLS"
  run ! over_etc with-ca login -u me --password-stdin "$TLS" <<<wrong
  has "$output" 401
  lacks "$output" wrong
  run ! over_etc with-ca login "$TLS" </dev/null
  has "$output" "non TTY"
  run -0 over_etc with-ca login -u me --password-stdin "$TLS" <<<secret
  has "$output" "Login Succeeded"
  is "$(stat -c %a docker/config.json)" 600
  run -0 over_etc with-ca --debug image pull -q "$TLS/e2e/busybox:1"
  has "$output" "HTTP/2, connection reused"
  compose image tag "$TLS/e2e/busybox:1" "$TLS/e2e/tls:1"
  over_etc with-ca image push -q "$TLS/e2e/tls:1"
  is "$(skopeo inspect --tls-verify=false --creds me:secret --format '{{.Digest}}' "docker://$TLS/e2e/tls:1")" "$(digest_of "$IMAGE")"
  is "$(over_etc with-ca logout "$TLS")" "Removing login credentials for $TLS"
  is "$(over_etc with-ca logout "$TLS")" "Not logged in to $TLS"
  run ! over_etc with-ca image pull "$TLS/e2e/busybox:1"
}

@test "login asks on a terminal, and does not show the password" {
  export DOCKER_CONFIG=$PWD/docker
  run -0 timeout 60 "$BATS_TEST_DIRNAME/terminal" 24 80 "$PROGRAM" login --tls-verify=false "$TLS" <<-'S'
	wait Username:
	type me\n
	wait Password:
	type secret\n
	wait Login Succeeded
	S
  lacks "$output" secret
  is "$(jq -r ".auths[\"$TLS\"].auth" docker/config.json | base64 -d)" me:secret
}

@test "a certificate that is not verified, and plain HTTP, only where it is asked for" {
  fresh
  export DOCKER_CONFIG=$PWD/docker
  run ! compose image pull "$CLEAR/e2e/busybox:1"
  has "$output" "$CLEAR"
  compose image pull -q --tls-verify=false "$CLEAR/e2e/busybox:1"
  compose --insecure-registry 10.99.0.0/16 image pull -q "$CLEAR/e2e/large:1"
  compose image tag "$CLEAR/e2e/busybox:1" "$CLEAR/e2e/clear:1"
  run ! compose image push "$CLEAR/e2e/clear:1"
  compose --insecure-registry "$CLEAR" image push -q "$CLEAR/e2e/clear:1"
  compose login --tls-verify=false -u me --password-stdin "$TLS" <<<secret
  yaml <<<"services: {a: {image: '$TLS/e2e/busybox:1'}}"
  run ! compose pull
  has "$output" certificate
  compose pull -q --tls-verify=false
  compose image rm "$TLS/e2e/busybox:1"
  compose --insecure-registry "$HOST" pull -q
}

@test "a registry that wants a client certificate" {
  fresh
  run ! over_etc with-ca image pull "$CLIENT/e2e/busybox:1"
  mkdir -p "etc/docker/certs.d/$CLIENT"
  cp "$SERVERS"/certs/{ca.crt,client.cert,client.key} "etc/docker/certs.d/$CLIENT/"
  over_etc "$PWD/etc" image pull -q "$CLIENT/e2e/busybox:1"
}

@test "tokens: anonymous pull, a refused push, login keeps the refresh token and not the password, push, a private repository" {
  fresh
  export DOCKER_CONFIG=$PWD/docker
  compose image pull -q "$TOKEN/e2e/busybox:1"
  compose image tag "$TOKEN/e2e/busybox:1" "$TOKEN/private/busybox:1"
  run ! compose image push "$TOKEN/private/busybox:1"
  has "$output" "$TOKEN"
  run ! compose login -u me --password-stdin "$TOKEN" <<<wrong
  compose login -u me --password-stdin "$TOKEN" <<<secret
  is "$(jq -r ".auths[\"$TOKEN\"].identitytoken" docker/config.json)" refresh-of-me
  fails grep -q "$(printf 'me:secret' | base64)" docker/config.json
  compose image push -q "$TOKEN/private/busybox:1"
  grep -q "POST \['refresh_token'\]" "$SERVERS/tokens.log"
  compose image rm "$TOKEN/private/busybox:1"
  compose image pull -q "$TOKEN/private/busybox:1"
  compose image rm "$TOKEN/private/busybox:1"
  compose logout "$TOKEN"
  run ! compose image pull "$TOKEN/private/busybox:1"
}

@test "credential helpers are called as their protocol says" {
  fresh
  mkdir bin docker
  cat >bin/docker-credential-test <<-'H'
	#!/bin/sh
	input=$(cat); echo "$1 $input" >>calls
	case $1 in
	  store) echo "$input" >kept ;;
	  get) [ -e kept ] && cat kept || { echo "credentials not found in native keychain"; exit 1; } ;;
	  erase) [ -e kept ] && rm kept || { echo "credentials not found in native keychain"; exit 1; } ;;
	esac
	H
  chmod +x bin/docker-credential-test
  export DOCKER_CONFIG=$PWD/docker PATH=$PWD/bin:$PATH
  echo "{\"credHelpers\": {\"$TLS\": \"test\"}, \"other\": 1}" >docker/config.json
  run ! over_etc with-ca image pull "$TLS/e2e/busybox:1"
  has "$output" unauthorized
  run -0 over_etc with-ca login -u me --password-stdin "$TLS" <<<secret
  lacks "$output" unencrypted
  is "$(jq -c '[.ServerURL, .Username, .Secret]' kept)" "[\"$TLS\",\"me\",\"secret\"]"
  over_etc with-ca image pull -q "$TLS/e2e/busybox:1"
  grep -qx "get $TLS" calls
  over_etc with-ca logout "$TLS"
  [[ ! -e kept ]]
  is "$(jq -c '[.other, .auths]' docker/config.json)" "[1,null]"
  echo '{"credsStore": "absent"}' >docker/config.json
  run ! over_etc with-ca image pull "$TLS/e2e/busybox:1"
  has "$output" docker-credential-absent
}

@test "cut, truncated, spoilt, slow and refusing transfers: the pull completes and what is there is whole" {
  fresh
  faults '{"what": "cut", "times": 2, "after": 5000000}'
  compose image pull -q "$FAULTY/e2e/large:1"
  has "$(compose image verify)" "2 layers verified: all is whole"
  local fault
  for fault in '{"what": "cut", "times": 4}' '{"what": "truncate", "times": 3}' '{"what": "corrupt", "times": 1}' '{"what": "delay", "after": 200000, "seconds": 0.05}' \
    '{"what": "status", "status": 429, "retry_after": 1}' '{"what": "status", "status": 503, "times": 2}'; do
    fresh
    faults "$fault"
    compose image pull -q "$FAULTY/e2e/busybox:1"
    has "$(compose image verify)" "1 layer verified: all is whole"
  done
  faults '{"what": ""}'
}

@test "what cannot be had is a clear error, and nothing is left" {
  local row
  for row in '{"what": "corrupt", "times": 9}|damaged on the way' '{"what": "status", "status": 403, "times": 9}|403' \
    '{"what": "status", "status": 429, "retry_after": 3600, "times": 9}|asks to wait 3600 s' '{"what": "redirect", "to": "ftp://127.0.0.1", "times": 9}|not http or https'; do
    fresh
    faults "${row%%|*}"
    run ! compose image pull "$FAULTY/e2e/large:1"
    has "$output" "${row#*|}"; has "$output" "$FAULTY"
    is "$(find "$COMPOSE_ROOT"/layers "$COMPOSE_ROOT"/images/{tmp,blobs/sha256} -mindepth 1)" ""
    is "$(compose image ls -q)" ""
  done
  faults '{"what": ""}'
}

@test "cve_2020_15157: a token goes to its registry only, not to where a redirect leads" {
  fresh
  export DOCKER_CONFIG=$PWD/docker
  curl -fsS -X PUT -d "{\"what\": \"redirect\", \"to\": \"http://$FAULTY\", \"times\": 99}" "http://$FAULTY_TOKEN/faults"
  : >"$SERVERS/faults.log"
  compose image pull -q "$FAULTY_TOKEN/e2e/busybox:1"
  grep -q "authorization=Bearer" "$SERVERS/faults_token.log"
  grep -q "GET .*/blobs/" "$SERVERS/faults.log"
  fails grep -q "authorization=." "$SERVERS/faults.log"
}

@test "proxies of the environment: for HTTP and HTTPS, not for loopback, not for NO_PROXY" {
  fresh
  export DOCKER_CONFIG=$PWD/docker
  : >"$SERVERS/forward.log"
  HTTP_PROXY=http://$FORWARD compose --insecure-registry "$CLEAR" image pull -q "$CLEAR/e2e/busybox:1"
  grep -q "GET http://$CLEAR/v2/e2e/busybox/blobs/" "$SERVERS/forward.log"
  https_proxy=http://$FORWARD compose login --tls-verify=false -u me --password-stdin "$TLS" <<<secret
  grep -q "CONNECT $TLS" "$SERVERS/forward.log"
  : >"$SERVERS/forward.log"
  http_proxy=http://$FORWARD compose image pull -q "$REGISTRY/e2e/large:1"
  http_proxy=http://$FORWARD NO_PROXY=$HOST compose --insecure-registry "$CLEAR" image pull -q "$CLEAR/e2e/large:1"
  is "$(cat "$SERVERS/forward.log")" ""
}

@test "registries.conf: a mirror is asked first, the registry when it fails; a blocked one is not asked" {
  fresh
  mkdir -p etc/containers
  cat >etc/containers/registries.conf <<-C
	[[registry]]
	prefix = "docker.io/library"
	location = "$REGISTRY/nothing-here"
	[[registry.mirror]]
	location = "$FAULTY/e2e"
	[[registry]]
	location = "blocked.example"
	blocked = true
	C
  : >"$SERVERS/faults.log"
  over_etc "$PWD/etc" image pull -q busybox:1
  has "$(cat "$SERVERS/faults.log")" "/v2/e2e/busybox/manifests/1?ns=docker.io"
  run ! over_etc "$PWD/etc" image pull absent:1
  has "$output" "manifest for absent:1 not found"
  run ! over_etc "$PWD/etc" image pull blocked.example/x
  has "$output" blocked
}

@test "hostile images: each is refused with the image, the layer and the entry, and nothing of it is left" {
  fresh
  local row name
  for row in 'dotdot|entry "../../../../../../tmp/escaped": the name leaves the root' 'hardlink-out|hard link to' 'hardlink-missing|which is not there' \
    'whiteout-climbs|climbs out of its folder' 'long-name|longer than 4096' 'huge-owner|owner beyond 32 bits' 'not-a-tar|not a sound tar' \
    'wrong-diff|the configuration promises' 'too-short|the manifest promises' 'too-long|more than the' 'wrong-digest|damaged on the way' \
    'digest-is-a-path|is not a digest' 'wrong-type|layers is not' 'negative-size|size is missing or negative' 'both|CVE-2021-41190' \
    'missing-layers|has 2 layers, the manifest 1' 'foreign|404' 'not-json|not JSON' 'schema1|schema 1' 'deep|not JSON' 'huge|larger than' 'endless|redirects'; do
    name=${row%%|*}
    run ! compose image pull "$BAD/$name:1"
    has "$output" "${row#*|}"; has "$output" "$BAD/$name:1"
  done
  for row in COMPOSE_IMAGE_SIZE=9m COMPOSE_IMAGE_RATIO=0,COMPOSE_IMAGE_SIZE=31m; do
    run ! env ${row//,/ } timeout 60 "$PROGRAM" image pull "$BAD/bomb:1"
    has "$output" bomb
  done
  run ! env COMPOSE_IMAGE_SIZE=lots "$PROGRAM" image pull "$BAD/bomb:1"
  has "$output" COMPOSE_IMAGE_SIZE
  [[ ! -e /tmp/escaped ]]
  is "$(compose image ls -q)" ""
  compose image prune -f
  is "$(find "$COMPOSE_ROOT"/layers "$COMPOSE_ROOT"/images/{tmp,blobs/sha256} -mindepth 1)" ""
}
