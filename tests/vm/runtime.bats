# `compose runtime --systemd-cgroup`: groups that are units of systemd's, by hand and from a Docker daemon (whose default it is here).
load ../e2e/lib

setup_file() {
  cd "$BATS_FILE_TMPDIR"
  mkdir -p bundle/rootfs/{bin,etc,proc,sys,dev,tmp}
  cp "$(command -v busybox)" bundle/rootfs/bin/busybox
  for name in sh cat echo sleep true id grep tty ps tail; do ln -sf busybox "bundle/rootfs/bin/$name"; done
  export DOCKER_HOST=unix://$PWD/docker.sock DOCKER_CONFIG=$PWD
  ln -s "$COMPOSE_E2E_PROGRAM" compose-runtime
  dockerd --host "$DOCKER_HOST" --data-root "$PWD/data" --exec-root "$PWD/exec" --pidfile "$PWD/pid" --bridge=none --iptables=false --ip6tables=false \
    --add-runtime "ours=$PWD/compose-runtime" --default-runtime ours >dockerd.log 2>&1 </dev/null 3>&- &
  echo $! >daemon
  wait_for 600 timeout 30 docker version || { cat dockerd.log >&2; return 1; }
  tar -C bundle/rootfs -c . | docker import - box:1 >/dev/null
}
teardown_file() {
  cd "$BATS_FILE_TMPDIR" || return 0
  docker ps -aq | xargs -r docker rm -f >/dev/null
  kill "$(cat daemon)"
}
setup() { cd "$BATS_FILE_TMPDIR" || return 1; }
teardown() { :; }
runtime() { timeout 120 "$COMPOSE_E2E_PROGRAM" runtime --root "$BATS_FILE_TMPDIR/runtime" "$@"; }
property() { systemctl show --value -p "$2" "$1"; }
loaded() { systemctl list-units --all --no-legend --plain "$1"; }
gone() { [[ ! $(loaded "$1") ]]; }

@test "a bundle: the group is a scope with the limits, changes reach systemd, nothing is left" {
  cd bundle
  "$COMPOSE_E2E_PROGRAM" runtime spec
  jq '.process.terminal = false | .process.args = ["sleep", "1000"] | .linux.cgroupsPath = "system.slice:test:one"
      | .linux.resources += {memory: {limit: 67108864}, pids: {limit: 20}, cpu: {quota: 50000, period: 100000, shares: 512}}' config.json >new && mv new config.json
  runtime --systemd-cgroup create one </dev/null >out 2>&1
  is "$(property test-one.scope ActiveState)" active
  is "$(property test-one.scope Slice)" system.slice
  is "$(property test-one.scope MemoryMax) $(property test-one.scope TasksMax) $(property test-one.scope CPUQuotaPerSecUSec)" "67108864 20 500ms"
  group=/sys/fs/cgroup/system.slice/test-one.scope
  is "$(cat $group/memory.max $group/pids.max $group/cpu.max)" $'67108864\n20\n50000 100000'
  runtime start one
  is "$(cat $group/cgroup.procs)" "$(runtime state one | jq .pid)"
  runtime update --memory 33554432 one
  systemctl daemon-reload
  is "$(cat $group/memory.max $group/pids.max)" $'33554432\n20'
  runtime exec one true
  runtime pause one
  is "$(runtime state one | jq -r .status)" paused
  runtime resume one
  runtime kill one KILL
  wait_for 30 bash -c '[[ $(timeout 60 "$0" runtime --root "$1" state one | jq -r .status) == stopped ]]' "$COMPOSE_E2E_PROGRAM" "$BATS_FILE_TMPDIR/runtime"
  runtime delete one
  wait_for 30 gone test-one.scope
  [[ ! -e $group ]]
}

@test "a failed start and a wrong cgroupsPath leave no unit" {
  cd bundle
  jq '.process.args = ["nosuch"] | .linux.cgroupsPath = "system.slice:test:two"' config.json >new && mv new config.json
  run -1 runtime --systemd-cgroup create two </dev/null
  has "$output" nosuch
  wait_for 30 gone test-two.scope
  jq '.linux.cgroupsPath = "/two"' config.json >new && mv new config.json
  run -1 runtime --systemd-cgroup create two </dev/null
  has "$output" 'expected cgroupsPath to be of format "slice:prefix:name"'
}

@test "a Docker daemon with its default, the systemd driver" {
  has "$(docker info --format '{{.CgroupDriver}} {{.CgroupVersion}}')" "systemd 2"
  run -7 timeout 120 docker run --rm --network none box:1 sh -c 'exit 7'
  run -0 timeout 120 docker run --rm --network none -m 64m --pids-limit 50 box:1 cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
  is "$output" "67108864"$'\n'"50"
  id=$(timeout 120 docker run -d --network none --name one -m 64m --cpus 0.5 box:1 sleep 1000)
  is "$(property "docker-$id.scope" MemoryMax) $(property "docker-$id.scope" CPUQuotaPerSecUSec)" "67108864 500ms"
  timeout 120 docker update -m 32m --memory-swap 32m one
  systemctl daemon-reload
  is "$(timeout 120 docker exec one cat /sys/fs/cgroup/memory.max)" 33554432
  run -137 timeout 120 docker run --rm --network none -m 16m box:1 sh -c 'tail -c 100m /dev/zero'
  timeout 120 docker pause one
  timeout 120 docker unpause one
  timeout 120 docker rm -f one
  wait_for 30 gone "docker-$id.scope"
}
