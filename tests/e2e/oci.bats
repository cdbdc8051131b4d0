# `compose runtime`: bundles by the OCI runtime specification, with runc's command line.
load lib

STATE=$BATS_FILE_TMPDIR/state
runtime() { timeout "${LIMIT:-60}" "$PROGRAM" runtime --root "$STATE" "$@"; }
# change FILTER: jq on the bundle's config.json
change() { jq "$1" config.json >config.new && mv config.new config.json; }
status() { runtime state "$1" | jq -r .status; }
in_state() { [[ $(status "$1") == "$2" ]]; }

bundle() {
  mkdir -p rootfs/{bin,etc,proc,sys,dev,tmp,root}
  cp "$(command -v busybox)" rootfs/bin/busybox
  for name in sh cat echo sleep true id ls mount stat env hostname grep mkdir tty stty test ps readlink; do ln -sf busybox "rootfs/bin/$name"; done
  echo root:x:0:0:root:/root:/bin/sh >rootfs/etc/passwd
  runtime spec
  change '.process.terminal = false'
}
program() { change ".process.args = [\"sh\", \"-c\", $(jq -Rs . <<<"$1")]"; }

setup_file() { mkdir -p "$BATS_FILE_TMPDIR/state"; }
setup() {
  ID=t$BATS_TEST_NUMBER.$$
  cd "$BATS_TEST_TMPDIR" || return 1
  bundle
}
teardown() {
  runtime delete --force "$ID" || true
  umount source/below 2>/dev/null || true
}

@test "create, start, state, kill, delete in the specification's order, and nothing is left" {
  program 'trap "exit 3" TERM; echo begun; while :; do sleep 0.1; done'
  runtime create --pid-file pid "$ID" >out </dev/null
  in_state "$ID" created
  pid=$(cat pid)
  is "$(runtime state "$ID" | jq -r '[.ociVersion[:2], .id, .pid, .bundle] | join(" ")')" "1. $ID $pid $(pwd -P)"
  is "$(cat out)" ""
  run -1 runtime create "$ID" </dev/null
  has "$output" "container with given ID already exists"
  run -1 runtime kill "$ID" NOSUCH
  has "$output" "unknown signal"
  runtime start "$ID"
  in_state "$ID" running
  wait_for 20 grep -q begun out
  run -1 runtime start "$ID"
  has "$output" "cannot start an already running container"
  run -1 runtime delete "$ID"
  has "$output" "that is not stopped: running"
  has "$(runtime list)" "$ID"
  is "$(runtime ps --format json "$ID" | jq '.[0]')" "$pid"
  runtime kill "$ID"
  wait_for 20 in_state "$ID" stopped
  run -1 runtime kill "$ID" KILL
  has "$output" "container not running"
  run -1 runtime start "$ID"
  has "$output" "cannot start a container that has stopped"
  runtime delete "$ID"
  run -1 runtime state "$ID"
  has "$output" "container does not exist"
  [[ ! -e $STATE/$ID ]]
  fails ls -d /sys/fs/cgroup/*/compose-runtime/"$ID"
}

@test "run gives the exit code; what cannot be executed is said by create" {
  program 'exit 7'
  run -7 runtime run "$ID"
  change '.process.args = ["nosuch"]'
  run -1 runtime run "$ID"
  has "$output" 'exec: "nosuch": executable file not found in $PATH'
  change '.process.args = ["/etc/passwd"]'
  run -1 runtime create "$ID" </dev/null
  has "$output" 'exec: "/etc/passwd": permission denied'
  run -1 runtime state "$ID"
}

@test "--preserve-fds passes the caller's files, never one of ours" {
  echo kept >kept
  program 'cat <&3; ls /proc/self/fd | grep -c .'
  run -0 runtime run --preserve-fds 1 "$ID" 3<kept 9<kept
  is "$output" kept$'\n'5
  run -1 runtime run --preserve-fds 6 "$ID" 3<kept 8>&-
  has "$output" "is open"
}

@test "errors go to the log as containerd reads them" {
  run -1 runtime --log log.json --log-format json state nosuch
  is "$(jq -r '.level + ": " + .msg' log.json)" "error: container does not exist"
}

@test "exec: exit code, user, environment, folder, process file, terminal, pause" {
  program 'while :; do sleep 0.1; done'
  runtime run -d "$ID" </dev/null >/dev/null 2>&1
  run -4 runtime exec "$ID" sh -c 'hostname; exit 4'
  is "$output" compose
  is "$(runtime exec -u 1000:50 -e A=b --cwd /tmp "$ID" sh -c 'id -u; id -g; echo $A; pwd' | tr '\n' ' ')" "1000 50 b /tmp "
  run -255 runtime exec "$ID" nosuch
  has "$output" "executable file not found"
  jq '.process | .args = ["echo", "from a file"]' config.json >process.json
  is "$(runtime exec --process process.json "$ID")" "from a file"
  run -0 timeout 60 "$BATS_TEST_DIRNAME/terminal" 33 101 "$PROGRAM" runtime --root "$STATE" exec -t "$ID" sh -c 'tty; stty size' </dev/null
  has "$output" /dev/pts/
  has "$output" "33 101"
  runtime pause "$ID"
  in_state "$ID" paused
  run -255 runtime exec "$ID" true
  runtime resume "$ID"
  runtime exec "$ID" true
}

@test "hooks run in their order and places, with the state on stdin; one that fails ends the start" {
  hook() { printf '#!/bin/sh\necho "%s $(jq -r .status) $(test -e /bin/busybox.here && echo inside)" >>"%s/hooks"\n' "$1" "$PWD" >"$1.sh"; chmod +x "$1.sh"; }
  for name in prestart createRuntime createContainer poststart poststop; do
    hook $name
    change ".hooks.$name = [{\"path\": \"$PWD/$name.sh\", \"env\": [\"PATH=$PATH\"]}]"
  done
  change '.hooks.startContainer = [{"path": "/bin/sh", "args": ["sh", "-c", "read line; echo $line >/tmp/hook"]}] | .root.readonly = false'
  program 'cat /tmp/hook'
  run -0 runtime run "$ID"
  is "$(jq -r .status <<<"$output")" created
  is "$(cut -d' ' -f1,2 hooks | tr '\n' ' ')" "prestart creating createRuntime creating createContainer creating poststart running poststop stopped "
  change '.hooks = {"createContainer": [{"path": "/bin/false"}]}'
  run -1 runtime create "$ID" </dev/null
  has "$output" "error running hook"
  change '.hooks = {"prestart": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]}'
  run -1 runtime create "$ID" </dev/null
  has "$output" "hook ran past specified timeout of 1"
  run -1 runtime state "$ID"
}

@test "limits, devices and update are the control group's" {
  change '.linux.resources = {"memory": {"limit": 67108864}, "pids": {"limit": 40}, "devices": [{"allow": false, "access": "rwm"}]}'
  program 'while :; do sleep 0.1; done'
  runtime run -d "$ID" </dev/null >/dev/null 2>&1
  is "$(runtime events --stats "$ID" | jq '[.data.memory.usage.limit, .data.pids.limit] | join(" ")' -r)" "67108864 40"
  runtime update --memory 80m --pids-limit 41 "$ID"
  is "$(runtime events --stats "$ID" | jq '[.data.memory.usage.limit, .data.pids.limit] | join(" ")' -r)" "83886080 41"
  run -1 runtime update --l3-cache-schema x "$ID"
  has "$output" "Intel Resource Director Technology"
}

@test "mounts: binds with their options, what is below read-only too, masks, a read-only root" {
  mkdir -p source/below
  # not every filesystem's mounts can be id-mapped, an overlay's cannot
  [[ $(stat -f -c %T .) =~ ^(ext2/ext3|xfs|btrfs)$ ]] || skip "the folder for tests is not on ext4, xfs or btrfs"
  mount -t tmpfs tmpfs source/below
  echo data >source/file
  change ".mounts += [{\"destination\": \"/rro\", \"type\": \"bind\", \"source\": \"$PWD/source\", \"options\": [\"rbind\", \"rro\", \"nosuid\"]},
    {\"destination\": \"/ro\", \"type\": \"bind\", \"source\": \"source\", \"options\": [\"rbind\", \"ro\"]},
    {\"destination\": \"/mapped\", \"type\": \"bind\", \"source\": \"source\", \"options\": [\"bind\"],
     \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}], \"gidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 1}]}]"
  program 'cat /rro/file /ro/file; for f in /rro/x /rro/below/x /ro/x /ro/below/x /x; do (: >$f) 2>/dev/null && echo "wrote $f"; done; stat -c %u /mapped/file; (: >/proc/sysrq-trigger) 2>/dev/null || echo masked; ls /proc/acpi | grep . || echo empty'
  mkdir -p rootfs/rro rootfs/ro rootfs/mapped
  run -0 runtime run "$ID"
  umount source/below
  is "$(tr '\n' ' ' <<<"$output")" "data data wrote /ro/below/x 1000 masked empty "
}

@test "a user namespace: root inside is somebody else outside" {
  change '.linux.namespaces += [{"type": "user"}] | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65536}] | .linux.gidMappings = .linux.uidMappings'
  chmod 755 . "$BATS_TEST_TMPDIR" rootfs
  mkdir -p rootfs/dev/{pts,shm,mqueue} rootfs/sys/fs/cgroup
  change '.mounts |= map(select(.destination != "/sys/fs/cgroup"))'
  program 'id -u; cat /proc/self/uid_map; echo ok >/dev/null && ls -l /dev/null | cut -c1; while :; do sleep 0.1; done'
  runtime create "$ID" </dev/null >out 2>&1 || { cat out; return 1; }
  pid=$(runtime state "$ID" | jq .pid)
  runtime start "$ID"
  wait_for 20 grep -qx c out
  is "$(head -n 1 out)" 0
  is "$(stat -c %u /proc/"$pid")" 100000
  is "$(runtime exec "$ID" id -u)" 0
}

@test "namespaces by path are joined" {
  program 'while :; do sleep 0.1; done'
  runtime run -d "$ID" </dev/null >/dev/null 2>&1
  pid=$(runtime state "$ID" | jq .pid)
  change ".linux.namespaces |= map(if .type == \"network\" then .path = \"/proc/$pid/ns/net\" elif .type == \"pid\" then .path = \"/proc/$pid/ns/pid\" else . end)"
  program 'readlink /proc/self/ns/net; readlink /proc/1/ns/pid'
  run -0 runtime run "$ID-2"
  is "$output" "$(readlink /proc/"$pid"/ns/net)"$'\n'"$(readlink /proc/"$pid"/ns/pid)"
}

@test "seccomp: a filter, and one whose calls an agent answers" {
  change '.linux.seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]} | .root.readonly = false'
  program 'mkdir /tmp/a; true'
  run -0 runtime run "$ID"
  has "$output" "Cannot assign requested address"
  "$BATS_TEST_DIRNAME/seccomp_agent" "$PWD/agent" 95 >agent.out 3>&- &
  agent=$!
  wait_for 20 test -S agent
  change ".linux.seccomp.listenerPath = \"$PWD/agent\" | .linux.seccomp.listenerMetadata = \"meta\" | .linux.seccomp.syscalls[0] = {\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_NOTIFY\"}"
  run -0 runtime run "$ID"
  has "$output" "not supported"
  wait "$agent"
  is "$(jq -r '[.fds[0], .metadata, .state.id] | join(" ")' agent.out)" "seccompFd meta $ID"
}

@test "a create that is killed, and a start that is killed, leave what delete can remove" {
  program 'while :; do sleep 0.1; done'
  change ".hooks.createRuntime = [{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"echo \$\$ >$PWD/there; exec sleep 100\"]}]"
  "$PROGRAM" runtime --root "$STATE" create "$ID" </dev/null >/dev/null 2>&1 3>&- &
  create=$!
  wait_for 20 test -s there
  kill -9 "$create"
  wait "$create" || true
  kill "$(cat there)"
  runtime delete --force "$ID"
  run -1 runtime state "$ID"
  change 'del(.hooks)'
  runtime create "$ID" </dev/null >/dev/null 2>&1
  runtime delete "$ID"
  run -1 runtime state "$ID"
}

@test "what is not there is refused by name" {
  change '.linux.intelRdt = {"closID": "x"}'
  run -1 runtime create "$ID" </dev/null
  has "$output" intelRdt
  change 'del(.linux.intelRdt)'
  run -1 runtime --systemd-cgroup create "$ID" </dev/null
  has "$output" cgroupfs
  run -1 runtime checkpoint "$ID"
  change '.process.cwd = "relative"'
  run -1 runtime create "$ID" </dev/null
  has "$output" "Cwd must be an absolute path"
  is "$(runtime features | jq -r '.linux.intelRdt.enabled, .linux.seccomp.enabled' | tr '\n' ' ')" "false true "
}
