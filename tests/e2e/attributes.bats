# Attributes of a service that concern its process, resources and rights, each tried on a real container.
load lib

@test "who runs: user, groups, folder, names, environment, init, annotations" {
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", init: true, stop_signal: SIGKILL, command: sleep 1000, user: "app", group_add: ["4242", root], working_dir: /made/here, hostname: hh, domainname: example.org, environment: {A: "1", B: }, annotations: {x: y}, labels: {k: v}}
  b: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, user: "4243:44"}
Y
  compose up -d
  is "$(compose exec -T a sh -c 'id -u; id -g; id -G | tr " " "\n" | sort -n | tr "\n" " "; pwd; hostname; echo "$A${B-unset}"; grep -c "hh.example.org hh" /etc/hosts')" "1000
1000
0 1000 4242 /made/here
hh
1unset
1"
  is "$(compose exec -T b sh -c 'echo $(id -u):$(id -g) $(id -G)')" "4243:44 44"
  is "$(compose exec -T -u 0 a sh -c 'tr "\0" " " </proc/1/cmdline | grep -c -- "-- sleep 1000"')" 1
}

@test "HOME is by the passwd file that a mount puts in the image's place" {
  mkdir etc; echo 'me:x:4242:4242::/home/me:/bin/sh' | tee passwd >etc/passwd
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", user: "4242", command: [sh, -c, "echo $$HOME"], volumes: ["./passwd:/etc/passwd:ro"]}
  b: {image: "@IMAGE@", user: "4242", command: [sh, -c, "echo $$HOME"], volumes: ["./etc:/etc"]}
  c: {image: "@IMAGE@", user: "4242", command: [sh, -c, "echo $$HOME"]}
  d: {image: "@IMAGE@", user: "7", command: [sh, -c, "echo $$HOME"], volumes: ["./passwd:/etc/passwd:ro"]}
  e: {image: "@IMAGE@", user: "4242", command: [sh, -c, "echo $$HOME"], environment: {HOME: /asked}, volumes: ["./passwd:/etc/passwd:ro"]}
Y
  for pair in a=/home/me b=/home/me c=/ d=/ e=/asked; do is "$(compose run --rm -T "${pair%=*}")" "${pair#*=}"; done
}

@test "rights: capabilities, privileged, no-new-privileges, seccomp by file, read-only root, devices" {
  echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}' >profile.json
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, cap_drop: [ALL], cap_add: [NET_ADMIN], security_opt: ["no-new-privileges:true", "seccomp:profile.json"], read_only: true, tmpfs: ["/t:size=64k,mode=700"], devices: ["/dev/null:/dev/extra:r"], device_cgroup_rules: ["c 1:5 r"]}
  b: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, privileged: true}
Y
  compose up -d
  is "$(compose exec -T a sh -c 'grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/1/status | tr -d "\t" | tr "\n" " "')" "CapEff:0000000000001000 NoNewPrivs:1 Seccomp:2 "
  is "$(compose exec -T a sh -c 'mkdir /t/x 2>&1 | grep -c "Permission denied"; touch /x 2>&1 | grep -c "Read-only"; echo ok > /t/f && cat /t/f; test -c /dev/extra && echo device')" "1
1
ok
device"
  is "$(compose exec -T b sh -c 'grep ^Seccomp: /proc/1/status | tr -d "\t"; test -c /dev/loop-control -o -c /dev/kmsg && echo host devices')" "Seccomp:0
host devices"
}

@test "limits: memory, cpus, pids, ulimits, sysctls, shm, oom score" {
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, mem_limit: 64m, mem_reservation: 32m, cpus: 0.5, cpu_shares: 512, cpuset: "0", pids_limit: 50, ulimits: {nofile: {soft: 100, hard: 200}, nproc: 77}, sysctls: {net.core.somaxconn: 99, kernel.msgmax: 4096}, shm_size: 1m, oom_score_adj: 55}
Y
  compose up -d
  is "$(compose exec -T a sh -c 'ulimit -n; ulimit -Hn; cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax /proc/1/oom_score_adj; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2; grep Cpus_allowed_list /proc/1/status | cut -f2' | tr '\n' ' ')" "100 200 99 4096 55 1024 0 "
  has "$(compose stats --no-stream --format '{{.MemUsage}}')" 64MiB
  is "$(timeout 60 "$PROGRAM" container inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' "$PROJECT-a-1")" "500000000 50"
  run compose exec -T a sh -c 'i=0; while [ $i -lt 60 ]; do sleep 100 >/dev/null 2>&1 & i=$((i+1)); done'
  has "$output" "fork"
}

@test "namespaces: pid, ipc, network and uts of a service, a container and the host" {
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1111, ipc: shareable, hostname: owner}
  b: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 2222, pid: "service:a", ipc: "service:a", network_mode: "service:a"}
  c: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 3333, pid: host, uts: host, network_mode: none}
Y
  compose up -d
  has "$(compose exec -T b ps)" "sleep 1111"
  for kind in pid ipc net; do is "$(compose exec -T b readlink /proc/self/ns/$kind)" "$(compose exec -T a readlink /proc/self/ns/$kind)"; done
  is "$(compose exec -T b hostname)" owner
  is "$(compose exec -T c hostname)" "$(hostname)"
  is "$(compose exec -T c sh -c 'ls /sys/class/net')" lo
  has "$(compose exec -T c ps)" "sleep 2222"
}

@test "rights, second part: a profile of a privileged one, writable control groups, files of a read-only root" {
  echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":13}]}' >profile.json
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, privileged: true, security_opt: ["seccomp=profile.json", "no-new-privileges:1"]}
  b: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, security_opt: ["writable-cgroups=true"]}
  c: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, read_only: true, hostname: web.example.org, mem_limit: 64m, ulimits: {NOFILE: 99}, blkio_config: {weight: 300}}
Y
  compose up -d
  is "$(compose exec -T a sh -c 'grep -E "^(NoNewPrivs|Seccomp):" /proc/1/status | tr -d "\t" | tr "\n" " "; mkdir /tmp/x 2>&1 | grep -c "Permission denied"')" "NoNewPrivs:1 Seccomp:2 1"
  is "$(compose exec -T b sh -c 'grep " /sys/fs/cgroup" /proc/self/mountinfo | grep -v tmpfs | grep -c " ro,"')" 0
  is "$(compose exec -T c sh -c 'echo x >>/etc/hosts' 2>&1 | grep -c 'Read-only')" 1
  is "$(compose exec -T c sh -c 'grep -c "web.example.org web$" /etc/hosts; ulimit -n' | tr '\n' ' ')" "1 99 "
  # Control groups v1: with a limit, programs find every controller, as the JVM wants.
  is "$(compose exec -T c sh -c 'cd /sys/fs/cgroup; test -e cgroup.controllers || ls -d memory cpu cpuset cpuacct pids >/dev/null && echo all')" all
}

@test "mounts: an image that is missing is pulled, tmpfs words, what contradicts is refused with its place" {
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", stop_signal: SIGKILL, command: sleep 1000, tmpfs: ["/t:sync,mode=700,uid=7", "/dev/shm:size=64k"], volumes: [{type: image, source: "@REGISTRY@/e2e/mounted:1", target: /i, image: {subpath: bin}}]}
Y
  timeout 60 "$PROGRAM" pull -q >/dev/null
  timeout 60 "$PROGRAM" image tag "$IMAGE" "$REGISTRY/e2e/mounted:1" && timeout 60 "$PROGRAM" image push -q "$REGISTRY/e2e/mounted:1" && timeout 60 "$PROGRAM" image rm "$REGISTRY/e2e/mounted:1"
  compose up -d
  is "$(compose exec -T a sh -c 'stat -c "%a %u" /t; ls /i | grep -c "^busybox$"; touch /i/x 2>&1 | grep -c Read-only; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2' | tr '\n' ' ')" "700 7 1 1 64 "
  timeout 60 "$PROGRAM" image rm -f "$REGISTRY/e2e/mounted:1" || true
  for volume in '{type: tmpfs, target: /t, source: x}' '{type: bind, source: ., target: /d, bind: {recursive: readonly}}'; do
    yaml <<<"services: {a: {image: '@IMAGE@', command: 'true', volumes: [$volume]}}"
    run -1 compose up -d
    has "$output" "compose.yaml:1:"
  done
}

@test "what has no effect on this machine is said with its place" {
  yaml <<'Y'
services:
  a:
    image: "@IMAGE@"
    command: "true"
    security_opt: ["apparmor=nosuch", "label=user:x"]
    oom_kill_disable: true
    userns_mode: keep-id
Y
  run compose up -d
  has "$output" 'compose.yaml:7:18: service "a": userns_mode "keep-id" has no effect'
  has "$output" 'compose.yaml:6:23: service "a": oom_kill_disable'
  has "$output" 'compose.yaml:5:19: service "a": security_opt label=user:x has no effect'
  [[ -e /sys/module/apparmor ]] || has "$output" 'compose.yaml:5:19: service "a": security_opt apparmor=nosuch has no effect'
}

@test "what this system has not is refused by its name" {
  for attribute in 'isolation: hyperv' 'storage_opt: {size: 1G}' 'pid: bogus' 'ipc: bogus' 'uts: private' 'extra_hosts: ["a:bogus"]' 'dns: bogus' 'cpus: 0.001' 'cpu_shares: 1' 'platform: linux/s390x' 'cap_add: [CAP_ALL]' 'security_opt: ["label"]' 'sysctls: {kernel.hostname: x}' 'healthcheck: {test: "true", interval: 1us}' 'runtime: nosuch' 'security_opt: ["seccomp:absent.json"]' 'cap_add: [NO_SUCH]' 'devices: ["/dev/absent"]' 'credential_spec: {file: x.json}'; do
    yaml <<<"services: {a: {image: '@IMAGE@', command: 'true', $attribute}}"
    run compose up -d
    [[ $status -ne 0 && $output == *"compose.yaml:1:"* ]] || { echo "taken: $attribute: $output"; false; }
  done
}

@test "devices by CDI: JSON and YAML files, every edit, hooks, conflicts and files that are no use" {
  local vendor="v$BATS_ROOT_PID.example.com" folder=/var/run/cdi
  mkdir -p $folder
  cleanup() { rm -f /var/run/cdi/v"$BATS_ROOT_PID".example.com.*; }
  cat >"$BATS_TEST_TMPDIR/hook" <<'H'
#!/bin/sh
state=$(cat)
bundle=${state#*\"bundle\":\"}; bundle=${bundle%%\"*}
case $1 in
  inside) echo "$X $state" >"$bundle/rootfs/hooked" ;;
  outside) echo "$state" >"$2" ;;
esac
H
  chmod +x "$BATS_TEST_TMPDIR/hook"
  cat >$folder/$vendor.yaml <<Y
cdiVersion: 0.7.0
kind: $vendor/thing
containerEdits:
  env: [ALL=1]
devices:
- name: one
  containerEdits:
    env: [ONE=1]
    additionalGids: [4711]
    deviceNodes:
    - {path: /dev/thing0, hostPath: /dev/null, permissions: rw, fileMode: 0640, uid: 3, gid: 4}
    mounts:
    - {hostPath: $BATS_TEST_TMPDIR, containerPath: /opt/thing, options: [ro, nosuid, bind]}
    hooks:
    - {hookName: createRuntime, path: $BATS_TEST_TMPDIR/hook, args: [hook, outside, $BATS_TEST_TMPDIR/told]}
    - {hookName: createContainer, path: $BATS_TEST_TMPDIR/hook, args: [hook, inside], env: [X=y]}
- name: broken
  containerEdits:
    hooks: [{hookName: createRuntime, path: /bin/sh, args: [sh, -c, "echo no such card >&2; exit 3"]}]
Y
  echo '{"cdiVersion":"0.5.0","kind":"'$vendor'/other","devices":[{"name":"two","containerEdits":{"env":["TWO=2"]}}]}' >$folder/$vendor.json
  echo '{' >$folder/$vendor.bad.json
  yaml <<Y
services:
  a:
    image: "@IMAGE@"
    stop_signal: SIGKILL
    command: sleep 1000
    devices: [$vendor/thing=one]
    deploy: {resources: {reservations: {devices: [{driver: cdi, device_ids: [$vendor/other=two], capabilities: [x]}]}}}
Y
  compose up -d
  is "$(compose exec -T a sh -c 'tr "\0" "\n" </proc/1/environ | grep -E "^(ALL|ONE|TWO)=" | sort | tr "\n" " "; stat -c "%a %u:%g %t:%T" /dev/thing0; test -e /opt/thing/hook && echo mounted; touch /opt/thing/x 2>&1 | grep -c Read-only; grep -c 4711 /proc/1/status; echo x >/dev/thing0 && echo used; cut -d" " -f1 /hooked' | tr '\n' ' ')" \
    "ALL=1 ONE=1 TWO=2 640 3:4 1:3 mounted 1 1 used y "
  has "$(cat "$BATS_TEST_TMPDIR/told")" '"status":"creating"'
  yaml <<<"services: {b: {image: '@IMAGE@', command: 'true', devices: ['$vendor/thing=broken']}}"
  run -1 compose up -d --remove-orphans
  has "$output" "no such card"
  yaml <<<"services: {b: {image: '@IMAGE@', command: 'true', devices: ['$vendor/thing=absent']}}"
  run -1 compose up -d
  has "$output" "CDI device \"$vendor/thing=absent\" is not described"
  has "$output" "$vendor.bad.json"
}

@test "stop with another signal is the supervisor's work" {
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", command: ["sh", "-c", "trap 'exit 7' USR1; trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done"]}
Y
  compose up -d
  ready() { compose logs a | grep -q ready; }
  wait_for 30 ready
  is "$(timeout 60 "$PROGRAM" container stop --signal USR1 "$PROJECT-a-1")" "$PROJECT-a-1"
  is "$(state a ExitCode)" 7
  timeout 60 "$PROGRAM" container start "$PROJECT-a-1" >/dev/null
  timeout 60 "$PROGRAM" container restart --signal USR1 "$PROJECT-a-1" >/dev/null
  is "$(state a)" running
  run timeout 60 "$PROGRAM" container stop --signal NOPE "$PROJECT-a-1"
  [[ $status -ne 0 ]]
  has "$output" "Invalid signal: NOPE"
}
