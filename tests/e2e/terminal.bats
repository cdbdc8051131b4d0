# What a person at a terminal has: a terminal inside, its size, keys, colours, a view that is redrawn, Ctrl-C.
load lib

terminal() { timeout 150 "$BATS_TEST_DIRNAME/terminal" "$@"; }

idle() { yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}}'; compose up -d; }

@test "exec has a terminal of the same size and gives the command's status" {
  idle
  run -7 terminal 33 101 "$PROGRAM" exec a sh -c 'tty; stty size; exit 7' </dev/null
  has "$output" /dev/pts/
  has "$output" "33 101"
}

@test "a change of the window's size arrives inside" {
  idle
  run -0 terminal 33 101 "$PROGRAM" exec a sh -c 'echo re""ady; until stty size | grep -q "40 120"; do sleep 0.1; done; echo arr""ived' <<-S
	wait ready
	resize 40 120
	wait arrived
	S
}

@test "keys go to a shell that exec started, Ctrl-C to its command and not to us" {
  idle
  run -4 terminal 24 80 "$PROGRAM" exec a sh <<-'S'
	wait #
	type echo $((21 * 2))\n
	wait 42
	type sh -c 'echo be""gun; exec sleep 1000'\n
	wait begun
	type \x03
	wait #
	type exit 4\n
	S
}

@test "an interactive run is a shell; with --rm it leaves no container" {
  yaml <<<'services: {a: {image: "@IMAGE@"}}'
  run -5 terminal 24 80 "$PROGRAM" run --rm a sh <<-'S'
	wait #
	type tty; echo $((6 * 7))\n
	wait 42
	type exit 5\n
	S
  has "$output" /dev/pts/
  is "$(compose ps -aq)" ""
}

@test "the terminal's mode is as before when the command is over" {
  idle
  run -0 terminal 24 80 bash -c 'before=$(stty -g); "$0" exec a sh -c "exit 0"; "$0" run --rm a true 2>/dev/null; [[ $before == "$(stty -g)" ]]' "$PROGRAM" </dev/null
}

@test "up is shown as a block that is redrawn, and the cursor comes back" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}}'
  run -0 terminal 24 80 "$PROGRAM" up -d </dev/null
  has "$output" "[+] Running"
  has "$output" "Container $PROJECT-a-1"
  has "$output" "Started"
  has "$output" $'\e[?25h'
}

@test "logs are coloured on a terminal, unless NO_COLOR or --ansi never say otherwise" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: echo hello}}'
  compose up -d
  wait_for 60 sh -c "$PROGRAM logs a | grep -q hello"
  run -0 terminal 24 80 "$PROGRAM" logs </dev/null
  has "$output" $'\e[36ma-1  | \e[0mhello'
  run -0 terminal 24 80 env NO_COLOR=1 "$PROGRAM" logs </dev/null
  lacks "$output" $'\e[36m'
  run -0 terminal 24 80 "$PROGRAM" --ansi never logs </dev/null
  lacks "$output" $'\e['
  has "$(compose --ansi always logs)" $'\e[36ma-1  | \e[0mhello'
}

@test "Ctrl-C in an attached up stops gently, a second one at once" {
  yaml <<-'Y'
	services:
	  deaf: {image: "@IMAGE@", stop_grace_period: 300s, command: [sh, -c, "trap '' TERM INT; echo ready; while :; do sleep 0.1; done"]}
	Y
  run -130 terminal 24 80 "$PROGRAM" up <<-'S'
	wait ready
	type \x03
	wait Gracefully Stopping
	wait Stopping
	type \x03
	S
  is "$(state deaf)" exited
  is "$(state deaf ExitCode)" 137
}

@test "detach keys leave an attached container running" {
  yaml <<<'services: {a: {image: "@IMAGE@", tty: true, stdin_open: true, command: sh, stop_signal: SIGKILL}}'
  compose up -d
  run -0 terminal 24 80 "$PROGRAM" attach a <<-'S'
	type echo $((21 * 2))\n
	wait 42
	type \x10\x11
	S
  is "$(state a)" running
}

@test "a terminal that goes away ends what exec and run started, and detaches what attach looked at" {
  yaml <<<'services: {a: {image: "@IMAGE@", tty: true, stdin_open: true, command: sh, stop_signal: SIGKILL}}'
  compose up -d
  run -137 terminal 24 80 "$PROGRAM" exec a sh -c 'trap "" HUP; echo there; exec sleep 1234' <<-'S'
	wait there
	hangup
	S
  lacks "$(compose top a)" "sleep 1234"
  run -129 terminal 24 80 "$PROGRAM" run --rm a sh <<-'S'
	wait #
	hangup
	S
  is "$(compose ps -aq | wc -l)" 1
  run -129 terminal 24 80 "$PROGRAM" attach a <<-'S'
	type echo $((21 * 2))\n
	wait 42
	hangup
	S
  is "$(state a)" running
}

@test "rm asks on the terminal and does what it is told" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: "true"}}'
  compose create
  run -0 terminal 24 80 "$PROGRAM" rm <<-S
	wait Going to remove $PROJECT-a-1
	type n\n
	S
  is "$(state a)" created
  run -0 terminal 24 80 "$PROGRAM" rm <<-S
	wait Going to remove $PROJECT-a-1
	type y\n
	S
  is "$(compose ps -aq)" ""
}
