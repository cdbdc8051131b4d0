# What the files here load:  load lib  (below restart: load ../lib). Everything is the machine's own: its network, /var/lib/compose,
# the installed program and unit.
bats_require_minimum_version 1.5.0
[[ ${COMPOSE_VM-} ]] || { echo "these tests are for the virtual machine: tests/vm/run" >&2; exit 1; }
unset COMPOSE_ROOT
IMAGE=$COMPOSE_E2E_REGISTRY/e2e/busybox:1

# compose ARG…: the program, at most LIMIT seconds; emulation is slow
compose() { timeout "${LIMIT:-300}" /usr/local/bin/compose "$@"; }
# yaml: writes standard input with @IMAGE@ filled in
yaml() { sed "s|@IMAGE@|$IMAGE|g" >compose.yaml; }
# project NAME: works in a folder that a next boot finds again
project() { mkdir -p "/root/$1"; cd "/root/$1"; }
wait_for() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do ((SECONDS < deadline)) || { echo "not within the time: $*" >&2; return 1; }; sleep 0.2; done
}
# The monotonic clock, whole seconds. SECONDS and date follow the wall clock.
uptime_seconds() { cut -d. -f1 /proc/uptime; }
status() { compose ps --all --format json "$1" | jq -r .State; }
# group SERVICE: the folder of its container's control group
group() { find /sys/fs/cgroup -type d -name "$(compose ps --all --no-trunc --format json "$1" | jq -r .ID)"; }
is() { [[ "$1" == "$2" ]] || { printf 'expected: %q\n     got: %q\n' "$2" "$1" >&2; return 1; }; }
has() { [[ "$1" == *"$2"* ]] || { printf 'expected to contain: %q\n                got: %q\n' "$2" "$1" >&2; return 1; }; }
lacks() { [[ "$1" != *"$2"* ]] || { printf 'expected not to contain: %q\n                    got: %q\n' "$2" "$1" >&2; return 1; }; }
