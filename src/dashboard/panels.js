

/* what is shown of an answer */

const charts = [
    chart($('requests'), 'requests', KINDS, perSecond),
    chart($('ratio'), 'ratio', [['ratio', 'hit ratio']], percent, 1),
    chart($('limited'), 'limited', LIMITS, perSecond),
];

function show() {
    const counted = total('all/requests/hit') !== null;

    $('requests').parentNode.hidden = $('ratio').parentNode.hidden = !counted;

    showHead();
    showFigures();
    charts.forEach((draw) => draw());
    showZones();
    showReasons('misses', [['all/misses/', ''], ['all/bypasses/', 'bypass: ']]);
    showReasons('refused', [['all/refused/', ''],
                            ['all/l2/refused/', 'from Redis: ']]);
    showReasons('tokens', [['tokens/', '']]);
    showLimits();
    showRedis($('redis'), status.redis, 'redis');
    showRedis($('limits-redis'), (limits || {}).redis, 'limits-redis');
    showStream();
    showPostgres();
    showActions();
}

function showHead() {
    const now = performance.now();

    for (const [text, t] of reasons) {
        if (now - t > HOLD) {
            reasons.delete(text);
        }
    }

    const bad = reasons.size > 0;

    put($('host'), location.host);
    put($('versions'), [status.version, status.nginx && 'nginx '
                        + status.nginx].filter(Boolean).join(', '));
    put($('health'), bad ? 'degraded' : 'healthy',
        'state ' + (bad ? 'bad' : 'good'));
    $('reasons').hidden = !bad;
    each($('reasons'), [...reasons.keys()], () => make('li'), put2);
    document.title = (bad ? 'degraded: ' : '') + 'Optcache ' + location.host;
}

function put2(el, text) {
    put(el, text);
}

function showFigures() {
    const zones = list(status.zones);
    const used = zones.reduce((n, zone) => n + (number(zone.used) || 0), 0);
    const size = zones.reduce((n, zone) => n + (number(zone.size) || 0), 0);
    const asked = KINDS.flatMap(([, , names]) => names)
        .map((name) => rate('all/requests/' + name, 10))
        .filter((n) => n !== null);
    const le = bounds(status.redis);

    each($('figures'), [
        ['hit ratio, 1 min', percent(ratio('all', MINUTE))],
        ['requests a second', perSecond(asked.length
            ? asked.reduce((a, b) => a + b) : null)],
        limits && ['refused a second', perSecond(rate('limits/rejected', 10)),
                   rate('limits/rejected', 10) > 0 ? 'warn' : ''],
        ['entries', count(total('all/entries')) || NONE],
        ['memory used', size ? percent(used / size) : NONE],
        status.redis && ['Redis, 99% below', quantileText('redis', le, .99)],
    ].filter(Boolean),
        () => {
            const el = make('div');
            el.append(make('dt'), make('dd'));
            return el;
        },
        (el, [label, value, tone]) => {
            put(el.firstChild, label);
            put(el.lastChild, value, tone || '');
        });
}

function item(parts) {
    const el = make('div', 'item');

    el.append(...parts);

    return el;
}

function showZones() {
    each($('zones'), list(status.zones),
        () => {
            const bar = make('div', 'bar');
            bar.append(make('div'));
            return item([make('div', 'name'), bar, make('div', 'facts')]);
        },
        (el, zone) => {
            const [name, bar, rest] = el.children;
            const path = 'zone/' + zone.name;
            const part = zone.size ? zone.used / zone.size : 0;

            put(name, zone.name);
            bar.firstChild.style.width = Math.min(100, 100 * part) + '%';
            facts(rest, [
                ['used', bytes(zone.used) + ' of ' + bytes(zone.size)],
                ['free', bytes(zone.free)],
                ['entries', count(zone.entries)],
                ['evicted', count(zone.evicted) === null ? null
                    : grew(zone.evicted, rate(path + '/evicted'))],
                ['oldest', time(zone.oldest)],
                ['hit ratio', zone.requests
                    ? percent(ratio(path, MINUTE)) : null],
                ['from Redis', fromRedis(path)],
                ['waited for another', count(zone.coalesced)],
                zone.attached === false
                    && ['attached', 'not to this worker', 'bad'],
            ]);
        });
}

/* hits whose response another host, or this one before, has left there */

function fromRedis(path) {
    const kinds = ['fresh', 'stale', 'updating', 'revalidated']
        .map((name) => path + '/hits/l2/' + name)
        .filter((name) => total(name) !== null);

    return kinds.length ? grew(
        kinds.reduce((n, name) => n + total(name), 0),
        kinds.reduce((n, name) => n + rate(name), 0)) : null;
}

function grew(n, perS) {
    return count(n) + (perS ? ', ' + perSecond(perS) + ' a second' : '');
}

/* counters below each prefix that have counted, the greatest first */

function showReasons(id, prefixes) {
    const found = [];
    let any = false;

    for (const [prefix, label] of prefixes) {
        for (const [path, n] of last().counters) {
            if (path.startsWith(prefix)) {
                any = true;

                if (n > 0) {
                    found.push([label + path.slice(prefix.length)
                                            .replaceAll('_', ' '),
                                n, rate(path)]);
                }
            }
        }
    }

    found.sort((a, b) => b[1] - a[1]);

    $(id + '-box').hidden = !any;
    rows($(id), found.length
         ? found.map(([name, n, perS]) => [name, perSecond(perS), count(n)])
         : [['none so far', '', '']]);
}

function showLimits() {
    $('limits').hidden = $('limits-chart').hidden = !limits;

    each($('limiters'), list((limits || {}).zones),
        () => item([make('div', 'name'), make('div', 'facts'),
                    make('div', 'facts')]),
        (el, zone) => {
            const [name, counts, more] = el.children;
            const path = 'limit/' + zone.name;
            const totals = zone.totals || {};
            const subjects = zone.subjects || {};
            const rejected = rate(path + '/totals/rejected');

            put(name, zone.name + (zone.key ? ' by ' + zone.key : ''));
            facts(counts, [
                ['refused', grew(totals.rejected, rejected),
                 rejected ? 'warn' : ''],
                ...list(zone.rates).map((r, i) =>
                    number(r.rejected) === null ? ['rate', rateText(r)]
                    : ['by ' + rateText(r),
                       grew(r.rejected, rate(path + '/rates/' + i
                                             + '/rejected'))]),
            ]);
            facts(more, [
                ['passed', grew(totals.passed, rate(path + '/totals/passed'))],
                ['delayed', count(totals.delayed)],
                totals.dry_run && ['dry run', count(totals.dry_run)],
                totals.local && ['decided here', count(totals.local), 'warn'],
                totals.skipped && ['not decided', count(totals.skipped),
                                   'warn'],
                ['subjects', count(subjects.used) === null ? null
                    : count(subjects.used) + ' of '
                      + count(subjects.capacity)],
                subjects.evicted && ['left early', count(subjects.evicted)],
            ]);
        });
}

function rateText(r) {
    return number(r.limit) === null ? String(r.value)
           : count(r.limit) + ' in ' + time(r.period);
}

/* what the workers that answered of late have said, the worst first */

function stateOf(redis, id) {
    const now = performance.now();
    const pid = (redis.worker || {}).pid;

    workers.set(id + '/' + pid, {state: redis.state, t: now});

    const states = [...workers].filter(([key, worker]) =>
        key.startsWith(id + '/') && now - worker.t < 10000)
        .map(([, worker]) => worker.state);
    const down = states.filter((state) => state === 'down').length;

    return down === 0 || states.length === 1 ? redis.state
           : 'down in ' + down + ' of ' + states.length + ' workers';
}

function showRedis(el, redis, id) {
    if (el.parentNode.id) {
        el.parentNode.hidden = !redis;
    }

    if (!el.firstChild) {
        el.append(make('div', 'facts'), make('div', 'facts'),
                  make('div', 'latency'), make('div', 'ends'));
    }

    const [first, second, bars, ends] = el.children;

    if (!redis) {
        facts(first, [['state', 'none: this host is on its own']]);
        bars.hidden = ends.hidden = true;
        return;
    }

    const state = stateOf(redis, id);
    const host = redis.host || {};
    const le = bounds(redis);
    const bad = (name) => host[name] ? [name, grew(host[name],
        rate(id + '/' + name)), rate(id + '/' + name) ? 'bad' : ''] : null;

    facts(first, [
        ['state', state, state === 'up' ? 'good'
                  : state.startsWith('down') ? 'bad' : ''],
        ['breaker', redis.breaker || null,
         redis.breaker === 'closed' ? '' : 'bad'],
        ['at', list(redis.servers).join(' ') || null],
        ['hosts', count(redis.hosts)],
        ['heard', redis.heard === undefined ? null
                  : redis.heard === null ? 'never' : time(redis.heard)
                    + ' ago'],
    ]);
    facts(second, [
        ['commands a second', host.commands === undefined ? null
            : perSecond(rate(id + '/commands', 10))],
        bad('rejected'), bad('errors'), bad('timeouts'), bad('closed'),
        ['connects', count(host.connects)],
        ['outages', count(host.outages),
         rate(id + '/outages') ? 'warn' : ''],
        ...le.length ? [.5, .95, .99].map((q) =>
            [100 * q + '% below', quantileText(id, le, q)]) : [],
    ]);

    showLatency(bars, ends, le, histogram(id, le));
}

function showLatency(bars, ends, le, counts) {
    const most = Math.max(1, ...counts);

    bars.hidden = ends.hidden = !le.length;

    if (!le.length) {
        return;
    }

    each(bars, counts, () => make('div'), (el, n) => {
        el.style.height = (n ? Math.max(4, 100 * n / most) : 0) + '%';
    });
    bars.title = counts.map((n, i) => (i < le.length ? 'up to '
        + micro(le[i]) : 'above') + ': ' + count(n)).join('\n');

    each(ends, ['0', 'latency, last minute',
                '>' + GAP + micro(le[le.length - 1])],
         () => make('span'), put2);
}

function showStream() {
    const known = status.invalidation;
    const stream = (known || {}).stream;
    const el = $('stream');

    if (!el.firstChild) {
        el.append(make('div', 'facts'));
    }

    facts(el.firstChild, !known ? [['known', 'none']] : [
        stream && ['other hosts', stream.state === 'up' ? 'heard of'
                   : stream.state, stream.state === 'up' ? 'good' : 'bad'],
        stream && ['sign of life', milli(stream.heard)],
        known.leases && ['waiting for other hosts', known.leases === 'up'
                         ? 'works' : known.leases,
                         known.leases === 'up' ? 'good' : 'bad'],
        ['events', count(known.events)],
        ['not in Redis yet', count(known.pending),
         known.pending ? 'warn' : ''],
        stream && ['gaps', count(stream.gaps), stream.gaps ? 'warn' : ''],
        stream && ['not understood', count(stream.failed),
                   stream.failed ? 'warn' : ''],
        stream && ['position', stream.position || null],
    ]);
}

function milli(ms) {
    return number(ms) === null ? 'never' : micro(ms * 1000) + ' ago';
}

function showPostgres() {
    const el = $('postgres');
    const caches = status.postgres;
    const tokens = (limits || {}).postgres;

    $('postgres-box').hidden = !caches && !tokens;

    if (!el.firstChild) {
        el.append(item([make('div', 'name', 'invalidations'),
                        make('div', 'facts')]),
                  item([make('div', 'name', 'revocations'),
                        make('div', 'facts')]));
    }

    el.firstChild.hidden = !caches;
    el.lastChild.hidden = !tokens;

    facts(el.firstChild.lastChild, !caches ? [] : [
        ['state', caches.state, caches.state === 'down' ? 'bad' : 'good'],
        ['read', milli(caches.heard)],
        ['lag', number(caches.lag) === null ? null : micro(caches.lag * 1000)],
        ['told', count(caches.told)],
        ['lost', count(caches.lost), caches.lost ? 'warn' : ''],
        ['not understood', count(caches.odd), caches.odd ? 'warn' : ''],
        caches.deaf && ['notifications', 'do not come', 'warn'],
        caches.pooled && ['pooler', 'in between', 'warn'],
    ]);

    facts(el.lastChild.lastChild, !tokens ? [] : [
        ['Redis has all', tokens.believed ? 'yes' : 'not known',
         tokens.believed ? 'good' : 'warn'],
        ['read', number(tokens.heard) === null ? 'never'
                 : time(tokens.heard) + ' ago'],
        ['waiting', count(tokens.waiting), tokens.waiting ? 'warn' : ''],
        ['written', count(tokens.written)],
        ['ignored', count(tokens.ignored)],
        ['fills', count(tokens.fills)],
    ]);
}
