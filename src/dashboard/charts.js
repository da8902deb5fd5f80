

/* charts: the last SPAN seconds, the newest at the right */

function svg(tag, attributes) {
    const el = document.createElementNS('http://www.w3.org/2000/svg', tag);

    for (const [name, value] of Object.entries(attributes)) {
        el.setAttribute(name, value);
    }

    return el;
}

/* member: of a point; series: [[class, label], ...]; shown: value to text */

function chart(el, member, series, shown, fixed) {
    const plot = svg('svg', {class: 'plot', viewBox: '0 0 ' + SPAN + ' 100',
                             preserveAspectRatio: 'none', role: 'img'});
    const top = make('div', 'top');
    const ends = make('div', 'ends');
    const legend = make('div', 'legend');
    const at = svg('path', {class: 'at'});
    const paths = series.map(([name]) => svg('path', {class:
        fixed ? 'curve' : 'k-' + name}));
    const values = series.map(([name, label]) => {
        const item = make('span');
        const value = make('b');

        if (!fixed) {
            item.append(make('i', 'k-' + name));
        }

        item.append(label + GAP, value);
        legend.append(item);

        return value;
    });
    let pointed = null;

    plot.append(svg('path', {class: 'rule', d: 'M0 .5H' + SPAN + 'M0 50H'
                                               + SPAN}), ...paths, at);
    ends.append(make('span', '', SPAN / 60 + ' min ago'), make('span'));
    el.append(plot, top, ends, legend);

    function draw() {
        const now = points.length ? points[points.length - 1].t : 0;
        const x = (point) => SPAN - (now - point.t) / 1000;
        const values = (point) => [].concat(point[member]);
        const scale = fixed || nice(Math.max(1, ...points.map((point) =>
            point[member] ? values(point).reduce((a, b) => a + b) : 0)));

        put(top, shown(scale));
        (fixed ? drawCurve : drawStack)(paths, member, x, scale);
        tell(now, x);
    }

    /* the values under the pointer, or the newest */

    function tell(now, x) {
        let point = points[points.length - 1];

        if (pointed !== null && point) {
            point = points.reduce((best, p) => Math.abs(x(p) - pointed)
                < Math.abs(x(best) - pointed) ? p : best);
            at.setAttribute('d', 'M' + x(point) + ' 0V100');
            put(ends.lastChild, time((now - point.t) / 1000) + ' ago');

        } else {
            at.setAttribute('d', '');
            put(ends.lastChild, 'now');
        }

        const known = point && point[member] !== undefined
                      ? [].concat(point[member]) : [];

        values.forEach((el, i) => put(el, shown(
            known[i] === undefined ? null : known[i])));
    }

    plot.addEventListener('pointermove', (event) => {
        const box = plot.getBoundingClientRect();
        pointed = (event.clientX - box.left) / box.width * SPAN;
        draw();
    });

    plot.addEventListener('pointerleave', () => {
        pointed = null;
        draw();
    });

    return draw;
}

/* runs of points that have the member */

function runs(member) {
    const all = [[]];

    for (const point of points) {
        if (point[member] === undefined || point[member] === null) {
            all.push([]);

        } else {
            all[all.length - 1].push(point);
        }
    }

    return all.filter((run) => run.length);
}

function drawStack(paths, member, x, scale) {
    const parts = runs(member);

    paths.forEach((path, k) => {
        const y = (point, upto) => {
            const n = point[member].slice(0, upto).reduce((a, b) => a + b, 0);
            return (100 - 100 * n / scale).toFixed(2);
        };
        const outline = (run) => {
            const upper = run.map((p) => x(p).toFixed(1) + ' ' + y(p, k + 1));
            const lower = run.map((p) => x(p).toFixed(1) + ' ' + y(p, k));
            return 'M' + upper.concat(lower.reverse()).join('L') + 'Z';
        };

        path.setAttribute('d', parts.map(outline).join(''));
    });
}

function drawCurve(paths, member, x, scale) {
    paths[0].setAttribute('d', runs(member).map((run) => 'M'
        + run.map((p) => x(p).toFixed(1) + ' '
                         + (99 - 98 * p[member] / scale).toFixed(2))
             .join('L')).join(''));
}

/* the next of 1, 2, 5, 10, 20 ... */

function nice(n) {
    const ten = Math.pow(10, Math.floor(Math.log10(n)));

    return [1, 2, 5, 10].map((k) => k * ten).find((k) => k >= n);
}
