# What goes wrong in real life: killed programs, full disks, things that are missing, two at once, a rough environment.
load lib

# kill_at SECONDS COMMAND…: starts it in a process group of its own and kills all of that with -9 after this time
kill_at() {
  local after=$1; shift
  python3 -c 'import os,sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$PROGRAM" "$@" >/dev/null 2>&1 3>&- </dev/null & local pid=$!
  sleep "$after"; kill -9 -- "-$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true
}
# guardians and supervisors of the project
engine_pids() { pgrep -f "^compose-guardian .* $PROJECT " || true; }
# the supervisor is the guardian's child
supervisor() {
  local pid all parent; all=" $(engine_pids | xargs) "
  for pid in $all; do parent=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status" 2>/dev/null) && [[ $all == *" $parent "* ]] && { echo "$pid"; return; }; done; return 1
}

stack() {
  yaml <<-'Y'
	services:
	  base: {image: "@IMAGE@", command: [sh, -c, "trap exit TERM; sleep 1000 & wait"], volumes: ["data:/d"], healthcheck: {test: "true", interval: 300ms}}
	  work: {image: "@IMAGE@", command: [sh, -c, "trap exit TERM; sleep 1000 & wait"], scale: 3, depends_on: {base: {condition: service_healthy}}}
	  last: {image: "@IMAGE@", command: [sh, -c, "trap exit TERM; sleep 1000 & wait"], depends_on: [work]}
	volumes: {data: {}}
	Y
}

@test "up killed with -9 at many moments, then up: every service runs once" {
  stack
  local after; for after in 0.005 0.02 0.04 0.07 0.1 0.15 0.25 0.4 0.7; do kill_at "$after" up -d; done
  compose up -d
  is "$(count base) $(count work) $(count last)" "1 3 1"
  is "$(compose ps -aq | wc -l)" 5
  compose exec -T last ping -c 1 -W 5 base
}

@test "down killed with -9 at many moments, then down: nothing is left, and up works again" {
  stack
  local after; for after in 0.005 0.02 0.05 0.1 0.2; do
    compose up -d
    kill_at "$after" down -v
  done
  compose down -v
  is "$(compose ps -aq)" ""
  compose up -d
  is "$(count base) $(count work) $(count last)" "1 3 1"
}

@test "the supervisor killed 50 times under load loses no line and no exit code" {
  yaml <<-'Y'
	services:
	  talk: {image: "@IMAGE@", command: [sh, -c, "i=0; until test -e /tmp/go; do n=0; while test $$n -lt 200; do n=$$((n+1)); i=$$((i+1)); echo line $$i; done; sleep 0.03; done; echo end $$i; exit 37"]}
	  still: {image: "@IMAGE@", command: [sh, -c, "until test -e /tmp/go; do sleep 0.1; done; exit 9"]}
	Y
  compose up -d
  local before killed=0 pid; before=$(compose ps -q | sort)
  while ((killed < 50)); do
    wait_for 60 supervisor
    pid=$(supervisor) || continue
    kill -9 "$pid" && killed=$((killed + 1))
    # the next one is there before it is killed as well
    gone() { [[ ! -e /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status"; }
    wait_for 60 gone
  done
  is "$(compose ps -q | sort)" "$before"
  compose exec -T talk touch /tmp/go
  compose exec -T still touch /tmp/go
  ended() { [[ $(state talk) == exited && $(state still) == exited ]]; }
  wait_for 60 ended
  is "$(state talk ExitCode) $(state still ExitCode)" "37 9"
  compose logs --no-log-prefix talk >got
  local last; last=$(awk '/^end / {print $2}' got)
  [[ $last -gt 0 ]]
  { seq -f 'line %.0f' 1 "$last"; echo "end $last"; } >wanted
  cmp wanted got
}

@test "a full disk is one clear error, and up works once there is room" {
  mkdir small
  mount -t tmpfs -o size=12m tmpfs small
  local COMPOSE_ROOT=$PWD/small; export COMPOSE_ROOT
  yaml <<<'services: {a: {image: "@REGISTRY@/e2e/large:1", command: sleep 1000, stop_signal: SIGKILL}}'
  run compose up -d
  local failed=$status said=$output
  mount -o remount,size=200m small
  run compose up -d
  local then=$status running; running=$(count a)
  compose down -v -t 0
  idle() { [[ -z $(engine_pids) ]]; }
  wait_for 60 idle
  umount small || umount -l small
  fails test "$failed" = 0
  has "${said,,}" "no space left"
  is "$then $running" "0 1"
}

@test "down on a disk without a free byte takes everything down" {
  mkdir small
  mount -t tmpfs -o size=32m tmpfs small
  local COMPOSE_ROOT=$PWD/small; export COMPOSE_ROOT
  yaml <<-'Y'
	services:
	  a: {image: "@IMAGE@", command: [sh, -c, "trap exit TERM; while :; do cat /dev/zero >/data/fill; sleep 0.2; done"], volumes: ["data:/data"]}
	  b: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}
	volumes: {data: {}}
	Y
  run compose up -d
  local up=$status
  full() { [[ $(df --output=avail small | tail -n 1) -eq 0 ]]; }
  wait_for 60 full
  run compose down -v -t 0
  local down=$status said=$output left; left=$(compose ps -aq)
  idle() { [[ -z $(engine_pids) ]]; }
  wait_for 60 idle
  run compose up -d
  local again=$status
  compose down -v -t 0
  wait_for 60 idle
  umount small || umount -l small
  is "$up $down $again" "0 0 0" || { echo "$said"; return 1; }
  is "$left" ""
}

@test "a registry that does not answer is an error that names it" {
  yaml <<<'services: {a: {image: "127.0.0.1:1/nobody/home:1"}}'
  run ! compose up -d
  has "$output" 127.0.0.1:1
  is "$(compose ps -aq)" ""
}

@test "a missing image is an error that names it" {
  yaml <<<'services: {a: {image: "@REGISTRY@/e2e/missing:1"}}'
  run ! compose up -d
  has "$output" "e2e/missing"
  is "$(compose ps -aq)" ""
}

@test "a port in use is an error that names it, and up works once it is free" {
  local port; port=$(free_port)
  python3 -c 'import socket,sys,time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(); time.sleep(600)' "$port" 3>&- & local holder=$!
  wait_for 30 bash -c ": </dev/tcp/127.0.0.1/$port"
  yaml <<<"services: {a: {image: '@IMAGE@', command: sleep 1000, stop_signal: SIGKILL, ports: ['127.0.0.1:$port:80']}}"
  run compose up -d
  kill "$holder"; wait "$holder" 2>/dev/null || true
  fails test "$status" = 0
  has "$output" "$port"
  compose up -d
  is "$(state a)" running
}

@test "a command that the image does not have is an error that names it" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: [no-such-program]}}'
  run ! compose up -d
  has "$output" no-such-program
}

@test "two ups at once: one waits for the other, each service runs once" {
  stack
  local i pids=(); for i in 1 2 3; do compose up -d >"out$i" 2>&1 3>&- & pids+=($!); done
  for i in "${pids[@]}"; do wait "$i" || { cat out*; false; }; done
  is "$(count base) $(count work) $(count last)" "1 3 1"
  is "$(compose ps -aq | wc -l)" 5
}

@test "HOME unset, a read-only folder, standard streams closed" {
  mkdir place
  yaml place/compose.yaml <<<'services: {a: {image: "@IMAGE@", command: echo hello, stop_signal: SIGKILL}}'
  mount --bind place place; mount -o remount,ro,bind place
  local failed=
  (cd place; unset HOME; timeout 120 "$PROGRAM" -p "$PROJECT" up -d <&- >&- 2>&-) || failed="up: $?"
  seen() { (cd place; unset HOME; "$PROGRAM" -p "$PROJECT" logs <&-) | grep -q hello; }
  [[ $failed ]] || wait_for 60 seen || failed=logs
  [[ $failed ]] || (cd place; unset HOME; timeout 120 "$PROGRAM" -p "$PROJECT" run --rm -T a true <&- 2>/dev/null) || failed="run: $?"
  [[ $failed ]] || (cd place; unset HOME; timeout 120 "$PROGRAM" -p "$PROJECT" down -v -t 0 <&- >&- 2>&-) || failed="down: $?"
  umount place
  is "$failed" ""
}

@test "Ctrl-C while up waits for a health check ends it, and the next up goes on" {
  yaml <<-'Y'
	services:
	  slow: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL, healthcheck: {test: test -e /ok, interval: 300ms, retries: 10000}}
	  after: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL, depends_on: {slow: {condition: service_healthy}}}
	Y
  python3 -c 'import os,signal,sys; os.setsid(); signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])' "$PROGRAM" up -d >log 2>&1 3>&- </dev/null & local pid=$!
  running() { [[ $(state slow) == running ]]; }
  wait_for 60 running
  kill -INT -- "-$pid"
  local status=0; wait "$pid" || status=$?
  is "$status" 130
  compose exec -T slow touch /ok
  compose up -d
  is "$(state after)" running
}

@test "a guardian and a supervisor that were stopped are woken by the command that waits for them" {
  yaml <<-'Y'
	services:
	  a: {image: "@IMAGE@", command: [sh, -c, "trap 'exit 5' TERM; while :; do sleep 0.1; done"]}
	  b: {image: "@IMAGE@", command: [sh, -c, "echo done"], profiles: [b]}
	Y
  compose up -d
  local which pid guardian
  for which in guardian supervisor both; do
    wait_for 60 supervisor
    pid=$(supervisor)
    guardian=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")
    [[ $which == guardian ]] || kill -STOP "$pid"
    [[ $which == supervisor ]] || kill -STOP "$guardian"
    LIMIT=60 run compose stop
    is "$status" 0
    has "$output" "was stopped (SIGSTOP): woken up"
    is "$(state a ExitCode)" 5
    compose up -d
  done
  # with what is only waited for: the end of a container
  pid=$(supervisor)
  guardian=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")
  (LIMIT=100 compose wait a >waited 2>&1 3>&- || true) & local waiter=$!
  compose exec -T a true
  kill -STOP "$pid" "$guardian"
  compose exec -T a sh -c 'kill -TERM 1'
  wait "$waiter"
  has "$(<waited)" "was stopped (SIGSTOP): woken up"
  is "$(state a ExitCode)" 5
}

@test "a stopped supervisor and a killed guardian, and the other way round: the next command goes on" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: [sh, -c, "trap exit TERM; while :; do sleep 0.1; done"]}}'
  compose up -d
  local id; id=$(compose ps -q)
  local pid guardian; pid=$(supervisor); guardian=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")
  kill -STOP "$pid"; kill -9 "$guardian"
  LIMIT=60 compose restart -t 5
  is "$(count a) $(compose ps -q)" "1 $id"
  wait_for 60 supervisor
  pid=$(supervisor); guardian=$(awk '/^PPid:/ {print $2}' "/proc/$pid/status")
  kill -STOP "$guardian"; kill -9 "$pid"
  LIMIT=60 compose restart -t 5
  is "$(count a) $(compose ps -q)" "1 $id"
  # one that took its guardian's place has left nothing open of what it was
  fails grep -q supervisor.log <<<"$(ls -l "/proc/$guardian/fd")"
}

@test "a supervisor that a debugger holds is left alone, and the command says so" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}}'
  compose up -d
  local pid; pid=$(supervisor)
  # PTRACE_ATTACH stops it, and stopped it stays
  python3 -c 'import ctypes,sys,time
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(1) if libc.ptrace(16, int(sys.argv[1]), 0, 0) else time.sleep(600)' "$pid" 3>&- & local tracer=$!
  traced() { grep -q "^TracerPid:.$tracer" "/proc/$pid/status" && grep -q '^State:.t' "/proc/$pid/status"; }
  wait_for 30 traced
  LIMIT=60 run compose stop
  fails test "$status" = 0
  has "$output" "the supervisor of \"$PROJECT\" (process $pid) is stopped by a debugger (process $tracer, python3)"
  traced
  kill "$tracer"; wait "$tracer" 2>/dev/null || true
  LIMIT=60 compose stop
  is "$(state a)" exited
}

@test "numbers of dead processes that are others' by now: nothing is done to the strangers" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}}'
  compose up -d
  local child supervisor guardian
  supervisor=$(supervisor); guardian=$(awk '/^PPid:/ {print $2}' "/proc/$supervisor/status")
  child=$(compose container inspect "$(compose ps -q)" | jq '.[0].State.Pid')
  kill -STOP "$supervisor"; kill -9 "$guardian" "$supervisor" "$child"
  gone() { [[ ! -e /proc/$supervisor && ! -e /proc/$guardian && ! -e /proc/$child ]]; }
  wait_for 60 gone
  # clone3 with set_tid gives a process the number that is wanted
  python3 -c 'import ctypes, os, signal, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, sys.argv[1:]):
    tid = ctypes.c_int(pid)
    arguments = ctypes.create_string_buffer(struct.pack("11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, ctypes.addressof(tid), 1, 0))
    got = libc.syscall(435, arguments, len(arguments.raw) - 1)
    if got == 0: os.execvp("sleep", ["stranger", "600"])
    if got != pid: sys.exit(os.strerror(ctypes.get_errno()))
signal.pause()' "$supervisor" "$guardian" "$child" >strangers 2>&1 3>&- & local holder=$!
  strangers() { local pid; for pid in "$supervisor" "$guardian" "$child"; do [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == "stranger 600 " ]] || return 1; done; }
  wait_for 30 strangers || { cat strangers; kill "$holder"; grep -qE 'File exists|not permitted|not implemented' strangers && skip "a wanted number could not be had"; return 1; }
  is "$(state a)" exited
  run compose exec -T a true
  fails test "$status" = 0
  run compose kill
  compose stop
  compose up -d
  compose down -t 0
  strangers
  local pid; for pid in "$supervisor" "$guardian" "$child"; do fails grep -q '^State:.T' "/proc/$pid/status"; done
  kill "$supervisor" "$guardian" "$child" "$holder"
}

@test "system update hands a loaded project over to another program: no line, session, connection or probe is lost" {
  local port; port=$(free_port)
  yaml <<-Y
	services:
	  talk: {image: "@IMAGE@", command: [sh, -c, "i=0; until test -e /tmp/go; do n=0; while test \$\$n -lt 200; do n=\$\$((n+1)); i=\$\$((i+1)); echo line \$\$i; done; usleep 20000; done; echo end \$\$i; exit 37"]}
	  echo: {image: "@IMAGE@", command: nc -ll -p 80 -e cat, ports: ["127.0.0.1:$port:80"], stop_signal: SIGKILL, healthcheck: {test: "true", interval: 200ms}}
	  input: {image: "@IMAGE@", command: [sh, -c, "while read line; do echo got \$\$line; test \$\$line != quit || exit 6; done"], stdin_open: true}
	Y
  compose up -d --wait
  local before; before=$(compose ps -q | sort)
  compose exec -T talk sh -c 'n=0; until test -e /tmp/go; do n=$((n+1)); echo $n; usleep 5000; done; echo end $n; exit 11' >exec.out 2>&1 3>&- & local exec=$!
  mkfifo pipe
  compose attach input <pipe >attach.out 2>&1 3>&- & local attach=$!
  exec 7>pipe
  python3 -c 'import os, socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); peer.settimeout(60)
lines, n = peer.makefile("r"), 0
while not os.path.exists("go"):
    n += 1
    peer.sendall(b"%d\n" % n)
    if lines.readline() != f"{n}\n": sys.exit(f"line {n} is lost")
print(n)' "$port" >connection.out 2>&1 3>&- & local connection=$!
  local i
  for i in 1 2 3; do
    cp "$PROGRAM" "next-$i"
    echo "$i" >&7
    timeout 120 "./next-$i" system update
    wait_for 60 supervisor
    is "$(readlink "/proc/$(supervisor)/exe")" "$PWD/next-$i"
    got() { grep -qx "got $i" attach.out; }
    wait_for 60 got
  done
  echo quit >&7
  exec 7>&-
  touch go
  compose exec -T talk touch /tmp/go
  local status=0; wait "$exec" || status=$?; is "$status" 11
  status=0; wait "$attach" || status=$?; is "$status" 6
  wait "$connection" || { cat connection.out; false; }
  is "$(compose ps -aq | sort)" "$before"
  ended() { [[ $(state talk) == exited ]]; }
  wait_for 60 ended
  is "$(state talk ExitCode) $(state input ExitCode) $(state echo Health)" "37 6 healthy"
  compose logs --no-log-prefix talk >got
  local last; last=$(awk '/^end / {print $2}' got)
  { seq -f 'line %.0f' 1 "$last"; echo "end $last"; } | cmp - got
  last=$(awk '/^end / {print $2}' exec.out)
  { seq 1 "$last"; echo "end $last"; } | cmp - exec.out
  is "$(<attach.out)" $'got 1\ngot 2\ngot 3\ngot quit'
}
