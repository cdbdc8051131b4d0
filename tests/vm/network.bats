load lib
setup() { project network; }
teardown() { compose down -v -t 0 >/dev/null 2>&1; }

@test "names, aliases, replicas, published ports, isolation, no way out of an internal network" {
  yaml <<'Y'
services:
  web: {image: "@IMAGE@", init: true, command: sh -c 'hostname >/tmp/index.html; exec httpd -f -p 80 -h /tmp', scale: 2, networks: {front: {aliases: [www]}}}
  one: {image: "@IMAGE@", init: true, command: sh -c 'echo one >/tmp/index.html; exec httpd -f -p 80 -h /tmp', ports: ["18090:80", "127.0.0.1:18091:80", "[::1]:18092:80"], networks: [front]}
  in: {image: "@IMAGE@", init: true, command: sleep 100000, networks: [back]}
  from: {image: "@IMAGE@", init: true, command: sleep 100000, networks: [front]}
networks: {front: {}, back: {internal: true}}
Y
  compose up -d
  is "$(compose exec -T from nslookup web 2>&1 | grep -c 'Address.*172\|Address.*192\.168\|Address.*10\.')" 2
  has "$(compose exec -T from wget -qO- http://www/)" ""
  is "$(compose exec -T from wget -qO- http://one/)" one
  for port in 127.0.0.1:18090 127.0.0.1:18091 '[::1]:18092'; do is "$(curl -gsS -m 60 "http://$port/")" one; done
  # from outside: over a link, so by the firewall's rules
  ip netns add outside
  ip link add out0 type veth peer name out1 netns outside
  ip addr add 198.51.100.1/24 dev out0 && ip link set out0 up
  ip -n outside addr add 198.51.100.2/24 dev out1 && ip -n outside link set out1 up
  is "$(ip netns exec outside curl -sS -m 60 http://198.51.100.1:18090/)" one
  run ! ip netns exec outside curl -sS -m 5 http://198.51.100.1:18091/
  compose exec -T from ping -c 1 -W 20 198.51.100.2
  run ! compose exec -T in ping -c 1 -W 3 198.51.100.2
  run ! compose exec -T in wget -qO- -T 5 http://one/
  ip netns del outside
}
