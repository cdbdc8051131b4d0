# What every file loads:  load lib
# A test works in a folder named $PROJECT, which is the project's name too. What it leaves is taken down afterwards.
bats_require_minimum_version 1.5.0
PROGRAM=$COMPOSE_E2E_PROGRAM
REGISTRY=$COMPOSE_E2E_REGISTRY
IMAGE=$REGISTRY/e2e/busybox:1

setup() {
  # A test that a loaded machine made fail gets one more try, after its output (teardown). (bats takes the number from here, not from outside.)
  BATS_TEST_RETRIES=1
  PROJECT=e$(printf '%s' "$BATS_TEST_FILENAME:$BATS_TEST_NUMBER" | cksum | cut -d' ' -f1)
  mkdir -p "$BATS_TEST_TMPDIR/$PROJECT"
  cd "$BATS_TEST_TMPDIR/$PROJECT" || return 1
  unset NO_COLOR COMPOSE_ANSI COMPOSE_PROGRESS COMPOSE_FILE COMPOSE_PROFILES COMPOSE_PROJECT_NAME COMPOSE_ENV_FILES COMPOSE_PATH_SEPARATOR COMPOSE_IGNORE_ORPHANS
}

teardown() {
  [[ ${BATS_TEST_COMPLETED-} ]] || ((BATS_TEST_TRY_NUMBER > 1)) || { echo "# failed, one more try: $BATS_TEST_DESCRIPTION"; sed 's/^/#   /' "$BATS_OUT"; } >&3
  if declare -F cleanup >/dev/null; then cleanup; fi  # a test's own
  cd "$BATS_TEST_TMPDIR/$PROJECT" 2>/dev/null || return 0
  timeout 120 "$PROGRAM" -p "$PROJECT" -f - down -t 0 -v --remove-orphans >/dev/null 2>&1 <<<"services: {none: {image: '$IMAGE'}}"
  return 0
}

# compose ARG…: the program, at most two minutes
compose() { timeout "${LIMIT:-120}" "$PROGRAM" "$@"; }
# yaml [FILE]: writes standard input with @IMAGE@ and @REGISTRY@ filled in
yaml() { sed -e "s|@IMAGE@|$IMAGE|g" -e "s|@REGISTRY@|$REGISTRY|g" >"${1:-compose.yaml}"; }
# wait_for SECONDS COMMAND…: until it succeeds; the time is a limit for a hang, not a measure
wait_for() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do ((SECONDS < deadline)) || { echo "not within the time: $*" >&2; return 1; }; sleep 0.1; done
}
# state SERVICE [FIELD]: of its first container
state() { compose ps --all --format json | jq -rs --arg s "$1" --arg f "${2:-State}" 'map(select(.Service == $s)) | sort_by(.Name)[0][$f]'; }
# count SERVICE: how many of its containers run
count() { compose ps --format json | jq -rs --arg s "$1" 'map(select(.Service == $s)) | length'; }
free_port() { local p; while :; do p=$((20000 + RANDOM % 20000)); (: </dev/tcp/127.0.0.1/$p) 2>/dev/null || { echo $p; return; }; done; }

is() { [[ "$1" == "$2" ]] || { printf 'expected: %q\n     got: %q\n' "$2" "$1" >&2; return 1; }; }
has() { [[ "$1" == *"$2"* ]] || { printf 'expected to contain: %q\n                got: %q\n' "$2" "$1" >&2; return 1; }; }
lacks() { [[ "$1" != *"$2"* ]] || { printf 'expected not to contain: %q\n                    got: %q\n' "$2" "$1" >&2; return 1; }; }
fails() { if "$@"; then echo "expected to fail: $*" >&2; return 1; fi; }
