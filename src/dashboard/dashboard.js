'use strict';

/*
 * What the server says is put into the page as text, never as markup: see
 * make() and put(), there is no other way in.  Members that are not there,
 * of an older or a newer server, are left out.
 *
 * Rates are differences of counters: each answer is flattened to a Map of
 * numbers by their paths, and those of the last minutes are kept.
 */

const POLL = 1000;              /* ms from one answer to the next question */
const TIMEOUT = 4000;
const SPAN = 300;               /* seconds a chart shows */
const MINUTE = 60;
const HOLD = 3000;              /* ms a reason stays: workers differ */

const KINDS = [
    ['hit', 'hit', ['hit']],
    ['stale', 'stale', ['stale', 'updating']],
    ['revalidated', 'revalidated', ['revalidated']],
    ['expired', 'expired', ['expired']],
    ['miss', 'miss', ['miss']],
    ['bypass', 'bypass', ['bypass']],
];

const LIMITS = [
    ['hit', 'passed'],
    ['stale', 'delayed'],
    ['expired', 'skipped'],
    ['rejected', 'rejected'],
];

const NONE = '\u2013';
const GAP = '\u00a0';

const base = location.origin + location.pathname;
const samples = [];             /* {t, counters}, oldest first */
const points = [];              /* what the charts show: {t, ...} */
const reasons = new Map();      /* text: when it was last given */
const workers = new Map();      /* which Redis and pid: {state, t} */

let status = null;              /* the last answers */
let limits = null;
let timer = null;
let busy = false;
let answered = 0;


/* text */

function $(id) {
    return document.getElementById(id);
}

function make(tag, name, text) {
    const el = document.createElement(tag);

    if (name) {
        el.className = name;
    }

    if (text !== undefined) {
        el.textContent = text;
    }

    return el;
}

function put(el, text, tone) {
    text = String(text);

    if (el.textContent !== text) {
        el.textContent = text;
    }

    if (tone !== undefined && el.className !== tone) {
        el.className = tone;
    }
}

/* children of "parent", one for each item: created once, and then updated */

function each(parent, items, create, update) {
    while (parent.childElementCount > items.length) {
        parent.lastElementChild.remove();
    }

    items.forEach((item, i) => {
        if (i === parent.childElementCount) {
            parent.append(create(item));
        }

        update(parent.children[i], item);
    });
}

/* [[label, value, tone], ...]; those without a value are left out */

function facts(parent, list) {
    each(parent, list.filter((item) => item && item[1] !== null),
        () => {
            const el = make('span', 'fact');
            el.append(make('span'), GAP, make('b'));
            return el;
        },
        (el, [label, value, tone]) => {
            put(el.firstElementChild, label);
            put(el.lastElementChild, value, tone || '');
        });
}

/* [[cell, ...], ...]; a cell is a text or [text, tone] */

function rows(body, list) {
    each(body, list,
        (cells) => {
            const el = make('tr');
            cells.forEach(() => el.append(make('td')));
            return el;
        },
        (el, cells) => cells.forEach((cell, i) => {
            const [text, tone] = [].concat(cell);
            put(el.children[i], text, tone || '');
        }));
}

function number(n) {
    return typeof n === 'number' && isFinite(n) ? n : null;
}

function count(n) {
    return number(n) === null ? null : Math.round(n).toLocaleString('en');
}

function perSecond(n) {
    if (n === null) {
        return NONE;
    }

    if (n === 0 || n >= 100) {
        return count(n);
    }

    return n < .01 ? '<0.01' : n.toFixed(n < 10 ? 2 : 1);
}

function percent(n) {
    if (n === null) {
        return NONE;
    }

    n *= 100;

    return (n > 99.9 && n < 100 ? 99.9 : n).toFixed(n < 99.95 ? 1 : 0) + '%';
}

function bytes(n) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let i = 0;

    if (number(n) === null) {
        return null;
    }

    for (; n >= 1000 && i < 4; i++) {
        n /= 1024;
    }

    return short(n) + GAP + units[i];
}

/* two digits or more, without a fraction that says nothing */

function short(n) {
    return n.toFixed(n < 9.95 ? 1 : 0).replace(/\.0$/, '');
}

function time(s) {
    if (number(s) === null) {
        return null;
    }

    for (const [size, unit] of [[86400, 'd'], [3600, 'h'], [60, 'min']]) {
        if (s >= size) {
            return short(s / size) + GAP + unit;
        }
    }

    return Math.round(s) + GAP + 's';
}

function micro(us) {
    return us >= 1e6 ? time(us / 1e6)
           : us > 0 && us < 1e3 ? (us / 1e3).toFixed(2) + GAP + 'ms'
           : short(us / 1e3) + GAP + 'ms';
}


/* counters */

function sum(map, path, value) {
    if (number(value) !== null) {
        map.set(path, (map.get(path) || 0) + value);

    } else if (value && typeof value === 'object') {
        for (const [name, member] of Object.entries(value)) {
            sum(map, path + '/' + name, member);
        }
    }
}

function counters() {
    const map = new Map();

    for (const zone of list(status.zones)) {
        sum(map, 'all', zone);
        sum(map, 'zone/' + zone.name, zone);
    }

    sum(map, 'redis', (status.redis || {}).host);

    if (limits) {
        for (const zone of list(limits.zones)) {
            sum(map, 'limits', zone.totals);
            sum(map, 'limit/' + zone.name, zone);
        }

        sum(map, 'tokens', limits.tokens);
        sum(map, 'limits-redis', (limits.redis || {}).host);
    }

    return map;
}

function list(value) {
    return Array.isArray(value) ? value : [];
}

function last() {
    return samples[samples.length - 1];
}

/* the sample from which on rates over so many seconds are */

function since(seconds) {
    const from = last().t - seconds * 1000 - POLL / 2;

    return samples.find((sample) => sample.t >= from);
}

/* how much a counter has grown; null if that is not known */

function grown(path, first) {
    const now = last().counters.get(path);

    if (first === last() || now === undefined) {
        return null;
    }

    const n = now - (first.counters.get(path) || 0);

    return n < 0 ? null : n;
}

function rate(path, seconds) {
    const first = since(seconds || MINUTE);
    const n = grown(path, first);

    return n === null ? null : n * 1000 / (last().t - first.t);
}

function total(path) {
    const n = last().counters.get(path);

    return n === undefined ? null : n;
}

function grownAll(paths, first) {
    return paths.reduce((n, path) => n + (grown(path, first) || 0), 0);
}

/* what was answered from the cache, of what looked into it; or null */

function ratio(prefix, seconds) {
    const first = since(seconds);
    const part = (names) => grownAll(
        names.map((name) => prefix + '/requests/' + name), first);
    const good = part(['hit', 'stale', 'updating', 'revalidated']);
    const all = good + part(['miss', 'expired']);

    return all > 0 ? good / all : null;
}

/* nginx was started again, or nobody looked for a while */

function broken(before, now) {
    if (now.t - before.t > 10 * POLL) {
        return true;
    }

    return ['all/requests/hit', 'all/requests/miss', 'limits/passed'].some(
        (path) => now.counters.get(path) < before.counters.get(path));
}

function remember() {
    const now = {t: performance.now(), counters: counters()};

    /* no rate is known of answers that came at once */

    if (samples.length && now.t - last().t < POLL / 4) {
        return;
    }

    if (samples.length && broken(last(), now)) {
        points.push({t: now.t});
        samples.length = 0;
    }

    samples.push(now);

    while (now.t - samples[0].t > (MINUTE + 5) * 1000) {
        samples.shift();
    }

    while (points.length && now.t - points[0].t > SPAN * 1000) {
        points.shift();
    }

    if (samples.length < 2) {
        return;
    }

    const first = samples[samples.length - 2];
    const pace = (paths) => grownAll(paths, first) * 1000 / (now.t - first.t);

    points.push({
        t: now.t,
        requests: KINDS.map(([, , names]) =>
            pace(names.map((name) => 'all/requests/' + name))),
        limited: LIMITS.map(([, name]) => name === 'passed'
            ? Math.max(0, pace(['limits/passed']) - pace(['limits/delayed']))
            : pace(['limits/' + name])),
        ratio: ratio('all', 10),
    });
}


/* a quantile of what a histogram has counted in the last minute */

function quantile(prefix, le, q) {
    const counts = histogram(prefix, le);
    const all = counts.reduce((n, m) => n + m, 0);
    let below = 0;

    if (!all) {
        return null;
    }

    for (let i = 0; i < le.length; i++) {
        if (below + counts[i] >= q * all) {
            const from = i ? le[i - 1] : 0;
            return from + (le[i] - from) * (q * all - below) / counts[i];
        }

        below += counts[i];
    }

    return Infinity;
}

function histogram(prefix, le) {
    const first = since(MINUTE);

    return le.concat(0).map((_, i) =>
        grown(prefix + '/latency/counts/' + i, first) || 0);
}

function quantileText(prefix, le, q) {
    const us = quantile(prefix, le, q);

    return us === null ? NONE
           : us === Infinity ? '>' + GAP + micro(le[le.length - 1])
           : micro(us);
}

function bounds(redis) {
    const latency = ((redis || {}).host || {}).latency || {};

    return list(latency.le).map(Number);
}
