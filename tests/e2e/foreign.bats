# Services whose containers another OCI runtime starts. Those that need runc are skipped where it is not installed.
load lib

needs_runc() { [[ -x /usr/sbin/runc || -x /usr/bin/runc ]] || skip "no runc here"; }

@test "a service by runc: log, exit code, exec, limits, restart, stop" {
  needs_runc
  yaml <<'Y'
services:
  a:
    image: "@IMAGE@"
    runtime: runc
    hostname: abox
    mem_limit: 64m
    tmpfs: [/scratch]
    volumes: ["./:/here:ro", "data:/data"]
    command: sh -c 'echo begun; trap "exit 3" TERM; while :; do sleep 0.1; done'
volumes: {data: {}}
Y
  compose up -d
  [[ -n $(find /run/compose/*/containers/*/oci -name state.json 2>/dev/null) ]]
  begun() { compose logs a | grep -q begun; }
  wait_for 30 begun
  run -9 compose exec -T a sh -c 'hostname; test -e /here/compose.yaml && echo mounted; echo x >/data/x && echo written; exit 9'
  is "$output" abox$'\n'mounted$'\n'written
  compose restart a
  is "$(state a)" running
  compose stop
  is "$(state a ExitCode)" 3
  compose up -d
  is "$(state a)" running
}

@test "a terminal and an init by runc; what cannot be executed is said in its words" {
  needs_runc
  yaml <<'Y'
services:
  b: {image: "@IMAGE@", runtime: runc, tty: true, init: true, command: "sh -c 'tty; cat /proc/1/cmdline; exit 5'"}
  c: {image: "@IMAGE@", runtime: runc, command: nosuch}
Y
  compose up -d b
  ended() { [[ $(state b) == exited ]]; }
  wait_for 30 ended
  is "$(state b ExitCode)" 5
  has "$(compose logs b)" /dev/pts/0
  has "$(compose logs b)" docker-init
  run -1 compose up -d c
  has "$output" "executable file not found"
}

@test "a runtime that is not there is an error that names it" {
  yaml <<<'services: {a: {image: "@IMAGE@", runtime: sandbox9, command: "true"}}'
  run -1 compose up -d
  has "$output" "unknown or invalid runtime name: sandbox9"
}

@test "runtimes.json: path and arguments of a runtime by name; exec in a sandbox is the runtime's own; what is no runtime is named" {
  needs_runc
  [[ -e /etc/compose/runtimes.json ]] && skip "this machine has runtimes of its own"
  mkdir -p /etc/compose
  cleanup() { rm -f /etc/compose/runtimes.json; rmdir /etc/compose 2>/dev/null || true; }
  cat >"$BATS_TEST_TMPDIR/wrapped" <<W
#!/bin/bash
printf '%s\n' "\$*" >>"$BATS_TEST_TMPDIR/calls"
args=()
for word in "\$@"; do [[ \$word == --platform=* ]] || args+=("\$word"); done
exec runc "\${args[@]}"
W
  chmod +x "$BATS_TEST_TMPDIR/wrapped"
  ln -s wrapped "$BATS_TEST_TMPDIR/runsc-wrapped"
  cat >/etc/compose/runtimes.json <<J
{"mine": {"path": "$BATS_TEST_TMPDIR/wrapped", "runtimeArgs": ["--platform=systrap"]}, "box": {"path": "$BATS_TEST_TMPDIR/runsc-wrapped"},
 "gone": {"path": "$BATS_TEST_TMPDIR/absent"}, "odd": {"path": "$BATS_TEST_TMPDIR/wrapped", "options": {}}, "relative": {"path": "x"}}
J
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", runtime: mine, command: sleep 1000, stop_signal: SIGKILL}
  b: {image: "@IMAGE@", runtime: box, command: sleep 1000, stop_signal: SIGKILL, healthcheck: {test: "true", interval: 100ms, retries: 1}}
Y
  compose up -d
  is "$(compose exec -T a echo inside)" inside
  run cat "$BATS_TEST_TMPDIR/calls"
  [[ ${lines[0]} =~ ^"--platform=systrap --root ".*" --log "[^\ ]+" --log-format json create --bundle "[^\ ]+" --pid-file "[^\ ]+" "[0-9a-f]{64}$ || ${lines[0]} =~ ^"--root " ]]
  has "$output" "--log-format json start "
  compose stop a
  deleted() { grep -q -- "--log-format json delete --force " "$BATS_TEST_TMPDIR/calls"; }
  wait_for 30 deleted
  healthy() { [[ $(state b Health) == healthy ]]; }
  wait_for 30 healthy
  run -3 compose exec -T -u 12:34 -w /tmp -e A=b b sh -c 'id -u; id -g; pwd; echo $A; echo told >&2; exit 3'
  is "$(sort <<<"$output")" "$(printf '%s\n' 12 34 /tmp b told | sort)"
  is "$(echo through | compose exec -T b cat)" through
  run -0 timeout 90 "$BATS_TEST_DIRNAME/terminal" 33 101 "$PROGRAM" exec b sh -c 'tty; stty size' </dev/null
  has "$output" /dev/pts/
  has "$output" "33 101"
  run -1 compose exec -T -u root b true
  has "$output" "give numbers"
  grep -q -- "--log-format json exec --process /proc/self/fd/3 " "$BATS_TEST_TMPDIR/calls"
  for name in gone odd relative; do
    yaml <<<"services: {c: {image: '@IMAGE@', runtime: $name, command: 'true'}}"
    run -1 compose up -d --remove-orphans
    has "$output" "compose.yaml:1:"
  done
}

@test "crun on a machine with both versions of control groups says cause and cure" {
  [[ -x /usr/bin/crun ]] || skip "no crun here"
  [[ -d /sys/fs/cgroup/unified ]] || skip "control groups are not hybrid here"
  yaml <<<'services: {a: {image: "@IMAGE@", runtime: crun, command: "true"}}'
  run compose up -d
  [[ $status -eq 0 ]] || has "$output" "systemd.unified_cgroup_hierarchy=1"
}
