

/* what changes something: there only where the API lets write */

const DOCUMENT = {'Content-Type': 'application/json'};

let zoneNames = '';

function showActions() {
    if (status.write !== true) {
        document.querySelectorAll('#purge-box, #subject-box')
            .forEach((el) => el.remove());
        zoneNames = '';
    }

    if (status.write === true && !$('purge-box')) {
        document.querySelector('main').append(
            $('actions').content.cloneNode(true));
        startPurge();
    }

    if (status.write === true && limits && !$('subject-box')) {
        document.querySelector('main').append(
            $('look-up').content.cloneNode(true));
        startSubject();
    }

    const names = JSON.stringify(list((limits || {}).zones)
                                 .map((zone) => String(zone.name)));

    if ($('subject-box') && names !== zoneNames) {
        zoneNames = names;
        $('subject').elements.zone.replaceChildren(
            ...JSON.parse(names).map((name) => new Option(name, name)));
    }
}

/* {code, body}; the body is null if it is not a document */

async function ask(path, options) {
    const answer = await fetch(new URL(path, base), Object.assign(
        {cache: 'no-store', redirect: 'error',
         signal: AbortSignal.timeout(TIMEOUT)}, options));
    const body = await answer.json().catch(() => null);

    return {code: answer.status,
            body: body && typeof body === 'object' ? body : null};
}

function problem(answer) {
    const body = answer.body || {};

    return answer.code + ' ' + [body.title, body.detail].filter(Boolean)
                               .join(': ');
}

function startPurge() {
    const form = $('purge');
    const {kind, value, host, user, soft} = form.elements;
    const button = form.querySelector('button');
    let sure = false;

    function change() {
        sure = false;
        put(button, 'Purge');

        for (const label of form.querySelectorAll('[data-for]')) {
            label.hidden = !label.dataset.for.split(' ').includes(kind.value);
        }

        value.type = kind.value === 'user' ? 'password' : 'text';
        value.autocomplete = kind.value === 'user' ? 'new-password' : 'off';
        put(value.parentNode.firstElementChild, {
            uri: 'URI, with its arguments', prefix: 'begins with',
            tag: 'tag', user: 'user', host: 'host', all: '',
        }[kind.value]);
    }

    function wanted() {
        const body = {};

        body[kind.value] = kind.value === 'all' ? true : value.value;

        for (const field of [host, user]) {
            if (!field.parentNode.hidden && field.value) {
                body[field.name] = field.value;
            }
        }

        if (soft.checked) {
            body.soft = true;
        }

        return body;
    }

    form.addEventListener('change', change);

    form.addEventListener('submit', async (event) => {
        event.preventDefault();

        if (kind.value === 'all' && !sure) {
            sure = true;
            put(button, 'Purge everything?');
            return;
        }

        sure = false;
        put(button, 'Purge');
        button.disabled = true;

        await purge(JSON.stringify(wanted()));

        button.disabled = false;
    });

    change();
}

async function purge(body) {
    const result = $('purge-result');

    put(result, '\u2026', 'note');

    try {
        const answer = await ask('purge', {method: 'POST', body,
                                           headers: DOCUMENT});

        if (answer.code === 200 && answer.body) {
            put(result, 'Purged ' + (answer.body.hosts === 'all'
                ? 'for all hosts.' : 'on this host; there is no Redis.'),
                'note good');

        } else if (answer.code === 202) {
            put(result, 'Purged on this host; Redis has not taken it, and '
                + 'is told again until it has.', 'note good');

        } else {
            put(result, problem(answer), 'note bad');
        }

    } catch (error) {
        put(result, 'No answer: ' + error.message, 'note bad');
    }
}

function startSubject() {
    const form = $('subject');
    const {zone, key, reset} = form.elements;

    const path = () => {
        if (/^(\.|%2e){1,2}$/i.test(key.value)) {
            throw new Error('a browser cannot ask for this key');
        }

        return status.ratelimit + 'subjects/' + encodeURIComponent(zone.value)
               + '/' + encodeURIComponent(key.value);
    };

    form.addEventListener('input', () => {
        reset.hidden = true;
        $('subject-table').hidden = true;
        put($('subject-result'), '', 'note');
    });

    form.addEventListener('submit', (event) => {
        event.preventDefault();
        subject(path, {}, showSubject);
    });

    reset.addEventListener('click', () => {
        subject(path, {method: 'DELETE'}, () => {
            $('subject-table').hidden = true;
            reset.hidden = true;
            put($('subject-result'), 'It begins anew.', 'note good');
        });
    });
}

async function subject(path, options, done) {
    const result = $('subject-result');

    put(result, '\u2026', 'note');

    try {
        const answer = await ask(path(), options);

        if (answer.code === 200 || answer.code === 204) {
            done(answer.body || {});

        } else {
            $('subject-table').hidden = true;
            put(result, problem(answer), 'note bad');
        }

    } catch (error) {
        put(result, 'No answer: ' + error.message, 'note bad');
    }
}

function showSubject(body) {
    const host = body.host || {};
    const reset = (r) => r.reset === null ? NONE : time(r.reset) || NONE;

    put($('subject-result'), [body.key, body.source === 'redis'
        ? 'as Redis has it' : 'as this host has it',
        host.known ? 'known here' : 'not known here',
        host.leased ? 'leased: ' + count(host.leased) : '',
        host.untold ? 'untold: ' + count(host.untold) : '']
        .filter(Boolean).join('; '), 'note');

    rows($('subject-rates'), list(body.rates).map((r) => [
        number(r.limit) === null ? 'in ' + time(r.period) : rateText(r),
        count(r.used) || NONE,
        [count(r.remaining) || NONE, r.remaining === 0 ? 'bad' : ''],
        reset(r),
    ]));

    $('subject-table').hidden = false;
    $('subject').elements.reset.hidden = limits.write !== true;
}


/* the round: one question at a time, and none while nobody looks */

async function look() {
    timer = null;
    busy = true;

    try {
        const health = ask('health').catch(() => null);
        const answer = await ask('status');

        if (answer.code !== 200 || !answer.body) {
            throw new Error(problem(answer));
        }

        status = answer.body;
        limits = null;
        note((await health || {}).body, '');

        if (typeof status.ratelimit === 'string') {
            await lookAtLimits();
        }

        answered = performance.now();
        document.body.classList.remove('away');
        remember();
        show();
        put($('live'), 'live');

    } catch (error) {
        document.body.classList.add('away');
        put($('live'), (answered ? 'no answer for '
            + time((performance.now() - answered) / 1000) : 'no answer')
            + ': ' + error.message);
    }

    busy = false;

    if (document.hidden) {
        put($('live'), 'paused');

    } else {
        timer = setTimeout(look, POLL);
    }
}

async function lookAtLimits() {
    const health = ask(status.ratelimit + 'health').catch(() => null);
    const answer = await ask(status.ratelimit + 'status').catch(() => null);

    note((await health || {}).body, 'limits: ');

    if (answer && answer.code === 200 && answer.body) {
        limits = answer.body;

    } else {
        reasons.set('limits: ' + status.ratelimit + 'status does not answer',
                    performance.now());
    }
}

function note(health, prefix) {
    for (const text of list((health || {}).reasons)) {
        reasons.set(prefix + String(text), performance.now());
    }
}

document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
        clearTimeout(timer);
        timer = null;
        put($('live'), 'paused');

    } else if (timer === null && !busy) {
        timer = setTimeout(look, 0);
    }
});

look();
