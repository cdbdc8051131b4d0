load lib
setup() { project limits; }
teardown() { cd /root/limits; compose down -v -t 0; }

@test "every limit is in the files of control groups v2" {
  yaml <<'Y'
services:
  a: {image: "@IMAGE@", init: true, command: sleep 100000, mem_limit: 64m, memswap_limit: 96m, mem_reservation: 32m, cpus: 0.5, cpu_shares: 512, cpuset: "0", pids_limit: 20,
      blkio_config: {weight: 300, device_read_bps: [{path: /dev/vda, rate: 1mb}], device_write_iops: [{path: /dev/vda, rate: 100}]}}
Y
  compose up -d
  cd "$(group a)"
  is "$(cat memory.max memory.swap.max memory.low cpu.max cpu.weight cpuset.cpus pids.max | tr '\n' ' ')" "67108864 33554432 33554432 50000 100000 20 0 20 "
  has "$(cat io.max)" "rbps=1048576 wbps=max riops=max wiops=100"
  has "$(cat io.bfq.weight io.weight 2>/dev/null)" "default "
  cd -
  compose container update --memory 80m --memory-swap 160m --cpus 0.3 --cpu-shares 2048 --pids-limit 33 --cpuset-cpus 1 limits-a-1
  cd "$(group a)"
  is "$(cat memory.max memory.swap.max cpu.max cpu.weight cpuset.cpus pids.max | tr '\n' ' ')" "83886080 83886080 30000 100000 79 1 33 "
}

@test "the program feels them: processes, memory" {
  yaml <<'Y'
services:
  few: {image: "@IMAGE@", init: true, command: sleep 100000, pids_limit: 10}
  oom: {image: "@IMAGE@", mem_limit: 16m, memswap_limit: 16m, command: sh -c 'a=x; while :; do a=$$a$$a; done'}
Y
  compose up -d
  run compose exec -T few sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 100 >/dev/null 2>&1 & done'
  has "$output" "can't fork"
  wait_for 120 test "$(timeout 120 /usr/local/bin/compose container wait limits-oom-1)" = 137
  is "$(compose container inspect -f '{{.State.OOMKilled}}' limits-oom-1)" true
}

@test "what systemd does to its own groups leaves ours alone" {
  yaml <<'Y'
services: {a: {image: "@IMAGE@", init: true, command: sleep 100000, mem_limit: 64m, cpuset: "0"}}
Y
  compose up -d
  systemctl daemon-reload
  systemctl set-property --runtime system.slice CPUWeight=90
  systemctl daemon-reexec
  is "$(cat "$(group a)/memory.max" "$(group a)/cpuset.cpus.effective" | tr '\n' ' ')" "67108864 0 "
}

@test "parents of one's own hand controllers down, groups as the container and the host see them" {
  yaml <<'Y'
services:
  below: {image: "@IMAGE@", init: true, command: sleep 100000, cgroup_parent: /mine/deeper, mem_limit: 50m, pids_limit: 9}
  slice: {image: "@IMAGE@", init: true, command: sleep 100000, cgroup_parent: mine-own.slice, mem_limit: 50m}
  private: {image: "@IMAGE@", init: true, command: sleep 100000}
  host: {image: "@IMAGE@", init: true, command: sleep 100000, cgroup: host}
  all: {image: "@IMAGE@", init: true, command: sleep 100000, privileged: true}
Y
  mkdir -p /sys/fs/cgroup/mine
  compose up -d
  has "$(group below)" /sys/fs/cgroup/mine/deeper/
  has "$(group slice)" /sys/fs/cgroup/mine.slice/mine-own.slice/
  is "$(cat "$(group below)/memory.max" "$(group below)/pids.max" "$(group slice)/memory.max" | tr '\n' ' ')" "52428800 9 52428800 "
  is "$(compose exec -T private cat /proc/self/cgroup)" "0::/"
  has "$(compose exec -T host cat /proc/self/cgroup)" "0::/compose/"
  has "$(compose exec -T private grep cgroup2 /proc/mounts)" "cgroup2 ro,"
  compose exec -T all mkdir /sys/fs/cgroup/own
}

@test "devices: only those that were given, and as they were given" {
  yaml <<'Y'
services: {a: {image: "@IMAGE@", init: true, command: sleep 100000, devices: ["/dev/vda:/dev/vda:r"], device_cgroup_rules: ["c 1:11 r"], cap_add: [SYSLOG]}}
Y
  compose up -d
  compose exec -T a sh -c 'dd if=/dev/vda of=/dev/null bs=4096 count=1 && echo x >/dev/null && head -c 4 /dev/urandom >/dev/null && mknod /tmp/k c 1 11 && : </tmp/k'
  run ! compose exec -T a sh -c ': >>/dev/vda'
  run ! compose exec -T a sh -c ': >>/tmp/k'
  run ! compose exec -T a sh -c 'mknod /tmp/b b 254 16; : </tmp/b'
}

@test "pause freezes, top and stats tell, kill ends all" {
  yaml <<'Y'
services: {a: {image: "@IMAGE@", init: true, command: sh -c 'while :; do sleep 1; done'}}
Y
  compose up -d
  compose pause
  has "$(cat "$(group a)/cgroup.events")" "frozen 1"
  has "$(compose ps)" "(Paused)"
  compose unpause
  has "$(cat "$(group a)/cgroup.events")" "frozen 0"
  has "$(compose top a)" "docker-init"
  has "$(compose stats --no-stream --format '{{.PIDs}} {{.MemUsage}}')" "iB / "
  compose kill a
  is "$(status a)" exited
}
