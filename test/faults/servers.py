"""The private PostgreSQL and the private Kafka that scenarios harm: thin handles over scripts/cluster.sh and scripts/broker.sh."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading

import psycopg2

from shell import CHECKOUT, PATIENCE_S, RUN, Broken, eventually, exported, run, script

# A process that is killed leaves the page cache to the kernel, so nothing here depends on fsync; what a crash of PostgreSQL does lose is what
# was not yet written out of its WAL buffers.
POSTGRES_SETTINGS = {"fsync": "off", "wal_writer_delay": "10000ms", "wal_buffers": "16MB", "max_connections": "60", "log_min_messages": "warning"}

# A broker that was killed may register again only when its session is over: the default of 9 s is all that makes a restart slow.
KAFKA_SETTINGS = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}

# For the topics that somebody forbids. One node only: it may ask itself before its rules are loaded, three may not ask each other.
KAFKA_WITH_RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


class Postgres:
    def __init__(self, name, settings=None):
        self.name = name
        self._settings = POSTGRES_SETTINGS | (settings or {})
        self.env = {}

    def start(self):
        options = [word for name, value in self._settings.items() for word in ("--set", f"{name}={value}")]
        self.env = exported(script("cluster.sh", "start", self.name, *options))
        return self

    def destroy(self):
        script("cluster.sh", "destroy", self.name)

    def dsn(self, database="postgres", user="postgres", host=None):
        # Our own sessions need not be told that somebody crashed the server: it was us.
        quiet = " options='-c client_min_messages=error'" if user == "postgres" else ""
        return f"host={host or self.env['PGHOST']} port={self.env['PGPORT']} dbname={database} user={user}{quiet}"

    def connect(self, database="postgres"):
        connection = psycopg2.connect(self.dsn(database) + " connect_timeout=10 application_name=faults")
        connection.autocommit = True
        return connection

    def ask(self, sql, arguments=None, database="postgres"):
        """One statement in a session of its own; the rows, or None if it returns none."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else None

    @property
    def data(self):
        return (RUN / self.name / "data").resolve()

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])

    def processes(self):
        """Every process of the cluster: they all work in the data directory."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if os.readlink(entry / "cwd") == str(self.data):
                        found.append(int(entry.name))
        return found

    def kill_postmaster(self):
        """kill -9; returns when its children have noticed, for until then a new one would refuse to start."""
        os.kill(self.postmaster(), signal.SIGKILL)
        eventually(lambda: not self.processes(), "the processes of a killed postmaster end")

    def hang_walwriter(self):
        """Commits that do not wait for the disk stay in memory from here on, unless somebody else flushes them: as if the machine were to crash."""
        os.kill(self.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")[0][0], signal.SIGSTOP)

    def stop_immediately(self):
        processes = self.processes()
        os.kill(self.postmaster(), signal.SIGQUIT)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        eventually(lambda: not self.processes(), "an immediate shutdown ends")

    def answers(self, database="postgres"):
        try:
            return self.ask("SELECT NOT pg_is_in_recovery()", database=database)[0][0]
        except psycopg2.Error:
            return False

    def listen(self):
        """Opens the TCP port to other network namespaces; sticks until the cluster is made anew."""
        if self._settings.get("listen_addresses") != "*":
            self._settings["listen_addresses"] = "*"
            self.start()

    def trust(self, network, user):
        """Lets a role in from another network namespace."""
        rule = f"host all {user} {network} trust\n"
        hba = self.data / "pg_hba.conf"
        if rule not in hba.read_text(encoding="utf-8"):
            with open(hba, "a", encoding="utf-8") as file:
                file.write(rule)
            self.ask("SELECT pg_reload_conf()")


class Kafka:
    def __init__(self, name, nodes=1, settings=None, listen=None, data=None):
        self.name = name
        self._options = ["--nodes", nodes, "--heap", "256m"]
        self._options += ["--listen", listen] if listen else []
        self._options += ["--data", data] if data else []
        for key, value in (KAFKA_SETTINGS | (settings or {})).items():
            self._options += ["--set", f"{key}={value}"]
        self.address = None

    def start(self):
        self.address = exported(script("broker.sh", "start", self.name, *self._options))["KAFKA"]
        return self

    def kill(self, *node):
        script("broker.sh", "kill", self.name, *node)

    def pause(self):
        script("broker.sh", "pause", self.name)

    def resume(self):
        script("broker.sh", "resume", self.name)

    def destroy(self):
        script("broker.sh", "destroy", self.name)

    def running(self, node=1):
        home = RUN / "kafka" / "clusters" / self.name / str(node)
        try:
            return str(home) in pathlib.Path(f"/proc/{(home / 'pid').read_text().strip()}/cmdline").read_text(encoding="utf-8")
        except OSError:
            return False

    def tool(self, tool, *arguments):
        """One of Kafka's own commands."""
        settings = f"-Dlog4j.configuration=file:{CHECKOUT}/scripts/kafka/log4j.properties"
        return run("java", "-Xmx96m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", settings, "-cp", f"{RUN}/kafka/libs/*", tool,
                   "--bootstrap-server", self.address, *arguments)

    def deny_writing(self, topic):
        self.tool("kafka.admin.AclCommand", "--add", "--deny-principal", "User:ANONYMOUS", "--operation", "Write", "--topic", topic)
        # Answered by the controller; the broker, which is asked here, learns of it a little later.
        eventually(lambda: "DENY" in self.tool("kafka.admin.AclCommand", "--list", "--topic", topic), f"writing to {topic} is denied")

    def allow_again(self, topic):
        self.tool("kafka.admin.AclCommand", "--remove", "--force", "--topic", topic)

    def set_topic(self, topic, setting):
        self.tool("kafka.admin.ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config", setting)

    def metadata(self):
        return json.loads(run("kcat", "-b", self.address, "-L", "-J", "-m", "20"))

    def topics(self, prefix):
        return sorted(t["topic"] for t in self.metadata()["topics"] if t["topic"].startswith(prefix) and t["partitions"])

    def leaders(self, prefix):
        """Node by node, how many partitions of these topics it leads; nothing when nobody can tell."""
        led = {}
        try:
            topics = self.metadata()["topics"]
        except Broken:
            return led
        for topic in topics:
            for partition in topic["partitions"] if topic["topic"].startswith(prefix) else ():
                led[partition["leader"]] = led.get(partition["leader"], 0) + 1
        return led

    def produce(self, topic, key, value, headers):
        """One message of somebody else's."""
        command = ["kcat", "-P", "-b", self.address, "-t", topic, "-k", key, "-X", "partitioner=murmur2_random"]
        for name, content in headers.items():
            command += ["-H", f"{name}={content}"]
        subprocess.run(command, input=value, text=True, check=True, stderr=subprocess.DEVNULL)

    def read(self, topic):
        """All messages of a topic, from the beginning to the end. Nobody may be writing: kcat finds the end of a partition only when it has come to rest."""
        consumer = subprocess.Popen(["kcat", "-C", "-b", self.address, "-t", topic, "-o", "beginning", "-e", "-q", "-J"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        timer = threading.Timer(PATIENCE_S, consumer.kill)
        timer.start()
        with consumer, contextlib.ExitStack() as stack:
            stack.callback(timer.cancel)
            for line in consumer.stdout:
                if line.endswith("\n"):
                    yield json.loads(line)
            errors = consumer.stderr.read()
            if consumer.wait() != 0:
                raise Broken(f"kcat cannot read {topic}, exit status {consumer.returncode}: {errors[-500:]}")
