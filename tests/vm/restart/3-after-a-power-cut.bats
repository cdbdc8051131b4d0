load ../lib

@test "the boot's restore succeeded and everything is back" {
  is "$(systemctl is-active compose-restore)" active
  project stays
  is "$(status always) $(status polite) $(status stopped) $(status once)" "running running running exited"  # up started all of them before
  is "$(curl -sS http://127.0.0.1:18080/)" kept
  is "$(compose exec -T always cat /etc/c)" "a config's text"
  cd ../other; is "$(status a)" running
  cd ../load
  is "$(status talk) $(status write)" "running running"
  has "running restarting" "$(status churn)"
}

@test "the store is whole and commands go on" {
  is "$(python3 -c 'import sqlite3; print(sqlite3.connect("file:/var/lib/compose/state.db?mode=ro", uri=True).execute("PRAGMA integrity_check").fetchone()[0])')" ok
  has "$(cd /root/load; compose logs --tail 3 talk)" "a line of text"
  for n in 1 2; do
    cd "/root/cut$n"
    compose up -d --wait
    is "$(status x) $(status y)" "running running"
    compose down -v -t 0
  done
  compose image pull "$COMPOSE_E2E_REGISTRY/e2e/large:1"
  is "$(compose container run --rm "$COMPOSE_E2E_REGISTRY/e2e/large:1" sh -c 'wc -c </noise')" 25165824
}

@test "down takes all of it away" {
  for p in load stays other; do cd "/root/$p"; compose down -v -t 1; done
  is "$(compose container ls -aq)" ""
  is "$(ls -d /sys/fs/cgroup/compose 2>/dev/null)" ""
  is "$(ip -br link | grep -c '^c[pv]')" 0
}
