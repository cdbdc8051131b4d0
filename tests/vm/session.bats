load lib
setup() { project session; yaml <<<'services: {a: {image: "@IMAGE@", init: true, command: sleep 100000}}'; }
teardown() {
  compose down -v -t 0 >/dev/null 2>&1
  pkill -x -f "sleep 1000" || true  # what held the terminal open: bats would wait for it
}

@test "containers outlive the scope that began them" {
  systemd-run --quiet --scope --unit=begins sh -c 'echo up >/tmp/scope.begins; /usr/local/bin/compose up -d; exec sleep 1000' 3>&- >/dev/null 2>&1 &
  wait_for 200 compose exec -T a true
  systemctl stop begins.scope
  is "$(status a)" running
  is "$(compose exec -T a echo there)" there
}

@test "containers outlive the login that began them, with KillUserProcesses too" {
  mkdir -p /run/systemd/logind.conf.d
  printf '[Login]\nKillUserProcesses=yes\nKillExcludeUsers=\n' >/run/systemd/logind.conf.d/kill.conf
  systemctl restart systemd-logind
  # a real session, by PAM, and something of it that is to end with it
  rm -f /tmp/session
  { sleep 3; printf 'cd %s; sleep 7777 &\n/usr/local/bin/compose up -d; echo $XDG_SESSION_ID >/tmp/session\n' "$PWD"; sleep 1000; } 3>&- |
    socat - EXEC:'login -f root',pty,setsid,ctty,stderr >/dev/null 3>&- &
  wait_for 200 test -s /tmp/session
  pgrep -fx "sleep 7777"
  loginctl terminate-session "$(cat /tmp/session)"
  wait_for 100 bash -c '! pgrep -fx "sleep 7777"'
  is "$(status a)" running
  is "$(compose exec -T a echo there)" there
}

@test "the engine's group goes with its last process" {
  compose up -d
  has "$(ls /sys/fs/cgroup/compose)" supervisors
  compose down -t 0
  wait_for 60 test ! -e /sys/fs/cgroup/compose
}
