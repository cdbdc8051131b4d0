load lib
setup() { project apparmor; }
teardown() { compose down -v -t 0 >/dev/null 2>&1; }
label() { compose exec -T "$1" sh -c 'cat /proc/1/attr/current /proc/self/attr/current' | tr '\n' ' '; }

@test "the default profile is put on all that is not privileged" {
  yaml <<'Y'
services:
  plain: {image: "@IMAGE@", init: true, command: sleep 100000}
  strict: {image: "@IMAGE@", init: true, command: sleep 100000, security_opt: ["no-new-privileges:true"]}
  named: {image: "@IMAGE@", init: true, command: sleep 100000, security_opt: ["apparmor=docker-default"]}
  open: {image: "@IMAGE@", init: true, command: sleep 100000, security_opt: ["apparmor=unconfined"]}
  all: {image: "@IMAGE@", init: true, command: sleep 100000, privileged: true}
Y
  compose up -d
  # docker-default is Docker's own where one has run, ours elsewhere.
  local theirs=compose-default; grep -q '^docker-default ' /sys/kernel/security/apparmor/profiles && theirs=docker-default
  is "$(label named)" "$theirs (enforce) $theirs (enforce) "
  for s in plain strict; do is "$(label $s)" "compose-default (enforce) compose-default (enforce) "; done
  for s in open all; do is "$(label $s)" "unconfined unconfined "; done
  has "$(compose exec -T --privileged plain cat /proc/self/attr/current)" "compose-default (enforce)"
  compose stop plain
  is "$(compose container inspect -f '{{.State.ExitCode}}' apparmor-plain-1)" 143
}

@test "it holds what capabilities and taken off masks would give" {
  yaml <<'Y'
services: {a: {image: "@IMAGE@", init: true, command: sleep 100000, cap_add: [SYS_ADMIN, SYS_PTRACE], security_opt: ["systempaths=unconfined"]}}
Y
  compose up -d
  for attempt in 'mount -t tmpfs x /tmp' 'echo 1 >/proc/sys/kernel/panic' 'echo 1 >/proc/sys/net/ipv4/ip_forward' 'head -c 1 /proc/kcore' 'echo h >/proc/sysrq-trigger'; do
    run ! compose exec -T a sh -c "$attempt"
    has "$output" "ermission denied"
  done
  compose exec -T a sh -c 'kill -0 1 && ls /proc/1/fd && echo x >/tmp/y && echo x >/proc/self/comm'
}

@test "a profile of one's own, and one that is not there" {
  apparmor_parser -r <<<'profile mine flags=(attach_disconnected,mediate_deleted) { file, network, capability, signal, ptrace, deny /tmp/secret rw, }'
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", init: true, command: sleep 100000, security_opt: ["apparmor=mine"]}
  b: {image: "@IMAGE@", init: true, command: sleep 100000, security_opt: ["apparmor:nosuch"]}
Y
  compose up -d a
  is "$(label a)" "mine (enforce) mine (enforce) "
  run ! compose exec -T a sh -c ': >/tmp/secret'
  run ! compose up -d b
  has "$output" "apparmor=nosuch: the kernel has no profile of this name"
}
