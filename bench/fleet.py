#!/usr/bin/python3
#
# Copyright (C) The Optcache authors
#
# What an invalidation costs, how long it takes until all hosts know, and what
# clients notice of a Redis that is stopped.
#
#   fleet.py --build DIR --nginx BINARY [--entries N] [--rounds N]

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

CONF = '''
load_module %(build)s/ngx_http_optcache_module.so;
daemon off;
worker_processes %(workers)d;
worker_rlimit_nofile 4096;
error_log error.log notice;
pid nginx.pid;

events {
    worker_connections 2048;
}

http {
    access_log off;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    optcache_zone items:%(size)s;
    optcache_headers x;
    %(redis)s

    upstream origin {
        server unix:%(dir)s/origin.sock;
        keepalive 64;
    }

    server {
        listen 127.0.0.1:%(port)d;
        keepalive_requests 1000000000;

        location /ops/ {
            optcache_api write=on;
        }

        location / {
            optcache items;
            optcache_lock off;
            optcache_gzip off;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://origin;
        }
    }

    server {
        listen unix:%(dir)s/origin.sock;
        keepalive_requests 1000000000;

        location / {
            add_header Cache-Control max-age=86400;
            add_header Surrogate-Key $arg_tag;
            return 200 "$request_id";
        }
    }
}
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Host:
    def __init__(self, options, home, redis=None, size='32m', workers=2):
        os.mkdir(home)
        os.mkdir(f'{home}/logs')
        self.port = free_port()
        with open(f'{home}/nginx.conf', 'w') as f:
            f.write(CONF % {
                'build': os.path.abspath(options.build), 'workers': workers,
                'size': size, 'dir': home, 'port': self.port,
                'redis': f'optcache_redis_server redis://127.0.0.1:{redis};'
                         if redis else ''})
        self.process = subprocess.Popen(
            [options.nginx, '-p', f'{home}/', '-c', 'nginx.conf',
             '-e', 'error.log'], cwd=home)
        self.connection = None
        for _ in range(100):
            try:
                self.request('GET', '/ops/status')
                break
            except OSError:
                self.connection = None
                time.sleep(0.05)

    def request(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection('127.0.0.1',
                                                         self.port)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP,
                                            socket.TCP_NODELAY, 1)
        head = {'Content-Type': 'application/json'} if body else {}
        self.connection.request(method, path, body, head)
        r = self.connection.getresponse()
        return r.status, r.read(), r.getheader('X-Cache')

    def status(self):
        return json.loads(self.request('GET', '/ops/status')[1])

    def workers(self):
        pid = self.process.pid
        return open(f'/proc/{pid}/task/{pid}/children').read().split()

    def cpu(self):
        n = 0
        for pid in self.workers():
            n += int(open(f'/proc/{pid}/schedstat').read().split()[0])
        return n / 1000

    def purge(self, what):
        cpu, begin = self.cpu(), time.perf_counter()
        status, body, _ = self.request('POST', '/ops/purge', json.dumps(what))
        assert status == 200, body
        return (time.perf_counter() - begin) * 1e6, self.cpu() - cpu

    def stop(self):
        self.process.terminate()
        self.process.wait()


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


# From the answer to a purge until each of three hosts gives something newer.

def effect(options, home):
    port = free_port()
    redis = subprocess.Popen(['redis-server', '--bind', '127.0.0.1', '--port',
                              str(port), '--save', '', '--dir', home],
                             stdout=subprocess.DEVNULL)
    hosts = []
    times = []
    try:
        hosts = [Host(options, f'{home}/host{i}', port) for i in range(3)]
        until = time.time() + 20
        while any(h.status()['invalidation']['stream']['state'] != 'up'
                  for h in hosts):
            assert time.time() < until
            time.sleep(0.1)
        for n in range(options.rounds):
            uri = f'/{n}?tag=t{n}'
            # all have the same, of the first who has asked
            old = hosts[0].request('GET', uri)[1]
            for h in hosts[1:]:
                for _ in range(100):
                    if h.request('GET', uri)[2] == 'HIT':
                        break
            old = [h.request('GET', uri)[1] for h in hosts]
            via = n % 3
            hosts[via].purge({'tag': f't{n}'})
            begin = time.perf_counter()
            left = set(range(3))
            while left:
                for i in list(left):
                    if hosts[i].request('GET', uri)[1] != old[i]:
                        times.append((time.perf_counter() - begin) * 1000)
                        left.discard(i)
    finally:
        for h in hosts:
            h.stop()
        redis.terminate()
        redis.wait()
    print(f'purge to effect on 3 hosts, {options.rounds} purges, ms from the '
          f'answer: p50 {percentile(times, 50):.2f}, p99 '
          f'{percentile(times, 99):.2f}, worst {max(times):.2f}')


# One tag of ten entries, and of a million.

def cost(options, home):
    size = max(64, options.entries * 640 >> 20)
    host = Host(options, f'{home}/big', size=f'{size}m', workers=1)
    script = f'{home}/fill.lua'
    with open(script, 'w') as f:
        f.write('''
local n = 0

function request()
    n = n + 1
    return "GET /?n=" .. n .. "&tag=many HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
end
''')
    try:
        for n in range(10):
            host.request('GET', f'/?n={n}&tag=few')
        while True:
            entries = host.status()['zones'][0]['entries']
            if entries >= options.entries:
                break
            left = options.entries - entries
            fill = f'{home}/fill-{entries}.lua'
            with open(fill, 'w') as f:
                f.write(open(script).read().replace('n = 0', f'n = {entries}'))
            subprocess.run(['wrk', '-t1', '-c32', f'-d{max(1, left // 25000)}s',
                            '-s', fill, f'http://127.0.0.1:{host.port}/'],
                           stdout=subprocess.DEVNULL, check=True)
        zone = host.status()['zones'][0]
        few, many = [], []
        for _ in range(200):
            few.append(host.purge({'tag': 'few'}))
            many.append(host.purge({'tag': 'many'}))
        for name, n, rows in (('few', 10, few), ('many', entries, many)):
            print(f'a tag of {n:9,} entries purged: '
                  f'{percentile([r[0] for r in rows], 50):7.0f} us, '
                  f'{percentile([r[1] for r in rows], 50):7.0f} us of CPU')
        status, _, cache = host.request('GET', '/?n=1&tag=few')
        assert cache != 'HIT', cache
        status, _, cache = host.request('GET', f'/?n={entries // 2}&tag=many')
        assert cache != 'HIT', cache
        after = host.status()['zones'][0]
        print(f'the zone had {zone["entries"]:,} entries in '
              f'{zone["used"] >> 20} MB; what was invalidated has 2 MB, however '
              'many tags there are')
    finally:
        host.stop()


# Some 2,000 requests a second, each tenth of them for something new, while
# Redis is stopped for ten seconds; and the same while it is not.

def outage(options, home):
    port = free_port()
    redis = subprocess.Popen(['redis-server', '--bind', '127.0.0.1', '--port',
                              str(port), '--save', '', '--dir', home],
                             stdout=subprocess.DEVNULL)
    script = f'{home}/steady.lua'
    with open(script, 'w') as f:
        f.write('''
local n, start = 0, os.time()

function delay()
    return 20
end

function request()
    n = n + 1
    if n % 10 == 0 then
        return wrk.format("GET", "/new?n=" .. start .. "-" .. n)
    end
    return wrk.format("GET", "/old?n=" .. n % 100)
end

function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("RESULT %d %d %.2f %.2f %.2f %.2f\\n",
             summary.requests / (summary.duration / 1e6),
             e.status + e.connect + e.read + e.write + e.timeout,
             latency:percentile(50) / 1000, latency:percentile(99) / 1000,
             latency:percentile(99.9) / 1000, latency.max / 1000))
end
''')
    host = None
    try:
        host = Host(options, f'{home}/steady', port)
        for name, stop in (('there', False), ('stopped', True)):
            wrk = subprocess.Popen(['wrk', '-t1', '-c42', '-d14s', '-s',
                                    script, f'http://127.0.0.1:{host.port}/'],
                                   stdout=subprocess.PIPE, text=True)
            time.sleep(2)
            if stop:
                redis.send_signal(signal.SIGSTOP)
                time.sleep(10)
                redis.send_signal(signal.SIGCONT)
            out = wrk.communicate()[0]
            row = [line.split()[1:] for line in out.splitlines()
                   if line.startswith('RESULT')][0]
            print('Redis %-8s %s requests a second, %s failed, ms: p50 %s, '
                  'p99 %s, p99.9 %s, worst %s' % ((name + ':',) + tuple(row)))
    finally:
        if host:
            host.stop()
        redis.send_signal(signal.SIGCONT)
        redis.terminate()
        redis.wait()


parser = argparse.ArgumentParser()
parser.add_argument('--build', required=True)
parser.add_argument('--nginx', default='/usr/sbin/nginx')
parser.add_argument('--entries', type=int, default=1000000)
parser.add_argument('--rounds', type=int, default=500)
options = parser.parse_args()

home = tempfile.mkdtemp(prefix='optcache-purge-')
os.chmod(home, 0o755)
if os.getuid() == 0:
    shutil.chown(home, 'www-data')
try:
    effect(options, home)
    outage(options, home)
    cost(options, home)
finally:
    shutil.rmtree(home, ignore_errors=True)
