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

@test "what this system has not is refused by its name" {
  for attribute in 'userns_mode: "1000"' 'runtime: nosuch' 'security_opt: ["seccomp:absent.json"]' 'cap_add: [NO_SUCH]' 'devices: ["/dev/absent"]' 'credential_spec: {file: x.json}'; do
    yaml <<<"services: {a: {image: '@IMAGE@', command: 'true', $attribute}}"
    run compose up -d
    [[ $status -ne 0 && $output ]] || { echo "taken: $attribute"; false; }
  done
}
