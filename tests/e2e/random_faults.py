#!/usr/bin/env python3
"""Random faults under load:  random_faults.py MINUTES [SEED]     (environment as tests/e2e/run makes it; in an empty folder)

Guardian and supervisor of a project are killed (-9), stopped and continued at random while its services log, exit, restart, are
exec'd into, probed, scaled, stopped and started, and the control socket gets garbage. Afterwards: nothing lost, nothing doubled, every exit code right, nothing left.
Both are never killed at once: then nobody is left to read the pipes (docs/architecture.md)."""
import collections, json, os, random, re, signal, socket, struct, subprocess, sys, threading, time

PROGRAM, IMAGE = os.environ["COMPOSE_E2E_PROGRAM"], os.environ["COMPOSE_E2E_REGISTRY"] + "/e2e/busybox:1"
PROJECT = os.path.basename(os.getcwd())
MINUTES = float(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
TALKERS, RESTARTERS = 4, 3
over = threading.Event()
failures, counts, lock = [], collections.Counter(), threading.Lock()

TALK = r"""n=0; until test -e /ctl/stop; do i=0; while test $$i -lt 150; do i=$$((i+1)); n=$$((n+1)); echo o $$n; echo e $$n >&2; done; usleep 40000; done; echo total $$n; exit %d"""
AGAIN = r"""test -e /ctl/stop && exec sleep 100000; n=$$(cat /ctl/run%d 2>/dev/null || echo 0); n=$$((n+1)); echo $$n >/ctl/run%d; i=0; while test $$i -lt 40; do i=$$((i+1)); echo run $$n $$i; done; usleep 30000; exit %d"""
FLOOD = r"""n=0; until test -e /ctl/stop; do n=$$((n+1)); echo flood $$n; done; echo total $$n; exit 0"""

def compose_file():
    services = {}
    mount = {"volumes": ["./ctl:/ctl"]}
    keep = {"logging": {"driver": "local", "options": {"max-size": "2g", "max-file": "3"}}}
    for i in range(TALKERS):
        services[f"talk{i}"] = {"image": IMAGE, "command": ["sh", "-c", TALK % (20 + i)], **mount, **keep}
    for i in range(RESTARTERS):
        services[f"again{i}"] = {"image": IMAGE, "command": ["sh", "-c", AGAIN % (i, i, i)], "restart": "always", **mount, **keep}
    services["flood"] = {"image": IMAGE, "command": ["sh", "-c", FLOOD], **mount}
    for i in range(2):
        services[f"sound{i}"] = {"image": IMAGE, "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"],
                                 "healthcheck": {"test": "true", "interval": "300ms", "timeout": "20s"}}
    services["bounce"] = {"image": IMAGE, "command": ["sh", "-c", "trap 'echo bye; exit 5' TERM; echo hello; while :; do sleep 0.05; done"],
                          "init": False, "stop_grace_period": "100s", **keep}
    services["web"] = {"image": IMAGE, "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"], "stop_grace_period": "100s"}
    services["tool"] = {"image": IMAGE, "profiles": ["tool"]}
    with open("compose.yaml", "w") as out:
        json.dump({"services": services}, out)

def compose(*words, limit=180):
    done = subprocess.run([PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

def fail(text):
    with lock:
        failures.append(f"[{time.strftime('%T')}] {text}")
        print("FAILURE", failures[-1], flush=True)

def check(what, good, detail=""):
    if not good: fail(f"{what}: {detail}")

def ps(*more):
    code, out, err = compose("ps", "--all", "--format", "json", *more)
    if code != 0:
        fail(f"ps: {code} {err}")
        return []
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

# ---- the keepers
def look(pid):
    """state, parent, and where its stack begins: an exec moves it, a fork does not"""
    try:
        with open(f"/proc/{pid}/stat") as f: rest = f.read().rpartition(")")[2].split()
        return rest[0], int(rest[1]), int(rest[25])
    except OSError: return None, 0, 0

killed_stack = 0  # of the guardian that was killed last
def keepers():
    """[guardian, supervisor] or less. What they have just forked looks like them until its exec, and a supervisor whose guardian was
    killed is none yet: it has first to execute the program anew."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit(): continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as f: words = f.read().split(b"\0")
        except OSError: continue
        if len(words) > 3 and words[0] == b"compose-guardian" and words[3] == PROJECT.encode():
            state, parent, stack = look(int(name))
            if state and state != "Z": found[int(name)] = parent, stack
    guardians = [pid for pid in found if found[pid][0] not in found]
    if len(guardians) != 1: return []
    supervisors = [pid for pid in found if found[pid][0] == guardians[0]]
    if len(supervisors) != 1 or found[guardians[0]][1] == killed_stack: return guardians
    return guardians + supervisors

def send(pid, number):
    try: os.kill(pid, number)
    except ProcessLookupError: pass

def faults(dice):
    global killed_stack
    while not over.is_set():
        time.sleep(dice.random() * 0.4)
        pair = keepers()
        if len(pair) != 2: continue
        which = dice.randrange(2)
        kind = dice.choice(["kill", "kill", "pause", "stop", "stop both"])
        if kind == "kill":
            # the other one is awake and there, and has been for a moment: it goes on from here
            time.sleep(0.1)
            if keepers() != pair or any(look(pid)[0] in ("T", None) for pid in pair): continue
            if which == 0: killed_stack = look(pair[0])[2]
            send(pair[which], signal.SIGKILL)
        elif kind == "pause":
            send(pair[which], signal.SIGSTOP)
            time.sleep(dice.random() * 0.8)
            send(pair[which], signal.SIGCONT)
        elif kind == "stop":
            send(pair[which], signal.SIGSTOP)  # a command wakes it
        else:
            for pid in pair: send(pid, signal.SIGSTOP)
        counts[f"{kind} {'guardian' if which == 0 else 'supervisor'}" if kind != "stop both" else kind] += 1

# ---- the users
def worker(action, dice):
    def loop():
        while not over.is_set():
            try: action(dice)
            except subprocess.TimeoutExpired as late: fail(f"hangs: {late}")
            except Exception as error: fail(f"{action.__name__}: {error!r}")
            time.sleep(dice.random() * 0.3)
    return loop

def execs(dice):
    lines, code = dice.randrange(1, 400), dice.randrange(1, 100)
    got = compose("exec", "-T", f"talk{dice.randrange(TALKERS)}", "sh", "-c", f"seq 1 {lines}; exit {code}")
    check("exec", got[0] == code and got[1] == "".join(f"{i}\n" for i in range(1, lines + 1)), f"wanted {code}, {lines} lines: {got[0]}, {got[1].count(chr(10))} lines, {got[2]}")
    counts["exec"] += 1

def runs(dice):
    lines, code = dice.randrange(1, 400), dice.randrange(0, 100)
    got = compose("run", "--rm", "-T", "tool", "sh", "-c", f"seq 1 {lines}; exit {code}")
    check("run", got[0] == code and got[1] == "".join(f"{i}\n" for i in range(1, lines + 1)), f"wanted {code}, {lines} lines: {got[0]}, {got[1].count(chr(10))} lines, {got[2]}")
    counts["run"] += 1

def scales(dice):
    wanted = dice.randrange(1, 6)
    code, _, err = compose("up", "-d", "--no-recreate", "--scale", f"web={wanted}", "web")
    check("scale", code == 0, f"{code} {err}")
    running = [c for c in ps("web") if c["State"] == "running"]
    check("scale", len(running) == wanted, f"wanted {wanted}: {[c['Name'] for c in running]}")
    counts["scale"] += 1

bounced = 0
def bounces(dice):
    global bounced
    code, _, err = compose("stop", "bounce")
    check("stop", code == 0, f"{code} {err}")
    container = ps("bounce")[0]
    check("stop", container["State"] == "exited" and container["ExitCode"] == 5, f"{container['State']} {container['ExitCode']} {err}")
    code, _, err = compose("start", "bounce")
    check("start", code == 0, f"{code} {err}")
    bounced += 1
    deadline = time.time() + 100  # its trap is there once it has said hello
    while compose("logs", "--no-log-prefix", "bounce")[1].count("hello\n") < bounced + 1 and time.time() < deadline: time.sleep(0.1)
    counts["stop and start"] += 1

def health(dice):
    for container in ps("sound0", "sound1"):
        check("health", container["Health"] in ("healthy", "starting"), container["Health"])
    counts["health"] += 1

def garbage(dice):
    """Anything at the control socket: it is refused, and nobody else notices."""
    pair = keepers()
    if not pair: return
    try:
        with open(f"/proc/{pair[0]}/cmdline", "rb") as f: words = f.read().decode().split("\0")
        folder = os.open(f"{(words + [''] * 3)[2]}/groups/{PROJECT}", os.O_PATH)
    except OSError: return
    held = []
    try:
        for _ in range(dice.randrange(1, 40)):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(0.2)
            held.append(peer)
            text = json.dumps({"verb": dice.choice(["start", "stop", "kill", "restart", "pause", "attach", "reload", "connect", "hand over", "x", ""]),
                               "ids": [dice.choice(["", "f" * 64, "\u0000", "x" * dice.randrange(1, 9000)]) for _ in range(dice.randrange(0, 5))],
                               "timeouts_ns": [dice.randrange(-2**63, 2**63) for _ in range(dice.randrange(0, 5))], "signal": "\u001b", "program": "/etc/passwd",
                               "endpoint": dice.choice(["", "{}", "[", "nul"]), "position": dice.randrange(2**63), "token": dice.randrange(2**63)}).encode()
            length = dice.choice([len(text)] * 3 + [0, 1, len(text) - 1, len(text) + 1, 2**31, 2**32 - 1, 8 << 20])
            if dice.random() < 0.3: text = dice.randbytes(dice.randrange(0, 3000))
            head = struct.pack("<II", dice.choice([0x31465043] * 4 + [0, 0x31465044]), length)
            try:
                peer.connect(f"/proc/self/fd/{folder}/supervisor.sock")
                peer.sendall((head + text) * dice.randrange(1, 4))
                if dice.random() < 0.5: peer.recv(4096)
            except OSError: pass
        counts["garbage"] += 1
    finally:
        for peer in held: peer.close()
        os.close(folder)

# ---- what must be so afterwards
def numbers_of(text, word):
    return [int(line[len(word):]) for line in text.splitlines() if line.startswith(word)]

def whole(service, first_must_be_1=True, words=("o ", "e ")):
    code, out, err = compose("logs", "--no-log-prefix", service, limit=600)
    check("logs", code == 0, err)
    total = numbers_of(out, "total ")
    check(service, len(total) == 1, f"totals {total}")
    lines = 0
    for word in words:
        got = numbers_of(out, word)
        first = 1 if first_must_be_1 else (got[0] if got else 0)
        check(f"{service} {word}", got == list(range(first, (total or [0])[0] + 1)), f"{len(got)} lines, {got[:3]} … {got[-3:]}, total {total}")
        lines += len(got)
    extra = [line for line in out.splitlines() if not line.startswith(words + ("total ",))]
    check(service, not extra, f"{len(extra)} torn lines, {extra[:3]}")
    return lines

def run_log(service):
    _, out, _ = compose("logs", "--no-log-prefix", service, limit=600)
    got = [tuple(map(int, line.split()[1:])) for line in out.splitlines()]
    wanted = [(run, i) for run in range(1, got[-1][0] + 1 if got else 1) for i in range(1, 41)]
    check(service, got == wanted, f"{len(got)} lines of {len(wanted)}; first difference {next(((a, b) for a, b in zip(got, wanted) if a != b), None)}")
    return got[-1][0] if got else 0

def of_process(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f: pss = int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M)[1])
    return len(os.listdir(f"/proc/{pid}/fd")), pss

def wait_for(what, good, limit=120):
    deadline = time.time() + limit
    while not good():
        if time.time() > deadline:
            fail(f"not within the time: {what}")
            return
        time.sleep(0.1)

def left_over():
    words = lambda *argv: subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    root = os.environ["COMPOSE_ROOT"]
    run = None
    with open("/proc/self/mountinfo") as f: mounts = [line.split()[4] for line in f if root in line]
    groups = [os.path.join(at, name) for at, names, _ in os.walk("/sys/fs/cgroup") for name in names if any(i in name for i in ids)]
    return {"links": [l.split()[1].rstrip(":").split("@")[0] for l in words("ip", "-o", "link").splitlines()], "rules": words("nft", "list", "ruleset"),
            "mounts": mounts, "cgroups": groups, "containers": os.listdir(root + "/containers") if os.path.isdir(root + "/containers") else []}

ids = set()
def main():
    dice = random.Random(SEED)
    print(f"seed {SEED}, {MINUTES} minutes", flush=True)
    os.makedirs("ctl", exist_ok=True)
    compose_file()
    before = left_over()
    code, _, err = compose("up", "-d")
    check("up", code == 0, err)
    first = {c["Name"]: c["ID"] for c in ps() if not c["Service"].startswith("web")}
    wait_for("guardian and supervisor", lambda: len(keepers()) == 2)
    began = {pid: of_process(pid) for pid in keepers()}
    print("at the beginning, fds and KiB:", list(began.values()), flush=True)
    threads = [threading.Thread(target=worker(action, random.Random(dice.random()))) for action in (execs, runs, scales, bounces, health, garbage)]
    threads.append(threading.Thread(target=faults, args=(random.Random(dice.random()),)))
    for thread in threads: thread.start()
    time.sleep(MINUTES * 60)
    over.set()
    for thread in threads: thread.join()
    for pid in keepers(): send(pid, signal.SIGCONT)
    print(dict(counts), flush=True)
    compose("exec", "-T", "sound0", "true")
    wait_for("guardian and supervisor", lambda: len(keepers()) == 2)
    open("ctl/stop", "w").close()
    wait_for("the end of all that talk", lambda: all(c["State"] == "exited" for c in ps(*[f"talk{i}" for i in range(TALKERS)], "flood")))
    all_now = ps()
    now = {c["Name"]: c["ID"] for c in all_now if not c["Service"].startswith("web")}
    check("containers", now == first, f"{first}\n{now}")
    ids.update(c["ID"][:12] for c in all_now)
    for container in all_now:
        service = container["Service"]
        if service.startswith("talk"): check(service, container["ExitCode"] == 20 + int(service[4:]), container["ExitCode"])
        if service == "flood": check(service, container["ExitCode"] == 0, container["ExitCode"])
        if service.startswith("sound"): check(service, container["Health"] == "healthy", container["Health"])
    lines = sum(whole(f"talk{i}") for i in range(TALKERS)) + whole("flood", False, ("flood ",))
    restarts = sum(run_log(f"again{i}") for i in range(RESTARTERS))
    _, out, _ = compose("logs", "--no-log-prefix", "bounce")
    check("bounce", out.split() == ["hello", "bye"] * bounced + ["hello"], f"{bounced} times: {collections.Counter(out.split())}")
    print(f"{lines} lines, {restarts} restarts, at the end, fds and KiB:", [of_process(pid) for pid in keepers()], flush=True)
    for fds, pss in map(of_process, keepers()): check("memory", pss < 40 * 1024 and fds < 150, f"{pss} KiB, {fds} fds")
    for pid in keepers()[:1]:
        names = collections.Counter(os.readlink(f"/proc/{pid}/fd/{fd}").partition(":")[0] for fd in os.listdir(f"/proc/{pid}/fd") if os.path.lexists(f"/proc/{pid}/fd/{fd}"))
        check("the guardian's descriptors", not any("supervisor.log" in name or "state.db" in name for name in names), names)
    code, _, err = compose("down", "-v", "-t", "0")
    check("down", code == 0, err)
    wait_for("the end of guardian and supervisor", lambda: not keepers())
    after = left_over()
    for what in before: check(f"left: {what}", after[what] == before[what], f"{before[what]}\n{after[what]}")
    print("\n".join(failures) or "all is well", flush=True)
    return 1 if failures else 0

sys.exit(main())
