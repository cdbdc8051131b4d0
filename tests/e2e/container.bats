# Containers without a Compose file: compose container …
load lib

container() { timeout "${LIMIT:-120}" "$PROGRAM" container "$@"; }
# on_terminal ARG…: container ARG… on a terminal; the script of keys on standard input
on_terminal() { timeout 150 "$BATS_TEST_DIRNAME/terminal" 24 80 "$PROGRAM" container "$@"; }
# in_state NAME STATE
in_state() { [[ $(container inspect -f '{{.State.Status}}' "$1" 2>/dev/null) == "$2" ]]; }

setup_file() { :; }
teardown() {
  local ids
  ids=$(timeout 60 "$PROGRAM" container ls -aq) || return 0
  [[ ! $ids ]] || timeout 60 "$PROGRAM" container rm -fv $ids >/dev/null
}

@test "run -it is a shell with a network; start -ai goes on in its files; rm removes it" {
  run -3 on_terminal run -it --name box "$IMAGE" sh <<-'S'
	wait #
	type echo kept > /kept; ip route | head -1; tty\n
	wait default via
	wait /dev/pts
	type exit 3\n
	S
  is "$(container inspect -f '{{.State.Status}} {{.State.ExitCode}}' box)" "exited 3"
  run -0 on_terminal start -ai box <<-'S'
	type cat /kept; exit\n
	wait kept
	S
  is "$(container diff box | grep -c kept)" 1
  is "$(container rm box)" box
  is "$(container ls -aq)" ""
}

@test "a container reaches out through its network, and is reached at its published port" {
  local port; port=$(free_port)
  ip link add outside type veth peer name outside-peer; ip link set outside-peer up; ip addr add 192.0.2.7/24 dev outside; ip link set outside up
  echo answer >page; busybox httpd -f -p 192.0.2.7:7007 -h . 3>&- & local server=$!
  wait_for 20 curl -fs http://192.0.2.7:7007/page
  run -0 container run --rm "$IMAGE" wget -qO- http://192.0.2.7:7007/page
  kill "$server"; wait "$server" || true
  ip link del outside
  is "$output" answer
  container run -d --name web -p 127.0.0.1:"$port":80 "$IMAGE" sh -c 'mkdir /w; echo served > /w/index.html; exec httpd -f -p 80 -h /w'
  wait_for 20 curl -fs "http://127.0.0.1:$port/"
  is "$(curl -fs "http://127.0.0.1:$port/")" served
  is "$(container port web)" "80/tcp -> 127.0.0.1:$port"
  is "$(container port web 80)" "127.0.0.1:$port"
  is "$(container inspect -f '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}' web)" "$port"
}

@test "exit codes: the command's, 127 not found, 126 not executable, 125 ours, 128 and the signal" {
  run -7 container run --rm "$IMAGE" sh -c 'exit 7'
  run -127 container run --rm "$IMAGE" no-such-program
  run -126 container run --rm "$IMAGE" /etc
  run -125 container run --rm --no-such-flag "$IMAGE"
  run -125 container run --rm "$REGISTRY/e2e/absent:1"
  run -125 container run --rm --pull never "$REGISTRY/e2e/absent:1"
  run -125 container run --rm --link a:b "$IMAGE" true
  has "$output" "--link"
  run -143 container run --rm --init "$IMAGE" sh -c 'kill -TERM $$; sleep 100'
  run -1 container run --rm -it "$IMAGE" sh </dev/null
  has "$output" "the input device is not a TTY"
  is "$(container ls -aq)" ""
}

@test "standard input is piped in with its end, both outputs come out apart" {
  is "$(printf 'a\nb' | container run --rm -i "$IMAGE" wc -c)" 3
  container run --rm "$IMAGE" sh -c 'echo one; echo two >&2' >out 2>err
  is "$(cat out) $(cat err)" "one two"
  is "$(echo lost | container run --rm "$IMAGE" cat)" ""
  container run --name apart "$IMAGE" sh -c 'echo one; echo two >&2; printf three' >/dev/null 2>&1
  container logs apart >out 2>err
  is "$(cat out) $(cat err)" "one
three two"
  is "$(container logs -n 1 apart 2>/dev/null)" three
}

@test "a signal to the client goes to the container" {
  container run --name trap "$IMAGE" sh -c 'trap "exit 9" TERM; echo set; while :; do sleep 0.1; done' >out 3>&- &
  local client=$!
  wait_for 30 grep -q set out
  kill -TERM "$(pgrep -n -f "$PROGRAM container run --name trap")"
  local code=0; wait "$client" || code=$?
  is "$code" 9
  is "$(container inspect -f '{{.State.ExitCode}}' trap)" 9
}

@test "detach keys leave it running; attach comes back to it" {
  run -0 on_terminal run -it --name kept "$IMAGE" sh <<-'S'
	wait #
	type echo fi""rst\n
	wait first
	type \x10\x11
	S
  in_state kept running
  run -5 on_terminal attach kept <<-'S'
	type \n
	wait #
	type exit 5\n
	S
  in_state kept exited
}

@test "life: create, start, pause, unpause, restart, kill, wait, stop, rename, rm" {
  local id; id=$(container create --name one --stop-signal KILL "$IMAGE" sleep 1000)
  is "${#id}" 64
  in_state one created
  is "$(container start one)" one
  is "$(container pause one)" one
  in_state one paused
  fails container exec one true
  is "$(container unpause "${id:0:12}")" "${id:0:12}"
  is "$(container restart one)" one
  in_state one running
  container wait one >code 3>&- & local waiter=$!
  is "$(container kill one)" one
  wait "$waiter"
  is "$(cat code)" 137
  run -1 container kill one
  has "$output" "is not running"
  container start one
  is "$(container stop one)" one
  container rename one two
  run -1 container inspect one
  has "$output" "No such container: one"
  container start two
  run -1 container rm two
  has "$output" "stop the container before removing or force remove"
  is "$(container rm -f two)" two
}

@test "exec: environment, user, folder, codes, a terminal, detached" {
  container run -d --name ex "$IMAGE" sleep 1000
  is "$(FROM=caller container exec -e A=1 -e FROM -u 1000 -w /tmp ex sh -c 'echo $A $FROM $(id -u) $(pwd)')" "1 caller 1000 /tmp"
  run -4 container exec ex sh -c 'exit 4'
  run -127 container exec ex no-such
  run -126 container exec ex /etc
  is "$(printf 12345 | container exec -i ex wc -c)" 5
  is "$(echo lost | container exec ex cat)" ""
  run -0 on_terminal exec -it ex sh -c 'test -t 0 && echo ye""s' <<<'wait yes'
  run -1 container exec -it ex true </dev/null
  container exec -d ex sh -c 'echo done > /done'
  wait_for 20 container exec ex test -s /done
  is "$(container exec --privileged ex sh -c 'grep CapEff /proc/self/status | cut -f2')" "$(sed -n 's/^CapBnd:\t//p' /proc/self/status)"
  printf '# a comment\nONE=1 2\nFROM\n' >env
  is "$(FROM=x container exec --env-file env ex sh -c 'echo $ONE/$FROM')" "1 2/x"
}

@test "files: cp both ways, diff, export, commit to an image that runs" {
  container run --name fs "$IMAGE" sh -c 'echo in > /in; rm /etc/group'
  echo out >out.txt
  container cp out.txt fs:/from-outside
  container cp fs:/in ./in
  is "$(cat in)" in
  is "$(container cp fs:/in - | tar xO)" in
  is "$(container diff fs | sort | grep -v ' /etc$' | tr '\n' ,)" "A /from-outside,A /in,D /etc/group,"
  is "$(container export fs | tar xO from-outside)" out
  has "$(container commit -c 'CMD cat /from-outside' fs e2e/committed:1)" sha256:
  is "$(container run --rm e2e/committed:1)" out
  compose image rm e2e/committed:1
}

@test "ls: what runs, all, filters, formats" {
  container create --name made --label k=v "$IMAGE" true
  container run -d --name runs "$IMAGE" sleep 1000
  container run --name ended "$IMAGE" sh -c 'exit 3' || true
  is "$(container ls --format '{{.Names}}')" runs
  is "$(container ls -a --format '{{.Names}}' | sort | tr '\n' ' ')" "ended made runs "
  is "$(container ls -a --filter status=exited --format '{{.Names}}')" ended
  is "$(container ls --filter exited=3 --format '{{.Names}}')" ended
  is "$(container ls -a --filter label=k=v --format '{{.Names}}')" made
  is "$(container ls -a --filter name=^ru --format '{{.Names}}')" runs
  is "$(container ls -lq)" "$(container inspect -f '{{slice .Id 12}}' ended)"
  is "$(container ls -a --format json | jq -r .Names | wc -l)" 3
  has "$(container ls -a -s)" virtual
  run -1 container ls --filter what=ever
}

@test "inspect: docker's shape" {
  container run -d --name in --label k=v -e A=1 -m 64m --cpus 0.5 -v data:/data -p 127.0.0.1::80 --restart on-failure:3 --hostname h "$IMAGE" sleep 1000
  container inspect in >i.json
  is "$(jq -r '.[0] | [.Name, .State.Running, .Path, .Args[0], .Config.Hostname, .Config.Labels.k, .HostConfig.Memory, .HostConfig.NanoCpus,
    .HostConfig.RestartPolicy.MaximumRetryCount, .Mounts[0].Destination, .HostConfig.NetworkMode] | join(" ")' i.json)" \
    "/in true sleep 1000 h v 67108864 500000000 3 /data bridge"
  is "$(jq -r '.[0].NetworkSettings.Networks.bridge.IPAddress' i.json)" "$(container exec in sh -c "ip -4 -o addr show eth0 | sed 's/.*inet //;s,/.*,,'")"
  jq -e '.[0].Config.Env | index("A=1")' i.json
  run -1 container inspect absent
  has "$output" "[]"
}

@test "limits: asked for at run, changed by update, shown by stats and top" {
  container run -d --name lim -m 64m --pids-limit 50 --ulimit nofile=100:200 --shm-size 1m --oom-score-adj 10 --sysctl net.ipv4.ip_forward=0 "$IMAGE" sleep 1000
  is "$(container exec lim sh -c 'ulimit -n; ulimit -Hn; cat /proc/1/oom_score_adj /proc/sys/net/ipv4/ip_forward; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2' | tr '\n' ' ')" "100 200 10 0 1024 "
  has "$(container stats --no-stream --format '{{.MemUsage}}' lim)" "64MiB"
  container update -m 128m --restart always lim
  has "$(container stats --no-stream --format '{{.MemUsage}}' lim)" "128MiB"
  is "$(container inspect -f '{{.HostConfig.RestartPolicy.Name}}' lim)" always
  has "$(container top lim)" "sleep 1000"
}

@test "networks of one's own: names, aliases, addresses; host and none; another container's" {
  compose -f - -p nets up --no-start 2>/dev/null <<<"{services: {x: {image: '$IMAGE'}}, networks: {default: {ipam: {config: [{subnet: 10.99.7.0/24}]}}}}"
  container run -d --name n1 --network nets_default --network-alias other --ip 10.99.7.77 "$IMAGE" sleep 1000
  is "$(container run --rm --network nets_default "$IMAGE" sh -c 'nslookup other | tail -n +3 | grep -c 10.99.7.77')" 1
  is "$(container run --rm --network container:n1 "$IMAGE" hostname -i)" 10.99.7.77
  is "$(container run --rm --network none "$IMAGE" sh -c 'ls /sys/class/net')" lo
  is "$(container run --rm --network host "$IMAGE" hostname)" "$(hostname)"
  run -125 container run --rm --network-alias x "$IMAGE" true
  container rm -f n1
  timeout 60 "$PROGRAM" -p nets -f - down <<<"services: {x: {image: '$IMAGE'}}"
}

@test "mounts: volumes, binds, --mount, tmpfs, another's volumes" {
  mkdir host; echo bound >host/file
  is "$(container run --rm -v "$PWD/host:/h:ro" "$IMAGE" sh -c 'cat /h/file; touch /h/x 2>/dev/null || echo ro')" "bound
ro"
  is "$(container run --rm --mount type=bind,src="$PWD/host",dst=/h,readonly "$IMAGE" cat /h/file)" bound
  run -125 container run --rm --mount type=bind,src=/absent,dst=/h "$IMAGE" true
  has "$output" "bind source path does not exist"
  container run --name vol -v named:/n --mount type=volume,src=other,dst=/o,volume-label=a=b "$IMAGE" sh -c 'echo kept > /n/f'
  is "$(container run --rm --volumes-from vol:ro "$IMAGE" sh -c 'cat /n/f; touch /n/x 2>/dev/null || echo ro')" "kept
ro"
  has "$(container run --rm --tmpfs /t:size=64k --mount type=tmpfs,dst=/u,tmpfs-size=1m,tmpfs-mode=700 "$IMAGE" grep -E ' /[tu] ' /proc/mounts)" "/t tmpfs rw,nosuid,nodev,noexec,relatime,size=64k"
}

@test "--rm takes the anonymous volume too, even when the client is killed" {
  container run --rm --name gone -v /anonymous "$IMAGE" sh -c 'echo up; sleep 1000' >out 3>&- & local client=$!
  wait_for 30 grep -q up out
  is "$(container inspect -f '{{.Mounts}}' gone | grep -c volume)" 1
  kill -9 "$(pgrep -n -f "$PROGRAM container run --rm --name gone")"
  wait "$client" 2>/dev/null || true
  in_state gone running
  container kill gone
  wait_for 30 bash -c '! "$0" container inspect gone' "$PROGRAM"
}

@test "prune removes what has ended and says what it freed" {
  container run --name p1 "$IMAGE" sh -c 'head -c 100000 /dev/zero > /big'
  container run -d --name p2 "$IMAGE" sleep 1000
  run -0 container prune -f
  has "$output" "Deleted Containers:"
  has "$output" "Total reclaimed space: 100kB"
  is "$(container ls -a --format '{{.Names}}')" p2
}
