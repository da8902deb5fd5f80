#!/usr/bin/python3
#
# Copyright (C) The Optcache authors
#
# Three hosts, a Redis, a PostgreSQL, and a backend whose answer is the version
# of a row.  Rows are changed in all the ways that invalidate; everything
# breaks that can break; and nobody may be given an older version than the last
# one that was committed, 100 ms later, or once the host is back.
#
#   invalidation.py --build DIR --nginx BINARY [--seconds N] [--slack MS]
#                   [--seed N]
#
# Ways: a watched table (an UPDATE, nothing else), POST /purge by tag and by
# URI, the PURGE method, an XADD as any application can do it, an unsafe
# request through a host.

import argparse
import http.client
import http.server
import json
import os
import pwd
import random
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

import psycopg2

HOSTS = 3
ROWS = 40                                   # of each way
WAYS = ('watch', 'tag', 'uri', 'method', 'xadd', 'write')

CONF = '''
daemon off;
master_process on;
worker_processes 2;
error_log error.log info;
pid nginx.pid;
%(modules)s

events {
}

http {
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;

    optcache_zone items:8m;
    optcache_redis_server redis://127.0.0.1:%(redis)d timeout=200ms
                          connect_timeout=200ms;
    optcache_postgres "host=127.0.0.1 port=%(postgres)d user=postgres
                       dbname=postgres";

    server {
        listen 127.0.0.1:%(port)d;

        keepalive_requests 1000000;

        location / {
            optcache items;
            optcache_key $request_uri;
            optcache_purge 1;
            optcache_use_stale updating;
            proxy_pass http://127.0.0.1:%(backend)d;
            proxy_read_timeout 5s;
        }

        location /ops/ {
            optcache_api write=on;
        }
    }
}
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def newest(name):
    found = sorted((d for d in os.listdir('/usr/lib/postgresql')
                    if os.path.exists(f'/usr/lib/postgresql/{d}/bin/{name}')),
                   key=float)
    return f'/usr/lib/postgresql/{found[-1]}/bin/{name}'


# Passes bytes on until it is cut: then it drops what it has and who comes.

class Gate:
    def __init__(self, target):
        self.target = target
        self.port = free_port()
        self.open = True
        self.stalled = threading.Event()
        self.stalled.set()
        self.pairs = set()
        self.lock = threading.Lock()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(('127.0.0.1', self.port))
        self.sock.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.sock.accept()
            if not self.open:
                client.close()
                continue
            try:
                server = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.add((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.pump,
                                 args=(a, b, (client, server)),
                                 daemon=True).start()

    def pump(self, a, b, pair):
        try:
            while True:
                data = a.recv(65536)
                self.stalled.wait()
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        self.end(pair)

    def end(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def cut(self):
        self.open = False
        for pair in list(self.pairs):
            self.end(pair)

    def mend(self):
        self.open = True

    def stall(self):
        self.stalled.clear()

    def go_on(self):
        self.stalled.set()


class Program:
    def __init__(self, argv, cwd, user=None):
        self.argv, self.cwd = argv, cwd
        self.kwargs = {}
        if user and os.getuid() == 0:
            p = pwd.getpwnam(user)
            self.kwargs = {'user': p.pw_uid, 'group': p.pw_gid,
                           'extra_groups': []}
        self.start()

    def start(self):
        log = open(f'{self.cwd}/program.log', 'ab')
        self.process = subprocess.Popen(self.argv, cwd=self.cwd, stdout=log,
                                        stderr=log, **self.kwargs)

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Backend(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


class World:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.dir = tempfile.mkdtemp(prefix='optcache-model-')
        os.chmod(self.dir, 0o755)
        self.lock = threading.Lock()
        self.stop = threading.Event()

        # what must be seen: versions by row, with the time they were
        # committed and invalidated; who was told of it first
        self.known = {}
        self.healthy = [None] * HOSTS       # since when; None: it is not
        self.violations = []
        self.counts = {}

    def count(self, name, n=1):
        with self.lock:
            self.counts[name] = self.counts.get(name, 0) + n

    # programs

    def start(self):
        self.redis_port, self.pg_port = free_port(), free_port()
        os.mkdir(f'{self.dir}/redis')
        self.redis = Program(['redis-server', '--bind', '127.0.0.1', '--port',
                              str(self.redis_port), '--save', '',
                              '--appendonly', 'no'], f'{self.dir}/redis')
        self.start_postgres()
        self.start_backend()

        modules = ''
        if not self.options.static:
            modules = (f'load_module {self.options.build}'
                       '/ngx_http_optcache_module.so;')

        self.gates = []
        self.nginx = []
        self.ports = []

        for i in range(HOSTS):
            gates = (Gate(self.redis_port), Gate(self.pg_port))
            port = free_port()
            home = f'{self.dir}/host{i}'
            os.mkdir(home)
            os.mkdir(f'{home}/logs')
            with open(f'{home}/nginx.conf', 'w') as f:
                f.write(CONF % {'modules': modules, 'redis': gates[0].port,
                                'postgres': gates[1].port, 'port': port,
                                'backend': self.backend_port})
            self.gates.append(gates)
            self.ports.append(port)
            self.nginx.append(Program(
                [self.options.nginx, '-p', f'{home}/', '-c', 'nginx.conf',
                 '-e', 'error.log'], home))

        for i in range(HOSTS):
            self.wait_healthy(i, 30)

    def start_postgres(self):
        home = f'{self.dir}/postgres'
        os.mkdir(home)
        if os.getuid() == 0:
            p = pwd.getpwnam('postgres')
            os.chown(home, p.pw_uid, p.pw_gid)
        Program([newest('initdb'), '-D', f'{home}/data', '-U', 'postgres',
                 '--auth', 'trust', '--locale', 'C', '--encoding', 'UTF8',
                 '--no-sync'], home, 'postgres').process.wait()
        self.postgres = Program(
            [newest('postgres'), '-D', f'{home}/data', '-p',
             str(self.pg_port), '-k', home,
             '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off',
             '-c', 'max_connections=100'], home, 'postgres')
        sql = open(f'{self.options.source}/docs/optcache.sql').read()
        with self.connect() as db, db.cursor() as c:
            c.execute(sql)
            c.execute('CREATE TABLE items (way text, id int, version int,'
                      ' PRIMARY KEY (way, id))')
            c.execute("CREATE TABLE watched (id int PRIMARY KEY,"
                      " version int)")
            c.execute("SELECT optcache.watch('public.watched',"
                      " tag => 'watched:{id}')")
            for i in range(ROWS):
                c.execute('INSERT INTO watched VALUES (%s, 1)', (i,))
                for way in WAYS:
                    c.execute('INSERT INTO items VALUES (%s, %s, 1)', (way, i))

    def connect(self):
        until = time.monotonic() + 30
        while True:
            try:
                return psycopg2.connect(host='127.0.0.1', port=self.pg_port,
                                        user='postgres', dbname='postgres',
                                        connect_timeout=5)
            except psycopg2.Error:
                if time.monotonic() > until or self.stop.is_set():
                    raise
                time.sleep(0.05)

    def start_backend(self):
        world = self
        local = threading.local()

        def version(way, i, more):
            for attempt in (1, 2):
                try:
                    if getattr(local, 'db', None) is None:
                        local.db = world.connect()
                        local.db.autocommit = True
                    with local.db.cursor() as c:
                        if way == 'watch':
                            c.execute('UPDATE watched SET version = version'
                                      ' + %s WHERE id = %s RETURNING version'
                                      if more else
                                      'SELECT version FROM watched WHERE'
                                      ' 0 = %s AND id = %s', (more, i))
                        else:
                            c.execute('UPDATE items SET version = version'
                                      ' + %s WHERE way = %s AND id = %s'
                                      ' RETURNING version' if more else
                                      'SELECT version FROM items WHERE'
                                      ' 0 = %s AND way = %s AND id = %s',
                                      (more, way, i))
                        return c.fetchone()[0]
                except psycopg2.Error:
                    local.db = None
                    if attempt == 2:
                        raise

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def answer(self, more):
                _, way, i = self.path.split('/')
                try:
                    v = version(way, int(i), more)
                except Exception:
                    self.send_error(503)
                    return
                # what was read is on its way for a while
                if not more and random.random() < 0.3:
                    time.sleep(random.random() * 0.05)
                body = f'{way} {i} {v}'.encode()
                self.send_response(200)
                self.send_header('Content-Length', str(len(body)))
                self.send_header('Cache-Control', 'max-age=600')
                name = 'watched' if way == 'watch' else way
                self.send_header('Surrogate-Key', f'{name}:{i}')
                try:
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            def do_GET(self):
                self.answer(0)

            def do_POST(self):
                self.answer(1)

            def log_message(self, *args):
                pass

        backend = Backend(('127.0.0.1', 0), Handler)
        self.backend_port = backend.server_address[1]
        threading.Thread(target=backend.serve_forever, daemon=True).start()

    # requests

    def http(self, host, method, path, body=None, timeout=6, conn=None):
        c = conn or http.client.HTTPConnection('127.0.0.1', self.ports[host],
                                               timeout=timeout)
        try:
            c.request(method, path, body,
                      {'Content-Type': 'application/json'} if body else {})
            r = c.getresponse()
            return r.status, r.read(), r
        finally:
            if conn is None:
                c.close()

    def status(self, host):
        try:
            s, body, _ = self.http(host, 'GET', '/ops/status', timeout=1)
            return json.loads(body) if s == 200 else None
        except (OSError, ValueError, http.client.HTTPException):
            return None

    # a host that says so is in touch with both, and has told what it had to

    def is_healthy(self, host):
        s = self.status(host)
        if s is None:
            return False
        i = s['invalidation']
        return (i['stream']['state'] == 'up' and i['pending'] == 0
                and s['postgres']['state'] == 'listening')

    def wait_healthy(self, host, seconds):
        until = time.monotonic() + seconds
        while not self.is_healthy(host):
            if time.monotonic() > until:
                raise Exception(f'host {host} does not come back: '
                                f'{self.status(host)}')
            time.sleep(0.02)
        now = time.monotonic()
        with self.lock:
            self.healthy[host] = now
            # what it could not tell it has told
            for row in self.known.values():
                for v in row:
                    if v['via'] == host and not v['told']:
                        v['told'] = True
                        v['time'] = now

    def ill(self, hosts):
        with self.lock:
            for h in hosts:
                self.healthy[h] = None
                # what it has just said may not have got through
                for row in self.known.values():
                    for v in row[-2:]:
                        if (v['via'] == h and v['told']
                                and time.monotonic() - v['time'] < 0.3):
                            v['told'] = False

    def invalidated(self, way, i, version, via, told=True):
        with self.lock:
            row = self.known.setdefault((way, i), [])
            row.append({'version': version, 'time': time.monotonic(),
                        'via': via, 'told': told})
            del row[:-8]

    # the least version that a host must give at "now"

    def least(self, way, i, host, now):
        slack = self.options.slack / 1000
        since = self.healthy[host]
        least = 0, None
        for v in self.known.get((way, i), []):
            if v['via'] == host and way in ('tag', 'uri', 'method', 'write'):
                # in force here when it was answered
                due = v['time'] if v['told'] else None
            else:
                due = v['time'] + slack if v['told'] else None
            if due is None or since is None:
                continue
            if now >= due and now >= since + slack and v['version'] > least[0]:
                least = v['version'], v
        return least

    def reader(self, seed):
        rnd = random.Random(seed)
        conns = {}
        while not self.stop.is_set():
            host = rnd.randrange(HOSTS)
            way = rnd.choice(WAYS)
            i = min(int(rnd.expovariate(0.1)), ROWS - 1)
            with self.lock:
                now = time.monotonic()
                since = self.healthy[host]
                least, event = self.least(way, i, host, now)
            try:
                if host not in conns:
                    conns[host] = http.client.HTTPConnection(
                        '127.0.0.1', self.ports[host], timeout=6)
                s, body, r = self.http(host, 'GET', f'/{way}/{i}',
                                       conn=conns[host])
            except (OSError, http.client.HTTPException):
                conns.pop(host).close()
                self.count('reads failed')
                continue
            if s != 200:
                self.count(f'reads answered {s}')
                continue
            if body.split()[:2] != [way.encode(), str(i).encode()]:
                self.violations.append(f'another row: {way} {i}: {body}')
                continue
            cache = r.getheader('X-Cache', '-')
            self.count(f'reads {cache}')
            v = int(body.split()[2])
            if v < least and self.healthy[host] == since:
                text = (f'host {host} {way} {i}: version {v}, but {least} was '
                        f'there {1000 * (now - event["time"]):.0f} ms ago, '
                        f'via {event["via"]}, X-Cache {cache} at '
                        f'{now - self.begin:.3f}')
                self.violations.append(text)
                print('VIOLATION', text, flush=True)

    def writer(self, seed):
        rnd = random.Random(seed)
        db = None
        while not self.stop.is_set():
            way = rnd.choice(WAYS)
            i = min(int(rnd.expovariate(0.1)), ROWS - 1)
            host = rnd.randrange(HOSTS)
            try:
                if db is None:
                    db = self.connect()
                getattr(self, 'by_' + way)(db, rnd, way, i, host)
                self.count(f'writes by {way}')
            except (psycopg2.Error, OSError, http.client.HTTPException,
                    AssertionError):
                self.count('writes failed')
                try:
                    db and db.close()
                except psycopg2.Error:
                    pass
                db = None
            time.sleep(rnd.random() * 0.05)

    # a writer alone changes a row of a way at a time, so versions grow with
    # time; what fails is not known, and not asked for

    def change(self, db, way, i, table='items'):
        with db.cursor() as c:
            if table == 'watched':
                c.execute('UPDATE watched SET version = version + 1'
                          ' WHERE id = %s RETURNING version', (i,))
            else:
                c.execute('UPDATE items SET version = version + 1 WHERE'
                          ' way = %s AND id = %s RETURNING version', (way, i))
            return c.fetchone()[0]

    def by_watch(self, db, rnd, way, i, host):
        v = self.change(db, way, i, 'watched')
        if rnd.random() < 0.2:
            db.rollback()
            return
        if rnd.random() < 0.1:
            time.sleep(rnd.random() * 0.3)
        db.commit()
        self.invalidated(way, i, v, None)

    def purge(self, db, way, i, host, method, path, body):
        v = self.change(db, way, i)
        db.commit()
        sick = self.healthy[host] is None
        s, answer, _ = self.http(host, method, path, body)
        assert s in (200, 202), f'{method} {path}: {s} {answer}'
        self.invalidated(way, i, v, host,
                         s == 200 and not sick
                         and self.healthy[host] is not None)

    def by_tag(self, db, rnd, way, i, host):
        self.purge(db, way, i, host, 'POST', '/ops/purge',
                   json.dumps({'tag': f'tag:{i}'}))

    def by_uri(self, db, rnd, way, i, host):
        self.purge(db, way, i, host, 'POST', '/ops/purge',
                   json.dumps({'uri': f'/uri/{i}'}))

    def by_method(self, db, rnd, way, i, host):
        self.purge(db, way, i, host, 'PURGE', f'/method/{i}', None)

    def by_xadd(self, db, rnd, way, i, host):
        v = self.change(db, way, i)
        db.commit()
        r = subprocess.run(['redis-cli', '-p',
                            str(self.redis_port), 'XADD', 'oc:invalidate',
                            'MAXLEN', '~', '100000', '*', 'tag', f'xadd:{i}'],
                           capture_output=True, timeout=5)
        assert r.returncode == 0 and b'-' in r.stdout, r
        self.invalidated(way, i, v, None)

    def by_write(self, db, rnd, way, i, host):
        sick = self.healthy[host] is None
        s, body, _ = self.http(host, 'POST', f'/write/{i}', 'x')
        assert s == 200
        self.invalidated(way, i, int(body.split()[2]), host,
                         not sick and self.healthy[host] is not None)

    # what breaks

    def breaker(self):
        rnd = self.random
        every = range(HOSTS)
        while not self.stop.wait(1 + rnd.random() * 3):
            name = rnd.choice(self.options.breaks)
            h = rnd.randrange(HOSTS)
            self.count(f'broken: {name}')
            if self.options.verbose:
                print(f'{time.monotonic() - self.begin:.3f} {name} {h}',
                      flush=True)
            hosts = every
            if name == 'cut redis':
                hosts = [h]
                self.ill(hosts)
                self.gates[h][0].cut()
                time.sleep(rnd.random() * 2)
                self.gates[h][0].mend()
            elif name == 'cut postgres':
                hosts = [h]
                self.ill(hosts)
                self.gates[h][1].cut()
                time.sleep(rnd.random() * 2)
                self.gates[h][1].mend()
            elif name == 'stall redis':
                hosts = [h]
                self.ill(hosts)
                self.gates[h][0].stall()
                time.sleep(rnd.random() * 2)
                self.gates[h][0].go_on()
            elif name == 'stop redis':
                self.ill(hosts)
                self.redis.process.send_signal(signal.SIGSTOP)
                time.sleep(rnd.random() * 2)
                self.redis.process.send_signal(signal.SIGCONT)
            elif name == 'restart redis':
                # with nothing in it
                self.ill(hosts)
                self.redis.stop()
                time.sleep(rnd.random())
                self.redis.start()
            elif name == 'flush redis':
                self.ill(hosts)
                subprocess.run(['redis-cli', '-p', str(self.redis_port),
                                'FLUSHALL'], capture_output=True)
            elif name == 'restart postgres':
                self.ill(hosts)
                self.postgres.stop(rnd.choice([signal.SIGINT,
                                               signal.SIGQUIT]))
                self.postgres.start()
            elif name == 'stop postgres':
                self.ill(hosts)
                self.postgres.process.send_signal(signal.SIGSTOP)
                time.sleep(rnd.random() * 2)
                self.postgres.process.send_signal(signal.SIGCONT)
            elif name == 'kill worker':
                hosts = [h]
                self.ill(hosts)
                master = self.nginx[h].process.pid
                pids = open(f'/proc/{master}/task/{master}/children').read()
                pids = pids.split()
                if pids:
                    os.kill(int(rnd.choice(pids)), signal.SIGKILL)
            elif name == 'reload':
                hosts = [h]
                self.ill(hosts)
                self.nginx[h].process.send_signal(signal.SIGHUP)
                time.sleep(0.3)
            time.sleep(0.3)
            for h in hosts:
                self.wait_healthy(h, 30)

    def run(self):
        self.begin = time.monotonic()
        threads = [threading.Thread(target=self.reader, args=(i,))
                   for i in range(self.options.readers)]
        threads += [threading.Thread(target=self.writer,
                                     args=(1000 + self.options.seed,))]
        for t in threads:
            t.start()
        failed = []

        def breaker():
            try:
                self.breaker()
            except Exception as e:
                failed.append(str(e))
                self.stop.set()

        b = threading.Thread(target=breaker)
        b.start()
        self.stop.wait(self.options.seconds)
        self.stop.set()
        b.join()
        for t in threads:
            t.join()
        self.violations += failed

    def end(self):
        for p in self.nginx + [self.redis]:
            p.stop()
        self.postgres.stop(signal.SIGINT)
        alerts = []
        for i in range(HOSTS):
            for line in open(f'{self.dir}/host{i}/error.log',
                             errors='replace'):
                if ('[alert]' in line and 'exited on signal 9' not in line
                        or '[emerg]' in line or 'AddressSanitizer' in line
                        or 'runtime error' in line):
                    alerts.append(f'host {i}: {line.strip()}')
        for name in sorted(self.counts):
            print(f'{name}: {self.counts[name]}')
        for a in alerts:
            print(a)
        for v in self.violations:
            print('VIOLATION', v)
        print(f'violations: {len(self.violations)}, alerts: {len(alerts)}')
        ok = not self.violations and not alerts
        if ok or not self.options.keep:
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print(f'kept: {self.dir}')
        return 0 if ok else 1


BREAKS = ('cut redis', 'cut postgres', 'stall redis', 'stop redis',
          'restart redis', 'flush redis', 'restart postgres',
          'stop postgres', 'kill worker', 'reload')

parser = argparse.ArgumentParser()
parser.add_argument('--build', required=True)
parser.add_argument('--nginx', default='/usr/sbin/nginx')
parser.add_argument('--source', default=os.path.abspath(
    os.path.dirname(__file__) + '/../..'))
parser.add_argument('--static', action='store_true')
parser.add_argument('--seconds', type=float, default=20)
parser.add_argument('--slack', type=float, default=100)
parser.add_argument('--readers', type=int, default=4)
parser.add_argument('--seed', type=int, default=int(time.time()))
parser.add_argument('--breaks', type=lambda s: s.split(','), default=BREAKS)
parser.add_argument('--keep', action='store_true')
parser.add_argument('--verbose', action='store_true')

world = World(parser.parse_args())
print(f'seed {world.options.seed}')
try:
    world.start()
    world.run()
finally:
    status = world.end()
sys.exit(status)
