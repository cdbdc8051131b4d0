# After `down` the machine is as it was: no mount, link, firewall rule, control group, process or file of the project.
load lib

# The run folder of our root is the one below /run/compose that knows our project; it stays once it is there.
run_folder() { local found; found=$(compgen -G "/run/compose/*/groups/$PROJECT" | head -n 1) && echo "${found%/groups/*}"; }
# ids of our containers, gathered while they exist
remember() { compose ps -aq >>ids; RUN=$(run_folder); }
known() { sort -u ids | paste -sd '|'; }

snapshot() {
  echo "== mounts"; awk '{print $5, $9}' /proc/self/mountinfo | grep -F -e "$COMPOSE_ROOT" -e "$RUN" | sort
  echo "== links"; ip -o link | awk -F': ' '{print $2}' | sort
  echo "== routes"; ip route show table all type unicast | sort
  # sets, maps and chains of the engine may stay; what they hold may not
  echo "== rules"; nft list ruleset | grep -E 'elements|dport|saddr|daddr|iifname|oifname' | sed 's/counter packets [0-9]* bytes [0-9]*//' | sort
  echo "== groups"; find /sys/fs/cgroup -type d 2>/dev/null | grep -E "$(known)" | sort
  echo "== run folder"; (cd "$RUN" && find . -mindepth 2 -not -path './groups/*' | sort)
  echo "== sockets"; ss -Hltnu | awk '{print $1, $5}' | sort
}
# files of the root but those that all projects share: the database, images, caches
files() { (cd "$COMPOSE_ROOT" && find . -mindepth 2 \( -path './containers/*' -o -path './volumes/*' \) | sort); }
# supervisors by their project, processes of containers by their control group
processes() {
  local p ids; ids=$(known)
  for p in /proc/[0-9]*; do
    { tr '\0' ' ' <"$p/cmdline" | grep -q "^compose-guardian.*$PROJECT" || grep -qE "$ids" "$p/cgroup"; } 2>/dev/null && echo "${p##*/} $(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)"
  done; true
}
none_left() { [[ -z $(processes) ]]; }

rich_project() {
  printf 'hidden\n' >secret.txt
  PORT=$(free_port)
  yaml <<-Y
	services:
	  front:
	    image: "@IMAGE@"
	    command: [httpd, -f, -p, "80", -h, /etc]
	    ports: ["127.0.0.1:$PORT:80", "$(free_port):80/udp"]
	    networks: [outer, inner]
	    secrets: [key]
	    configs: [{source: text, target: /text}]
	    depends_on: {back: {condition: service_healthy}}
	  back:
	    image: "@IMAGE@"
	    command: [sh, -c, "trap exit TERM; sleep 1000 & wait"]
	    networks: [inner]
	    scale: 2
	    volumes: ["data:/data", /anonymous, {type: tmpfs, target: /scratch}]
	    healthcheck: {test: "true", interval: 300ms}
	  once: {image: "@IMAGE@", command: [sh, -c, "echo once; exit 3"], networks: [outer]}
	  alone: {image: "@IMAGE@", command: sleep 1000, network_mode: none, init: true, stop_signal: SIGKILL}
	networks: {outer: {}, inner: {internal: true}}
	volumes: {data: {}}
	secrets: {key: {file: ./secret.txt}}
	configs: {text: {content: "inline"}}
	Y
}

compare() { diff "$1" "$2" >&2 || { echo "(left: before, right: after)" >&2; return 1; }; }

@test "down -v leaves nothing" {
  rich_project
  # shared things (the engine's own table, the image) are made by a first round
  compose up -d; remember; compose down -v -t 0
  wait_for 60 none_left
  snapshot >before; files >before.files
  compose up -d; remember
  is "$(compose exec -T front wget -qO- http://127.0.0.1:80/passwd | head -c 4)" root
  compose run --rm -T back true
  compose down -v -t 0
  wait_for 60 none_left
  snapshot >after; files >after.files
  compare before after
  compare before.files after.files
  is "$(compose ps -aq)" ""
}

@test "down after kill -9 of everything the engine runs leaves nothing" {
  rich_project
  compose up -d; remember; compose down -v -t 0
  wait_for 60 none_left
  snapshot >before; files >before.files
  compose up -d; remember
  # supervisors and their guardians at once: nobody is there to hand anything over
  local pids; pids=$(processes | awk '$2 ~ /^compose-guardian/ {print $1}')
  [[ $pids ]]
  kill -9 $pids
  compose down -v -t 0
  wait_for 60 none_left
  snapshot >after; files >after.files
  compare before after
  compare before.files after.files
}

@test "a failed up and its down leave nothing" {
  yaml <<-Y
	services:
	  good: {image: "@IMAGE@", command: sleep 1000, volumes: ["data:/data"], stop_signal: SIGKILL}
	  bad: {image: "@IMAGE@", command: [no-such-program], depends_on: [good]}
	volumes: {data: {}}
	Y
  compose up -d good; remember; compose down -v -t 0
  wait_for 60 none_left
  snapshot >before; files >before.files
  run ! compose up -d
  has "$output" no-such-program
  remember
  compose down -v -t 0
  wait_for 60 none_left
  snapshot >after; files >after.files
  compare before after
  compare before.files after.files
}
