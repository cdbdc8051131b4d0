# Servers for the tests of registries; started by setup_file, their folder is $SERVERS.
TOOLS=$BATS_TEST_DIRNAME/registry_tools
HOST=10.99.0.1  # in the network namespace of these tests; not loopback, for which other rules hold
TLS=$HOST:5443 CLIENT=$HOST:5444 CLEAR=$HOST:5445 TOKEN=127.0.0.1:5057 FAULTY=127.0.0.1:5061 FAULTY_TOKEN=127.0.0.1:5062 BAD=127.0.0.1:5063 FORWARD=127.0.0.1:5065
SERVERS=$BATS_FILE_TMPDIR

begin() { local name=$1; shift; "$@" >"$SERVERS/$name.out" 2>&1 </dev/null 3>&- & echo $! >>"$SERVERS/pids"; }
# registry NAME ADDRESS TLS AUTH: one docker-registry more, over the images of the one that `run` has started
registry() {
  printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"%s}\n%s\n' \
    "${COMPOSE_ROOT%/root}/registry" "$2" "$3" "$4" >"$SERVERS/$1.yml"
  begin "$1" docker-registry serve "$SERVERS/$1.yml"
}

start_registries() {
  local certs=$SERVERS/certs address
  ip link set lo up; ip address add "$HOST/32" dev lo
  "$TOOLS" certificates "$certs" "$HOST"
  "$TOOLS" htpasswd me secret >"$SERVERS/htpasswd"
  for address in "$TLS" "$CLIENT"; do mkdir -p "$SERVERS/with-ca/docker/certs.d/$address"; cp "$certs/ca.crt" "$SERVERS/with-ca/docker/certs.d/$address/"; done
  registry tls "$TLS" ", tls: {certificate: $certs/server.crt, key: $certs/server.key}" "auth: {htpasswd: {realm: test, path: $SERVERS/htpasswd}}"
  registry client "$CLIENT" ", tls: {certificate: $certs/server.crt, key: $certs/server.key, clientcas: [$certs/ca.crt]}" ""
  registry clear "$CLEAR" "" ""
  registry token "$TOKEN" "" "auth: {token: {realm: 'http://127.0.0.1:5058/token', service: test, issuer: test, rootcertbundle: $certs/ca.crt}}"
  begin tokens "$TOOLS" tokens 127.0.0.1:5058 "$certs" test "$SERVERS/tokens.log"
  begin faults "$TOOLS" faults "$FAULTY" "$REGISTRY" "$SERVERS/faults.log"
  begin faults_token "$TOOLS" faults "$FAULTY_TOKEN" "$TOKEN" "$SERVERS/faults_token.log"
  begin hostile "$TOOLS" hostile "$BAD"
  begin forward "$TOOLS" forward "$FORWARD" "$SERVERS/forward.log"
  for address in "$TLS" "$CLIENT" "$CLEAR" "$TOKEN" 127.0.0.1:5058 "$FAULTY" "$FAULTY_TOKEN" "$BAD" "$FORWARD"; do
    wait_for 60 bash -c ": </dev/tcp/${address%:*}/${address#*:}" || { tail -n 5 "$SERVERS"/*.out >&2; return 1; }
  done
}
stop_registries() {
  local pid
  while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$SERVERS/pids"
  ip address del "$HOST/32" dev lo 2>/dev/null || true
}

# fresh: an engine without images
fresh() { export COMPOSE_ROOT=$BATS_TEST_TMPDIR/root; rm -rf "$COMPOSE_ROOT"; }
# over_etc FOLDER ARG…: the program with the files of FOLDER (with-ca: one of ours) over those of /etc
over_etc() {
  local folder=$1; shift
  [[ $folder == /* ]] || folder=$SERVERS/$folder
  timeout 120 unshare --mount -- sh -c 'mount -t overlay overlay -o "lowerdir=$0:/etc" /etc && exec "$@"' "$folder" "$PROGRAM" "$@"
}
# faults JSON: what the proxy before the plain registry does to blobs from now on
faults() { curl -fsS -X PUT -d "$1" "http://$FAULTY/faults"; }
digest_of() { skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$1"; }
