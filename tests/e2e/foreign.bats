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
