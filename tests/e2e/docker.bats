# A Docker daemon that has our runtime in runc's place. Skipped where no dockerd and containerd are installed.
load lib

setup_file() {
  command -v dockerd >/dev/null && command -v containerd-shim-runc-v2 >/dev/null && command -v docker >/dev/null || return 0
  cd "$BATS_FILE_TMPDIR"
  export DOCKER_HOST=unix://$PWD/docker.sock DOCKER_CONFIG=$PWD
  ln -s "$COMPOSE_E2E_PROGRAM" compose-runtime
  dockerd --host "$DOCKER_HOST" --data-root "$PWD/data" --exec-root "$PWD/exec" --pidfile "$PWD/pid" --bridge=none --iptables=false --ip6tables=false \
    --exec-opt native.cgroupdriver=cgroupfs --add-runtime "ours=$PWD/compose-runtime" --default-runtime ours >dockerd.log 2>&1 </dev/null 3>&- &
  echo $! >daemon
  # A daemon that does not come up on this machine says nothing of ours: the tests are skipped, with its last words.
  wait_for 60 docker version || { kill "$(cat daemon)" 2>/dev/null || true; rm daemon; tail -n 3 dockerd.log >silent; return 0; }
  mkdir -p root/{bin,etc,proc,sys,dev,tmp}
  cp "$(command -v busybox)" root/bin/busybox
  for name in sh cat echo sleep true id grep tty ps tail; do ln -sf busybox "root/bin/$name"; done
  tar -C root -c . | docker import - box:1 >/dev/null
}
teardown_file() {
  cd "$BATS_FILE_TMPDIR" || return 0
  [[ -e daemon ]] || return 0
  docker ps -aq | xargs -r docker rm -f >/dev/null
  kill "$(cat daemon)"
  for _ in $(seq 300); do [[ -e /proc/$(cat daemon)/stat && $(cut -d' ' -f3 "/proc/$(cat daemon)/stat") != Z ]] || break; sleep 0.1; done
}
setup() {
  BATS_TEST_RETRIES=1
  [[ ! -e $BATS_FILE_TMPDIR/silent ]] || skip "dockerd does not start here: $(tr '\n' ' ' <"$BATS_FILE_TMPDIR/silent")"
  [[ -e $BATS_FILE_TMPDIR/daemon ]] || skip "no dockerd here"
  cd "$BATS_TEST_TMPDIR" || return 1
}
teardown() { :; }
docker() { timeout 90 docker "$@"; }

@test "docker run: exit codes, streams, limits, init, terminal" {
  run -7 docker run --rm box:1 sh -c 'exit 7'
  run -127 docker run --rm box:1 nosuch
  has "$output" "executable file not found"
  run -126 docker run --rm box:1 /etc
  is "$(echo through | docker run --rm -i box:1 cat)" through
  run -0 docker run --rm -m 64m --pids-limit 50 box:1 sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
  is "$output" "67108864"$'\n'"50"
  run -0 docker run --rm box:1 grep -E 'CapEff|Seccomp:' /proc/self/status
  is "$(tr -d '[:space:]' <<<"$output")" "CapEff:00000000a80425fbSeccomp:2"
  run -0 timeout 90 "$BATS_TEST_DIRNAME/terminal" 33 101 docker run --rm -it box:1 tty </dev/null
  has "$output" /dev/pts/0
}

@test "docker exec, pause, update, stop, restart" {
  docker rm -f first second >/dev/null 2>&1 || true
  docker run -d --name first box:1 sh -c 'trap "echo bye; exit 0" TERM; while :; do sleep 0.1; done'
  run -4 docker exec -u 1000 -e A=b first sh -c 'id -u; echo $A; exit 4'
  is "$output" 1000$'\n'b
  # 127, and 126 with Docker 20.10: as with runc
  docker run -d --name other --runtime runc box:1 sleep 1000
  run docker exec other nosuch
  theirs=$status
  run docker exec first nosuch
  is "$status" "$theirs"
  has "$output" "executable file not found"
  docker rm -f other
  run -0 timeout 90 "$BATS_TEST_DIRNAME/terminal" 33 101 docker exec -it first tty </dev/null
  has "$output" /dev/pts/
  docker pause first
  is "$(docker inspect -f '{{.State.Status}}' first)" paused
  docker unpause first
  docker update --pids-limit 77 first
  docker stop first
  is "$(docker inspect -f '{{.State.ExitCode}}' first)" 0
  has "$(docker logs first)" bye
  docker start first
  docker kill first
  wait_for 30 [ "$(docker wait first)" = 137 ]
  docker run -d --name second --restart on-failure:2 box:1 sh -c 'exit 3'
  restarted() { [[ $(docker inspect -f '{{.State.Status}} {{.RestartCount}}' second) == "exited 2" ]]; }
  wait_for 60 restarted
}
